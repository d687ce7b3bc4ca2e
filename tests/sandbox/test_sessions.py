"""Login, access tokens and who is let in."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from kiteconnect import KiteConnect
from kiteconnect.exceptions import InputException, TokenException

from tests.sandbox.conftest import Serve
from tests.sandbox.serving import Served, order

SECRET = "sandboxsecret"  # noqa: S105


def login(served: Served, **more: str) -> dict[str, list[str]]:
    """What the login page's redirect carries."""
    url = KiteConnect("sandboxkey").login_url()
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()} | more
    answer = requests.get(f"{served.sandbox.root}/connect/login", params=query, allow_redirects=False, timeout=60)
    assert answer.status_code == 302
    return parse_qs(urlsplit(answer.headers["Location"]).query)


def test_a_login_gives_a_request_token_and_that_an_access_token(served: Served) -> None:
    kite = KiteConnect("sandboxkey", root=served.sandbox.root)
    redirected = login(served)
    assert (redirected["action"], redirected["status"]) == (["login"], ["success"])
    session = kite.generate_session(redirected["request_token"][0], SECRET)
    assert session["access_token"] == kite.access_token
    assert session["login_time"].isoformat() == "2026-01-05T10:00:00"
    assert session["user_id"] == kite.profile()["user_id"] == "SB0001"


def test_another_user_of_the_app_has_a_book_of_its_own_and_moves_nothing(served: Served, kite: KiteConnect) -> None:
    kite.place_order(**order(tag="ours"))
    other = KiteConnect("sandboxkey", root=served.sandbox.root)
    session = other.generate_session(login(served, user_id="ZZ9999")["request_token"][0], SECRET)
    assert session["user_id"] == other.profile()["user_id"] == "ZZ9999"
    assert other.orders() == []
    other.place_order(**order(tag="theirs"))
    assert [row["tag"] for row in kite.orders()] == ["ours"]
    tally = served.tally()
    assert (list(tally["accepted"]), tally["others"]) == (["ours"], {"ZZ9999": 1})


def test_the_redirect_goes_to_the_app_with_what_it_asked_to_have_passed_on(serve: Serve) -> None:
    served = serve(redirect_url="http://127.0.0.1:1/back?mine=1")
    answer = requests.get(
        f"{served.sandbox.root}/connect/login",
        params={"api_key": "sandboxkey", "redirect_params": "some=X&more=Y"},
        allow_redirects=False,
        timeout=60,
    )
    assert answer.headers["Location"].startswith("http://127.0.0.1:1/back?mine=1&request_token=")
    assert answer.headers["Location"].endswith("&some=X&more=Y")


def test_without_a_redirect_url_a_page_shows_the_request_token(served: Served) -> None:
    url = f"{served.sandbox.root}/connect/login"
    page = requests.get(url, params={"api_key": "sandboxkey"}, timeout=60)
    token = parse_qs(urlsplit(page.url).query)["request_token"][0]
    assert token in page.text
    served_kite = KiteConnect("sandboxkey", root=served.sandbox.root)
    assert served_kite.generate_session(token, SECRET)["access_token"]


def test_an_unknown_app_cannot_log_in(served: Served) -> None:
    url = f"{served.sandbox.root}/connect/login"
    assert requests.get(url, params={"api_key": "other"}, timeout=60).json()["error_type"] == "InputException"


def test_a_request_token_is_good_once_and_for_minutes(served: Served) -> None:
    kite = KiteConnect("sandboxkey", root=served.sandbox.root)
    first, second = (login(served)["request_token"][0] for _ in range(2))
    kite.generate_session(first, SECRET)
    with pytest.raises(TokenException, match="invalid or has expired"):
        kite.generate_session(first, SECRET)
    served.clock.advance(minutes=6)
    with pytest.raises(TokenException, match="invalid or has expired"):
        kite.generate_session(second, SECRET)


def test_a_wrong_secret_makes_a_wrong_checksum(served: Served) -> None:
    kite = KiteConnect("sandboxkey", root=served.sandbox.root)
    with pytest.raises(TokenException, match="Invalid `checksum`") as refused:
        kite.generate_session(login(served)["request_token"][0], "wrong")
    assert refused.value.code == 403


@pytest.mark.parametrize(("key", "token"), [("sandboxkey", "stale"), ("other", None)])
def test_wrong_credentials_are_a_token_exception_and_call_the_hook(served: Served, key: str, token: str | None) -> None:
    called: list[Any] = []
    kite = KiteConnect(key, token or served.access_token(), root=served.sandbox.root)
    kite.set_session_expiry_hook(lambda: called.append(True))
    with pytest.raises(TokenException, match="Incorrect `api_key` or `access_token`") as refused:
        kite.orders()
    assert (refused.value.code, called) == (403, [True])


def test_no_credentials_are_an_input_exception(served: Served) -> None:
    with pytest.raises(InputException, match="Invalid `api_key` or `access_token`") as refused:
        KiteConnect("sandboxkey", root=served.sandbox.root).orders()
    assert refused.value.code == 400


def test_a_logout_ends_one_token_and_a_flush_ends_all(served: Served) -> None:
    one, other = served.kite(), served.kite()
    assert one.invalidate_access_token() is True
    with pytest.raises(TokenException):
        one.profile()
    assert other.profile()
    served.control("POST", "flush-tokens")
    with pytest.raises(TokenException):
        other.profile()
    assert served.kite().profile()


def test_only_a_valid_token_can_be_logged_out(served: Served) -> None:
    kite = served.kite()
    with pytest.raises(TokenException):
        kite.invalidate_access_token("another")
    assert kite.profile()
