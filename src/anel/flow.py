"""Flows of several steps as `async def`, driven by callbacks in either world.

A flow awaits a `Signal`; whoever fires the signal resumes the flow through `env.post`, never
from inside its own stack. There is no event loop here: the runtime and the simulation drive the
same flow the same way. Hot paths do not use flows: a read or a write is a callback object.
"""

from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

from anel.env import Env

T = TypeVar("T")


class Signal(Generic[T]):
    """Something a flow waits for: fired once, with a value."""

    __slots__ = ("_fired", "_resume", "_value")

    def __init__(self) -> None:
        self._fired = False
        self._value: T | None = None
        self._resume: Callable[[], None] | None = None

    def fire(self, value: T) -> None:
        """Give the value; a second firing (a late reply after a timeout) is ignored."""
        if self._fired:
            return
        self._fired = True
        self._value = value
        if self._resume is not None:
            self._resume()

    def __await__(self) -> Generator["Signal[T]", None, T]:
        """Wait for the value."""
        if not self._fired:
            yield self
        return self._value  # type: ignore[return-value]  # Fired, so it is a T.

    def when_fired(self, resume: Callable[[], None]) -> None:
        """Call back at the firing (at once if it has happened)."""
        if self._fired:
            resume()
        else:
            self._resume = resume


class Flow:
    """One running flow. `close` ends it at its present step, running its `finally` blocks."""

    def __init__(
        self,
        env: Env,
        steps: Coroutine[Signal[Any], None, None],
        when_done: Callable[[], None] | None = None,
    ) -> None:
        self._env = env
        self._steps = steps
        self._when_done = when_done
        self.done = False
        env.post(self._step)

    def close(self) -> None:
        """Stop the flow (shutdown, crash in simulation)."""
        if not self.done:
            self.done = True
            self._steps.close()

    def _step(self) -> None:
        if self.done:
            return
        try:
            signal = self._steps.send(None)
        except StopIteration:
            self.done = True
            if self._when_done is not None:
                self._when_done()
        else:
            signal.when_fired(lambda: self._env.post(self._step))


def pause(env: Env, delay_ms: int) -> Signal[None]:
    """Give a signal that fires after a delay."""
    signal: Signal[None] = Signal()
    env.set_timer(delay_ms, lambda: signal.fire(None))
    return signal
