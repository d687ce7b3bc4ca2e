"""Sends a message by apprise, one channel at a time."""

import logging

import apprise

TITLE = "Durable Orders"


class NotSent(Exception):
    """The channel did not take it. The words hold nothing of its address."""


def silence() -> None:
    """apprise's log tells addresses, and these are secrets."""
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)


def send(url: str, title: str, body: str) -> None:
    """Raises `NotSent`. Blocks for some seconds at most."""
    silence()
    channel = apprise.Apprise()
    if not channel.add(url):
        raise NotSent("its url is no address that apprise knows")
    try:
        taken = bool(channel.notify(body=body, title=title, body_format=apprise.NotifyFormat.TEXT))
    except Exception as error:  # whatever a plugin raises: it must not end the others
        raise NotSent(f"apprise failed with {type(error).__name__}") from None
    if not taken:
        raise NotSent("the service did not take the message, or did not answer")
