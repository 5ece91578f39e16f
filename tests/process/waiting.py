"""Waiting for something to become true, with a bound, instead of sleeping."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
STEP_SECONDS = 0.01


def wait_until(condition: Callable[[], T], *, within_ms: int = 10_000) -> T:
    """Ask again and again until the answer is truthy; give it, or fail."""
    deadline = time.monotonic() + within_ms / 1000
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_ms} ms: {condition}")
        time.sleep(STEP_SECONDS)
    return answer
