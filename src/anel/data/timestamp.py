"""The hybrid logical clock that stamps every mutation, in microseconds.

    now()      max(wall clock, last + 1): unique and increasing on this node
    merge(t)   called for every frame between nodes: never fall behind a peer
    ceiling    a durable bound above every timestamp given out, so that neither a restart nor a
               clock that jumps back can repeat one

Source: Kulkarni et al., "Logical Physical Clocks" (2014), here packed into one integer as
microseconds; CORRECTNESS 9.
"""

from collections import deque
from collections.abc import Callable

from anel.limits import CLOCK_DRIFT_MS_MAX

# A restarted node begins at its ceiling, so the step is under the drift that peers accept. The
# next one is asked for LEAD before the present one is reached, so that no write waits while the
# disk is busy: one small synced write an eighth of a second, while timestamps are given out.
CEILING_STEP_US = 350_000
CEILING_LEAD_US = 225_000


class HybridClock:
    """Give out increasing timestamps.

    Args:
        wall_us: The wall clock, microseconds since the Unix epoch.
        ceiling_us: The ceiling kept by the previous process, 0 at a node's first start.
        raise_ceiling: Called with a new ceiling when the old one comes near. The caller must
            make it durable and then call `ceiling_is_durable`.

    Attributes:
        last_us: The greatest timestamp given out or merged so far.
        ceiling_us: The durable ceiling: no timestamp above it has left this node.
    """

    def __init__(
        self, wall_us: Callable[[], int], ceiling_us: int, raise_ceiling: Callable[[int], None]
    ) -> None:
        self._wall_us = wall_us
        self.last_us = ceiling_us
        self.ceiling_us = ceiling_us
        self._asked_us = ceiling_us
        self._raise_ceiling = raise_ceiling
        self._uncovered: deque[tuple[int, Callable[[], None]]] = deque()

    def now(self) -> int:
        """Give the next timestamp, greater than all before it on this node."""
        wall = self._wall_us()
        last = self.last_us
        last = wall if wall > last else last + 1
        self.last_us = last
        if last > self._asked_us - CEILING_LEAD_US:
            self._ask(last)
        return last

    def merge(self, peer_us: int) -> bool:
        """Take in a peer's clock; tell whether it was within the drift allowed.

        False means the peer is more than CLOCK_DRIFT_MS_MAX ahead of this node's wall clock and
        was not merged: refuse its frame, or one mad clock would drag the ring into the future.
        """
        if peer_us <= self.last_us:
            return True
        if peer_us > self._wall_us() + CLOCK_DRIFT_MS_MAX * 1000:
            return False
        self.last_us = peer_us
        return True

    def is_covered(self, timestamp_us: int) -> bool:
        """Tell whether a timestamp lies under the durable ceiling, so that it may leave."""
        return timestamp_us <= self.ceiling_us

    def ceiling_is_durable(self, ceiling_us: int) -> None:
        """Note that a ceiling handed to `raise_ceiling` is on disk."""
        self.ceiling_us = max(self.ceiling_us, ceiling_us)
        uncovered = self._uncovered
        while uncovered and uncovered[0][0] <= self.ceiling_us:
            uncovered.popleft()[1]()

    def when_covered(self, callback: Callable[[], None]) -> None:
        """Call back once all timestamps up to `last_us` lie under the durable ceiling.

        The caller bounds how many wait.
        """
        if self.last_us <= self.ceiling_us:
            callback()
            return
        self._uncovered.append((self.last_us, callback))
        if self.last_us > self._asked_us:  # Merged from a peer, not given out here.
            self._ask(self.last_us)

    def _ask(self, last_us: int) -> None:
        self._asked_us = last_us + CEILING_STEP_US
        self._raise_ceiling(self._asked_us)
