"""A bound on how fast background work may go: so many bytes each second.

A bucket of one second's worth: work that was idle may begin with a burst, then waits.
"""

from anel.env import Env
from anel.flow import Signal

_NS = 1_000_000_000


class Pace:
    """Shared by the flows whose sum is bounded.

    Args:
        env: This node's world.
        bytes_per_s: The bound.
    """

    __slots__ = ("_bytes_per_s", "_env", "_free_at_ns")

    def __init__(self, env: Env, bytes_per_s: int) -> None:
        self._env = env
        self._bytes_per_s = bytes_per_s
        self._free_at_ns = env.now_ns() - _NS

    def take(self, size_bytes: int) -> Signal[None]:
        """Account for bytes about to move; the signal fires when they may."""
        now_ns = self._env.now_ns()
        earliest_ns = max(self._free_at_ns, now_ns - _NS)
        self._free_at_ns = earliest_ns + size_bytes * _NS // self._bytes_per_s
        signal: Signal[None] = Signal()
        wait_ns = self._free_at_ns - now_ns
        if wait_ns <= 0:
            signal.fire(None)
        else:
            self._env.set_timer(-(-wait_ns // 1_000_000), lambda: signal.fire(None))
        return signal
