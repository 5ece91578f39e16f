"""The one thread that waits for the disk, so that the loop never does."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeAlias

_Job: TypeAlias = tuple[Callable[[], None], Callable[[BaseException | None], None]]


class SyncThread:
    """Run blocking work (an fsync) one piece after another, and report on the loop.

    The thread is a daemon: a disk that hangs cannot keep a dying process alive.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="anel-sync", daemon=True)
        self._thread.start()

    def run(
        self, blocking: Callable[[], None], done: Callable[[BaseException | None], None]
    ) -> None:
        """Run `blocking` in the thread, then `done` on the loop with its exception or None."""
        self._jobs.put((blocking, done))

    def close(self, timeout_s: float = 5.0) -> bool:
        """Finish what was asked for and end the thread; tell whether it ended in time."""
        self._jobs.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            blocking, done = job
            error: BaseException | None = None
            try:
                blocking()
            except BaseException as caught:  # noqa: BLE001 - Handed over whole: `done` judges it.
                error = caught
            with contextlib.suppress(
                RuntimeError
            ):  # The loop is closed: nobody waits any more.
                self._loop.call_soon_threadsafe(done, error)
