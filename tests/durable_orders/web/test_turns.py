"""A burst of alerts: so many at once, others wait for a while, and the rest is told to come again."""

import asyncio
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pytest

from durable_orders.trading.config.hooks import Hook
from durable_orders.trading.errors import LedgerUnusable
from durable_orders.web import hooks
from durable_orders.web.problems import SOON, Problem
from durable_orders.web.turns import WORDS, Turns

LONG = 3600.0


class Notes:
    """What was recorded."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.fails = False

    async def __call__(self, words: str) -> None:
        if self.fails:
            raise LedgerUnusable("locked")
        self.said.append(words)


@pytest.fixture
def notes() -> Notes:
    return Notes()


async def hold(turns: Turns, begun: asyncio.Event, over: asyncio.Event) -> None:
    async with turns.taken():
        begun.set()
        await over.wait()


async def turned_away(turns: Turns) -> Problem:
    with pytest.raises(Problem) as caught:
        async with turns.taken():
            raise AssertionError("it had a turn")
    return caught.value


async def test_who_waits_has_the_turn_of_who_is_done(notes: Notes) -> None:
    turns = Turns(notes, at_once=1, seconds=LONG)
    begun, over, second = asyncio.Event(), asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(hold(turns, begun, over))
        await begun.wait()
        group.create_task(hold(turns, second, over))
        await asyncio.sleep(0)
        assert not second.is_set()
        over.set()
    assert second.is_set()
    await turns.close()
    assert notes.said == []


async def test_who_would_wait_too_long_is_told_to_come_again(notes: Notes) -> None:
    turns = Turns(notes, at_once=1, seconds=0.01, told_after=LONG)
    async with turns.taken():
        problems = [await turned_away(turns) for _ in range(3)]
    assert {(each.status, each.code) for each in problems} == {(HTTPStatus.SERVICE_UNAVAILABLE, "BUSY")}
    assert problems[0].response().headers["retry-after"] == str(SOON)
    async with turns.taken():
        pass
    await turns.close()
    assert notes.said == [WORDS.format(3)], "all in one event"


async def test_no_more_wait_than_there_is_room_for(notes: Notes) -> None:
    turns = Turns(notes, at_once=1, waiting=1, seconds=LONG, told_after=LONG)
    begun, over, second = asyncio.Event(), asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(hold(turns, begun, over))
        await begun.wait()
        group.create_task(hold(turns, second, over))
        await asyncio.sleep(0)
        assert (await turned_away(turns)).code == "BUSY"
        over.set()
    await turns.close()
    assert notes.said == [WORDS.format(1)]


async def test_a_turn_is_given_back_whatever_becomes_of_it(notes: Notes) -> None:
    turns = Turns(notes, at_once=1, waiting=1, seconds=LONG)
    for _ in range(3):
        with pytest.raises(ValueError, match="broken"):
            async with turns.taken():
                raise ValueError("broken")
    begun, over = asyncio.Event(), asyncio.Event()
    async with turns.taken():
        gone = asyncio.create_task(hold(turns, begun, over))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
    async with turns.taken():
        pass


async def test_what_could_not_be_recorded_is_told_when_it_can_be(notes: Notes) -> None:
    turns = Turns(notes, at_once=1, waiting=0, told_after=LONG)
    notes.fails = True
    await turned_away(turns)
    await turns.close()
    notes.fails = False
    await turned_away(turns)
    await turns.close()
    assert notes.said == [WORDS.format(2)]


async def test_an_alert_counts_from_when_it_came_in_and_not_from_its_turn(
    notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    came, turns = asyncio.Event(), Turns(notes, at_once=1, seconds=LONG)
    knows = Hook.model_validate({"secret": "s" * 16, "order": {"symbol": "{{s}}", "side": "BUY", "quantity": "1"}})
    desk: Any = SimpleNamespace(settings=SimpleNamespace(hooks={"h": knows}), turns=turns)
    request: Any = SimpleNamespace(body=AsyncMock(return_value=b"{}"), query_params={}, headers={})
    monkeypatch.setattr(hooks, "Alert", lambda *_: came.set())
    async with turns.taken():
        waits = asyncio.create_task(hooks.hook("h", request, desk, "s" * 16))
        await came.wait()
        waits.cancel()
    await asyncio.gather(waits, return_exceptions=True)
