"""What clients did and saw, and whether the ring kept its promises.

Every write of a run carries a value of its own, so each read names the write it saw. Three
promises are checked, for a plain table (last write wins) written and read at QUORUM:

    nothing from nowhere   a read sees a value that some write, begun before the read ended, wrote
    no stale read          ... and no acknowledged write lies wholly between that write and the read
    nothing lost           after calm, what replicas hold is not older than an acknowledged write

"Older" is real time: write A is older than B when A ended before B began. Writes whose outcome
is unknown never end. At ONE and in first-copy mode only the first and the last promise are made,
the last one without regard to order: the value must be of some write, and an acknowledged key
must not be empty unless a deletion could have emptied it.
"""

from dataclasses import dataclass, field

NEVER = 1 << 62


@dataclass(slots=True)
class Write:
    """One write of one key; `value` None is a deletion. Times in virtual nanoseconds."""

    key: bytes
    value: bytes | None
    began: int
    ended: int = NEVER
    acknowledged: bool = False
    refused: bool = False  # The error promised that nothing was done.


@dataclass(slots=True)
class Read:
    """One read of one key that was answered."""

    key: bytes
    value: bytes | None
    began: int
    ended: int


@dataclass(slots=True)
class History:
    """All that clients did in one run."""

    writes: list[Write] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    unavailable: int = 0
    timeouts: int = 0

    def acknowledged(self) -> int:
        """Count the writes that clients were told had happened."""
        return sum(write.acknowledged for write in self.writes)


class HistoryChecker:
    """Judge one history."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._by_key: dict[bytes, list[Write]] = {}
        for write in history.writes:
            self._by_key.setdefault(write.key, []).append(write)

    def reads(self) -> list[str]:
        """Tell what is wrong with the reads: one sentence each, none when all is well."""
        return [
            complaint
            for read in self._history.reads
            if (
                complaint := self._judge(read.key, read.value, read.began, read.ended, "a read")
            )
        ]

    def final(self, held: dict[bytes, bytes | None]) -> list[str]:
        """Tell what is wrong with the values held after calm, by key."""
        return [
            complaint
            for key in self._by_key
            if (
                complaint := self._judge(
                    key, held.get(key), NEVER - 1, NEVER, "the final state"
                )
            )
        ]

    def final_unordered(self, held: dict[bytes, bytes | None]) -> list[str]:
        """The same for levels that promise no order: only losses and inventions."""
        complaints = []
        for key, writes in self._by_key.items():
            value = held.get(key)
            acknowledged = any(w.acknowledged and w.value is not None for w in writes)
            deleted = any(w.value is None and not w.refused for w in writes)
            if value is None and acknowledged and not deleted:
                complaints.append(f"key {key!r}: every acknowledged write was lost")
            if value is not None and not any(w.value == value for w in writes):
                complaints.append(f"key {key!r}: {value!r} comes from nowhere")
        return complaints

    def _judge(
        self, key: bytes, value: bytes | None, began: int, ended: int, what: str
    ) -> str | None:
        writes = self._by_key.get(key, [])
        sources = [w for w in writes if w.value == value and w.began <= ended and not w.refused]
        if value is not None and not sources:
            return f"key {key!r}: {what} saw {value!r}, which comes from nowhere"
        # The sources of an absent value: a deletion, or the time before the first write.
        born = max((w.ended for w in sources), default=-1)
        if value is None and not sources:
            born = -1
        newer = [w for w in writes if w.acknowledged and w.ended < began and w.began > born]
        if newer and born != NEVER:
            last = max(newer, key=lambda w: w.began)
            return (
                f"key {key!r}: {what} saw {value!r}, older than {last.value!r}, "
                f"acknowledged at {last.ended / 1e6:.1f} ms"
            )
        return None
