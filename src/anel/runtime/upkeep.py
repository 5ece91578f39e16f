"""What a node does when nobody asks: the store's background work in slices, and a look at lag.

Slices last at most a millisecond, with pauses between them in which clients are served
(CORRECTNESS 23). The same timer tells how late the loop runs.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from anel.limits import SLICE_NS_MAX

BEAT_S = 0.1
PAUSE_S = 0.003  # Between two slices: background work takes at most a quarter of the loop.
LAG_KEPT = 100  # Beats: the greatest lag of the last ten seconds is told.


class Upkeep:
    """The beat of one node.

    Args:
        loop: Where it runs.
        work: `Store.work`.
        look: Called once per beat.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        work: Callable[[int], bool],
        look: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._work = work
        self._look = look
        self._lags_s: deque[float] = deque([0.0], LAG_KEPT)
        self._due_s = 0.0
        self._beat: asyncio.TimerHandle | None = None
        self._slice: asyncio.TimerHandle | None = None

    @property
    def lag_ms(self) -> float:
        """The longest that the loop was late within the last ten seconds."""
        return round(max(self._lags_s) * 1000, 1)

    def start(self) -> None:
        """Begin."""
        self._due_s = self._loop.time() + BEAT_S
        self._beat = self._loop.call_at(self._due_s, self._on_beat)

    def stop(self) -> None:
        """End."""
        for timer in (self._beat, self._slice):
            if timer is not None:
                timer.cancel()

    def _on_beat(self) -> None:
        now_s = self._loop.time()
        self._lags_s.append(max(0.0, now_s - self._due_s))
        self._due_s = now_s + BEAT_S
        self._beat = self._loop.call_at(self._due_s, self._on_beat)
        self._look()
        if self._slice is None:
            self._work_on()

    def _work_on(self) -> None:
        self._slice = None
        if self._work(time.monotonic_ns() + SLICE_NS_MAX):
            self._slice = self._loop.call_later(PAUSE_S, self._work_on)
