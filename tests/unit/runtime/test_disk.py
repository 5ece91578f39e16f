"""The sync thread: work in order, outcomes on the loop, and an end that waits."""

import asyncio
import threading

import pytest

from anel.runtime.disk import SyncThread
from tests.unit.runtime.world import until


def test_work_runs_in_the_thread_in_order_and_reports_on_the_loop(
    loop: asyncio.AbstractEventLoop,
) -> None:
    async def story() -> None:
        thread = SyncThread(loop)
        ran: list[tuple[int, str]] = []
        told: list[tuple[BaseException | None, int]] = []
        for number in range(5):

            def work(number: int = number) -> None:
                ran.append((number, threading.current_thread().name))

            thread.run(work, lambda error: told.append((error, threading.get_ident())))
        await until(lambda: len(told) == 5)
        assert ran == [(number, "anel-sync") for number in range(5)]
        assert told == [(None, threading.get_ident())] * 5
        assert thread.close()

    loop.run_until_complete(story())


def test_a_failure_is_handed_over(loop: asyncio.AbstractEventLoop) -> None:
    async def story() -> None:
        thread = SyncThread(loop)
        told: list[BaseException | None] = []

        def fail() -> None:
            raise OSError(5, "the disk is gone")

        thread.run(fail, told.append)
        await until(lambda: told)
        assert isinstance(told[0], OSError)
        assert thread.close()

    loop.run_until_complete(story())


def test_closing_finishes_what_was_asked_for(loop: asyncio.AbstractEventLoop) -> None:
    thread = SyncThread(loop)
    ran: list[int] = []
    thread.run(lambda: ran.append(1), lambda _: None)
    assert thread.close()
    assert ran == [1]


def test_a_disk_that_hangs_is_noticed(loop: asyncio.AbstractEventLoop) -> None:
    thread = SyncThread(loop)
    release = threading.Event()
    thread.run(release.wait, lambda _: None)  # type: ignore[arg-type]
    assert not thread.close(timeout_s=0.02)
    release.set()
    assert thread.close()


@pytest.mark.parametrize("loop", ["asyncio"], indirect=True)
def test_an_outcome_after_the_loop_has_closed_is_dropped(
    loop: asyncio.AbstractEventLoop,
) -> None:
    thread = SyncThread(loop)
    release = threading.Event()
    thread.run(release.wait, lambda _: None)  # type: ignore[arg-type]
    loop.close()
    release.set()
    assert thread.close()
