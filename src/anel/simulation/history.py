"""What clients did and saw, and whether the ring kept its promises.

Every write of a run carries a value of its own, so each read names the write it saw. These
promises are checked, for a plain table (last write wins) written and read at QUORUM:

    nothing from nowhere  a read sees a value that some write wrote, begun before the read ended
    no stale read         and no acknowledged write lies wholly between that write and the read
    no going back         a later read sees no write that lies wholly before one seen earlier
    expiry is exact       a value with a time to live is seen until its coordinator's clock says
                          so, and never after
    nothing lost          after calm, what replicas hold is not older than an acknowledged write

"Older" is real time: write A is older than B when A ended before B began. Writes whose outcome
is unknown never end. At ONE and in first-copy mode only the first and the last promise are
made, the last one without regard to order: the value must be of some write, and an acknowledged
key must not be empty unless a deletion could have emptied it.
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
    expires_ms: int = 0  # Wall clock, milliseconds; 0: never.


@dataclass(slots=True)
class Read:
    """One read of one key that was answered."""

    key: bytes
    value: bytes | None
    began: int
    ended: int
    now_began_ms: int = 0  # The coordinator's wall clock at both ends; it may jump back.
    now_ended_ms: int = 0

    @property
    def earliest_ms(self) -> int:
        """What had expired by then must not be seen."""
        return min(self.now_began_ms, self.now_ended_ms)

    @property
    def latest_ms(self) -> int:
        """What had not expired by then must be seen."""
        return max(self.now_began_ms, self.now_ended_ms)


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
        complaints = []
        by_key: dict[bytes, list[Read]] = {}
        for read in self._history.reads:
            by_key.setdefault(read.key, []).append(read)
            complaint = self._judge(read, "a read")
            if complaint is not None:
                complaints.append(complaint)
        for reads in by_key.values():
            complaints += self._going_back(reads)
        return complaints

    def final(self, held: dict[bytes, bytes | None], now_ms: int) -> list[str]:
        """Tell what is wrong with the values held after calm, by key."""
        complaints = []
        for key in self._by_key:
            last = Read(key, held.get(key), NEVER - 1, NEVER, now_ms, now_ms)
            complaint = self._judge(last, "the final state")
            if complaint is not None:
                complaints.append(complaint)
        return complaints

    def final_unordered(self, held: dict[bytes, bytes | None]) -> list[str]:
        """The same for levels that promise no order: only losses and inventions."""
        complaints = []
        for key, writes in self._by_key.items():
            value = held.get(key)
            acknowledged = any(w.acknowledged and w.value is not None for w in writes)
            deleted = any((w.value is None or w.expires_ms) and not w.refused for w in writes)
            if value is None and acknowledged and not deleted:
                complaints.append(f"key {key!r}: every acknowledged write was lost")
            if value is not None and not any(w.value == value for w in writes):
                complaints.append(f"key {key!r}: {value!r} comes from nowhere")
        return complaints

    def _sources(self, read: Read) -> list[Write]:
        # What may have been seen; an expired value is a deletion to readers.
        return [
            write
            for write in self._by_key.get(read.key, [])
            if write.began <= read.ended
            and not write.refused
            and (
                write.value == read.value
                or (read.value is None and 0 < write.expires_ms <= read.latest_ms)
            )
        ]

    def _judge(self, read: Read, what: str) -> str | None:
        key, value = read.key, read.value
        sources = self._sources(read)
        if value is not None:
            if not sources:
                return f"key {key!r}: {what} saw {value!r}, which comes from nowhere"
            if all(0 < write.expires_ms <= read.earliest_ms for write in sources):
                return f"key {key!r}: {what} saw {value!r}, which had expired"
        # Without a source an absent value stems from the time before the first write.
        born = max((write.ended for write in sources), default=-1)
        newer = [
            write
            for write in self._by_key.get(key, [])
            if write.acknowledged and write.ended < read.began and write.began > born
        ]
        if newer and born != NEVER:
            last = max(newer, key=lambda write: write.began)
            return (
                f"key {key!r}: {what} saw {value!r}, older than {last.value!r}, "
                f"acknowledged at {last.ended / 1e6:.1f} ms"
            )
        return None

    def _going_back(self, reads: list[Read]) -> list[str]:
        complaints = []
        seen: list[tuple[int, Read, Write]] = []
        for read in sorted(reads, key=lambda read: read.began):
            sources = self._sources(read)
            born = max((write.ended for write in sources), default=-1)
            for ended, earlier, write in seen:
                if ended < read.began and born < write.began:
                    complaints.append(
                        f"key {read.key!r}: a read saw {read.value!r} although an earlier one "
                        f"saw {earlier.value!r}, written later"
                    )
                    break
            if read.value is not None and len(sources) == 1:
                seen.append((read.ended, read, sources[0]))
        return complaints
