"""Callbacks that all wait the same short time, on one timer.

Requests that become late, or wait for a ring view to spread, enter one queue in the order of
their time, so that no request owns a timer.
"""

from collections import deque

from anel.env import Callback, Env


class Later:
    """Run callbacks a fixed delay after they are given.

    Args:
        env: The node's world.
        delay_ms: How long each waits; a callback may come up to as much later again.
    """

    def __init__(self, env: Env, delay_ms: int) -> None:
        self._env = env
        self._delay_ms = delay_ms
        self._waiting: deque[tuple[int, Callback]] = deque()
        self._is_timed = False

    def __len__(self) -> int:
        """Count the callbacks that wait."""
        return len(self._waiting)

    def add(self, callback: Callback) -> None:
        """Run a callback later; one whose operation has ended must do nothing."""
        self._waiting.append((self._env.now_ns() + self._delay_ms * 1_000_000, callback))
        if not self._is_timed:
            self._is_timed = True
            self._env.set_timer(self._delay_ms, self._run)

    def _run(self) -> None:
        now = self._env.now_ns()
        waiting = self._waiting
        while waiting and waiting[0][0] <= now:
            waiting.popleft()[1]()
        self._is_timed = bool(waiting)
        if waiting:
            delay_ms = max(1, -(-(waiting[0][0] - now) // 1_000_000))
            self._env.set_timer(delay_ms, self._run)
