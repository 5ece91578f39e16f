"""How long to doubt a silent node, and how much to doubt oneself: Lifeguard's two ideas.

    Suspicion     waits longest when one node alone suspects, shortest once k others agree
    LocalHealth   a node that misses its own deadlines or is itself suspected waits longer
                  before it blames others

Source: Dadgar, Phillips, Currey, "Lifeguard" (DSN 2018), sections IV-A and IV-B.
"""

from math import log

from anel.env import NodeId

HEALTH_MAX = 8  # Lifeguard's S: timeouts grow at most ninefold.
CONFIRMATIONS_WANTED = 3  # Lifeguard's K.


class Suspicion:
    """One node under suspicion: who says so, and until when it may refute.

    Args:
        by: The first to suspect it.
        began_ns: When.
        wanted: How many more nodes must say the same for the shortest wait (0: at once).
        wait_ms_min: The wait once all of them did.
        wait_ms_max: The wait while nobody did.
    """

    __slots__ = ("_by", "_wait_ms_max", "_wait_ms_min", "_wanted", "began_ns")

    def __init__(
        self, by: NodeId, began_ns: int, *, wanted: int, wait_ms_min: int, wait_ms_max: int
    ) -> None:
        self._by = [by]
        self.began_ns = began_ns
        self._wanted = wanted
        self._wait_ms_min = wait_ms_min
        self._wait_ms_max = wait_ms_max

    @property
    def confirmations(self) -> int:
        """How many others said the same."""
        return len(self._by) - 1

    def confirm(self, by: NodeId) -> bool:
        """Count one more node that suspects it; tell whether it was new and wanted."""
        if by in self._by or self.confirmations >= self._wanted:
            return False
        self._by.append(by)
        return True

    @property
    def wait_ms(self) -> int:
        """How long after `began_ns` the node is given up."""
        if self._wanted == 0:
            return self._wait_ms_min
        part = log(self.confirmations + 1) / log(self._wanted + 1)
        span = self._wait_ms_max - self._wait_ms_min
        return max(self._wait_ms_min, self._wait_ms_max - int(span * part))


class LocalHealth:
    """This node's trust in itself: 0 is well, each point lengthens its timeouts once more."""

    __slots__ = ("score",)

    def __init__(self) -> None:
        self.score = 0

    @property
    def multiplier(self) -> int:
        """By how much to stretch timeouts and periods."""
        return self.score + 1

    def better(self) -> None:
        """A probe was answered in time."""
        self.score = max(0, self.score - 1)

    def worse(self) -> None:
        """A deadline was missed that may be this node's own fault."""
        self.score = min(HEALTH_MAX, self.score + 1)
