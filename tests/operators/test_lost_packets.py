"""A request that is lost on the way after it was handed to the kernel never arrives late: the kernel forgets it, too.

In a network of its own, whose line is cut while a placement leaves. Where the kernel lets nobody make one, skipped.
"""

import subprocess
import sys
from pathlib import Path

import pytest

ALONE = ("unshare", "--user", "--map-root-user", "--net")


def lets_us_alone() -> bool:
    try:
        return (
            subprocess.run([*ALONE, "ip", "link", "set", "lo", "up"], capture_output=True, check=False).returncode == 0
        )
    except FileNotFoundError:
        return False


def cut(deadline: float, limit: float) -> "subprocess.CompletedProcess[str]":
    script = Path(__file__).with_name("cut_line.py")
    words = [*ALONE, sys.executable, str(script), str(deadline), str(limit)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.skipif(not lets_us_alone(), reason="no network namespaces here")
@pytest.mark.parametrize(
    ("deadline", "limit"), [(3.0, 20.0), (60.0, 1.0)], ids=["within its deadline", "within the call's limit"]
)
def test_request_that_is_lost_on_the_way_does_not_arrive_later(deadline: float, limit: float) -> None:
    done = cut(deadline, limit)
    if "not_sent" in done.stdout.splitlines():  # a busy machine came to it only after its deadline
        done = cut(deadline * 5, limit)
    assert done.stdout.splitlines() == ["the book was read", "unknown", "the book was read", "placements that came: 0"]
