"""An event loop in a thread of its own: the rest of the process does not notice it."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from anel.runtime.loop import new_event_loop

T = TypeVar("T")
PATIENCE_SECONDS = 60.0  # A step that takes longer hangs; tests should then fail, not wait.


class LoopThread:
    """Runs an event loop, neither set as anybody's current loop nor made by a policy."""

    def __init__(self, name: str) -> None:
        self.loop = new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def wait(self, steps: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and wait for its outcome."""
        future = asyncio.run_coroutine_threadsafe(steps, self.loop)
        try:
            return future.result(PATIENCE_SECONDS)
        except TimeoutError:
            future.cancel()
            raise

    def call(self, function: Callable[[], T]) -> T:
        """Run a function on the loop and wait for its outcome."""

        async def step() -> T:
            return function()

        return self.wait(step())

    def close(self) -> None:
        """End the thread and its loop."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(PATIENCE_SECONDS)

    def _run(self) -> None:
        try:
            self.loop.run_forever()
            self._cancel_tasks()
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        finally:
            self.loop.close()

    def _cancel_tasks(self) -> None:
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
