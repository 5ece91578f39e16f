"""A store in memory that loses what a disk would lose: for the simulation and for tests.

It keeps an undo log of the changes that no completed sync covers. A crash takes back a random
number of the latest of them, as if the kernel had written only part of the commit log::

    changes    synced ........ | covered by the sync under way .... | not covered
                               `---- a crash keeps any prefix of these ----'

Bits flipped on purpose make reads fail as a checksum would; the next start then finds damage.

Source: CORRECTNESS 5, 6 and 25.
"""

from collections.abc import Callable
from random import Random
from typing import NoReturn, TypeAlias

from anel.errors import CorruptData, DiskFailed, Overloaded
from anel.storage.commit import Durability, GroupCommit
from anel.storage.records import RECOVERING, Changes, RecordStore
from anel.storage.sorted_map import SortedMap
from anel.storage.store import Page, Record
from anel.storage.summary import DIRTY_STATE, LEAF_STATE, after
from anel.storage.syncer import Done

Undo: TypeAlias = list[tuple[SortedMap, bytes, bytes | None]]
"""How to take one change back: (map, key, value before)."""

UNDO_MAX = 200_000  # Without syncs (durability none) a kernel writes back by itself, in time.


class MemoryStore(RecordStore):
    """The store port in memory.

    Args:
        now_ns: The monotonic clock.
        durability: As for RocksDB.
        sync: Called to schedule the completion of one sync: it gets a callback to run when the
            imagined disk has done it. None completes each sync at once.
        fatal: Told of a failed sync (see `fail_syncs`); None raises it.

    Attributes:
        fail_syncs: When set, each sync that completes from now on fails with it.
        is_full: When set, every write is refused with DiskFailed.
        is_slow: When set, every write of records is refused with Overloaded.
    """

    SCRUB_RECORDS_PER_S = 100  # Nothing rots here by itself, and simulated time is expensive.

    def __init__(
        self,
        now_ns: Callable[[], int],
        *,
        durability: Durability = "group",
        sync: Callable[[Callable[[], None]], None] | None = None,
        fatal: Callable[[BaseException], None] | None = None,
    ) -> None:
        self._records = SortedMap()
        self._states = SortedMap()
        self._rotten: set[bytes] = set()
        self._undo: list[Undo] = []
        self._undo_first = 0  # The number of the change that `_undo` begins with.
        self._sync = sync
        self.fail_syncs: Exception | None = None
        self.is_full = False
        self.is_slow = False
        self._is_open = True
        super().__init__(now_ns, GroupCommit(durability, fatal or _raise))
        self.commit.begin_with(self._begin_sync, lambda: bool(self._undo))
        self._get = self._records.values.get

    # What only memory can do.

    def crash(
        self,
        random: Random,
        *,
        sync: Callable[[Callable[[], None]], None] | None = None,
        fatal: Callable[[BaseException], None] | None = None,
    ) -> "MemoryStore":
        """Give the store that a process started after a crash would find.

        It holds everything that a completed sync covered, a random prefix of the changes after
        that, and nothing else. This store must not be used any more.
        """
        self.close(flush=False)
        kept = random.randint(0, len(self._undo))
        for undo in reversed(self._undo[kept:]):
            for where, key, old in reversed(undo):
                if old is None:
                    where.remove(key)
                else:
                    where.put(key, old)
        return self._successor(sync, fatal)

    def reopen(
        self,
        *,
        sync: Callable[[Callable[[], None]], None] | None = None,
        fatal: Callable[[BaseException], None] | None = None,
    ) -> "MemoryStore":
        """Give the store that a process finds after an orderly end of this one."""
        if self._is_open:
            self.close()
        return self._successor(sync, fatal)

    def durable(self, key: bytes) -> bytes | None:
        """Give the value of a record that no crash at this moment could take back."""
        for undo in self._undo:
            for where, name, old in undo:
                if where is self._records and name == key:
                    return old
        return self._records.values.get(key)

    def rot(self, key: bytes) -> None:
        """Flip a bit of one record: reading it raises CorruptData from now on."""
        self._rotten.add(key)
        self._get = self._read

    def rot_some(self, random: Random) -> bytes | None:
        """Flip a bit of a random record; give its key, None when there is no record."""
        keys = self._records.keys(b"", None)
        if not keys:
            return None
        key = random.choice(keys)
        self.rot(key)
        return key

    # The port.

    def disk_bytes(self) -> int:
        """Tell about how much disk the same data would take, uncompressed."""
        return sum(
            len(key) + len(value)
            for where in (self._records, self._states)
            for key, value in where.values.items()
        )

    def close(self, *, flush: bool = True) -> None:
        """End the store; with `flush` everything is as synced."""
        assert self._is_open, "closed twice"
        self.commit.close()
        if flush:
            self._upkeep.checkpoint_all()
            self._undo.clear()
        self._is_open = False

    # What `RecordStore` asks for.

    def _read(self, key: bytes) -> bytes | None:
        if key in self._rotten:
            raise CorruptData(f"record {key.hex()} fails its checksum")
        return self._records.values.get(key)

    def _put(self, key: bytes, value: bytes) -> None:
        self._admit(holds_records=True)
        records = self._records
        self._undo.append([(records, key, records.values.get(key))])
        records.put(key, value)

    def write(self, records: Changes, states: Changes) -> None:
        """Write to both spaces, all or nothing."""
        self._admit(holds_records=bool(records))
        undo: Undo = []
        for where, changes in ((self._records, records), (self._states, states)):
            for key, value in changes:
                _change(where, key, value, undo)
        self._undo.append(undo)

    def _drop(self, table: bytes, states: Changes) -> None:
        self._admit(holds_records=False)
        undo: Undo = []
        for key in self._records.keys(table, after(table)):
            _change(self._records, key, None, undo)
        for kind in (LEAF_STATE, DIRTY_STATE):
            for name in self._states.keys(kind + table, after(kind + table)):
                _change(self._states, name, None, undo)
        for name, value in states:
            _change(self._states, name, value, undo)
        self._undo.append(undo)

    def read_state(self, name: bytes) -> bytes | None:
        """Read one state."""
        return self._states.values.get(name)

    def states(self, start: bytes, end: bytes, count_max: int) -> list[Record]:
        """Read states in order."""
        values = self._states.values
        return [(name, values[name]) for name in self._states.some_keys(start, end, count_max)]

    def scan(self, start: bytes, end: bytes, records_max: int, bytes_max: int) -> Page:
        """Read records in order."""
        keys = self._records.some_keys(start, end, records_max + 1)
        return self._page(keys, records_max, bytes_max)

    def _scan_back(self, start: bytes, end: bytes, records_max: int, bytes_max: int) -> Page:
        keys = self._records.last_keys(start, end, records_max + 1)
        return self._page(keys, records_max, bytes_max)

    def _page(self, keys: list[bytes], records_max: int, bytes_max: int) -> Page:
        records: list[Record] = []
        size = 0
        for key in keys:
            if len(records) == records_max or (records and size >= bytes_max):
                return Page(records, more=True)
            value = self.get(key)
            assert value is not None
            records.append((key, value))
            size += len(key) + len(value)
        return Page(records, more=False)

    def _fault(self, error: Exception) -> Exception:
        if isinstance(error, CorruptData):
            self.found_corrupt = True
            self.damage = str(error)
        return error

    # Its own.

    def _admit(self, *, holds_records: bool) -> None:
        assert self._is_open, "a closed store was written to"
        if self.is_full:
            raise DiskFailed("the disk is full; free some space and restart the node")
        if self.is_slow and holds_records:
            raise Overloaded("the disk cannot keep up with the writes; try again shortly")
        if len(self._undo) > UNDO_MAX:
            self._forget_undo(self._undo_first + UNDO_MAX // 2)

    def _begin_sync(self, done: Done) -> None:
        covered = self._undo_first + len(self._undo)

        def complete() -> None:
            if not self._is_open:
                return
            error = self.fail_syncs
            if error is None:
                self._forget_undo(covered)
            done(error)

        if self._sync is None:
            complete()
        else:
            self._sync(complete)

    def _forget_undo(self, covered: int) -> None:
        count = covered - self._undo_first
        if count > 0:
            del self._undo[:count]
            self._undo_first = covered

    def _successor(
        self,
        sync: Callable[[Callable[[], None]], None] | None,
        fatal: Callable[[BaseException], None] | None,
    ) -> "MemoryStore":
        durability = self.commit.durability
        store = MemoryStore(self._now_ns, durability=durability, sync=sync, fatal=fatal)
        if self.found_corrupt:
            store.start_recovering(self.damage)
        else:
            store.adopt(self._records, self._states, self._rotten)
        return store

    def start_recovering(self, damage: str) -> None:
        """Begin empty, in place of a store that was found damaged."""
        self._states.put(RECOVERING, damage.encode())
        self._load()

    def adopt(self, records: SortedMap, states: SortedMap, rotten: set[bytes]) -> None:
        """Begin with what an earlier store left."""
        self._records = records
        self._states = states
        self._rotten = rotten
        self._get = self._read if rotten else records.values.get
        self._load()


def _change(where: SortedMap, key: bytes, value: bytes | None, undo: Undo) -> None:
    undo.append((where, key, where.values.get(key)))
    if value is None:
        where.remove(key)
    else:
        where.put(key, value)


def _raise(error: BaseException) -> NoReturn:
    raise error
