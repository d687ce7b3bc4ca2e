"""The application: its routes over one desk."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.staticfiles import StaticFiles

from durable_orders.web import (
    actions,
    api,
    gtt_pages,
    gtts,
    hooks,
    login,
    pages,
    plan_pages,
    plans,
    streams,
    work_pages,
)
from durable_orders.web.actions import for_people
from durable_orders.web.alerts import must_be_templates
from durable_orders.web.desk import Desk
from durable_orders.web.limits import Limits
from durable_orders.web.problems import as_problems

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def build(desk: Desk) -> FastAPI:
    """The application. It answers requests for the loopback, and for the names in `page.names`: another site's page
    that has its own name point here gets nothing. Raises `InvalidSettings` for a hook's template that is none."""
    must_be_templates(desk.settings.hooks)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with desk.at_work():
            yield

    app = FastAPI(
        title="Durable Orders",
        version=version("durable-orders"),
        docs_url=None,  # they are pages of another server's scripts
        redoc_url=None,
        openapi_url=None,
        lifespan=lifespan,
    )
    app.state.desk = desk
    for routes in (streams, api, plans, gtts, hooks, login, pages, actions, plan_pages, gtt_pages, work_pages):
        app.include_router(routes.router)
    app.mount("/static", StaticFiles(packages=[("durable_orders.web", "static")]))
    as_problems(app)
    for_people(app)
    app.add_middleware(Limits)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK, *desk.settings.page.names], www_redirect=False)
    return app
