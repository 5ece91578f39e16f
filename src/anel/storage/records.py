"""What both stores do alike: merge mutations, keep summaries, order durability, page.

A store of a kind (`memory`, `rocks`) supplies a few operations on two ordered spaces and
inherits the rest, so that the simulation runs the very code that serves::

    records    prefix + sub -> value        one row or deletion each
    states     m name -> value              the node's named states (the port's `meta`)
               t, l, d ...                  see anel.storage.summary
               r -> damage                  the store is recovering, and why

`apply` has a short path for nearly every write, one plain row of a known table without
tombstone records: one get, one put, nothing built that is not stored.
"""

import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from struct import Struct
from typing import ClassVar, TypeAlias

import mmh3

from anel.data import row
from anel.data.mutation import (
    FIRST_ROW_KIND,
    PARTITION_DELETION,
    RANGE_DELETION,
    ROW,
    STATIC,
    TABLE_SIZE,
    decode,
    decode_deletion,
    merge_record,
)
from anel.errors import CorruptData, DiskFailed, InvalidRequest
from anel.limits import ROW_BYTES_MAX
from anel.storage import visibility
from anel.storage.commit import GroupCommit
from anel.storage.store import Page, Record
from anel.storage.summary import (
    BLOCK_SHIFT,
    CLEAN,
    DIRTY,
    DIRTY_STATE,
    HAS_FRONTS,
    HASH_SEED,
    LEAF_SHIFT,
    LEAF_STATE,
    SCRUBBING,
    TABLE_STATE,
    TableSummary,
    after,
    leaf_of,
    mark_name,
)
from anel.storage.upkeep import SCRUB_RECORDS_PER_S, Upkeep

META = b"m"  # On disk since format 1, like all names of states: never renumber.
RECOVERING = b"r"

Changes: TypeAlias = Sequence[tuple[bytes, bytes | None]]
"""(key, value) pairs; None removes the key."""

_ROW_KIND = ROW[0]
_SIMPLE_ROW = bytes((row.FORMAT, row.SIMPLE))
_KINDS = (PARTITION_DELETION, RANGE_DELETION, STATIC, ROW)
_PREFIX = Struct(">16sH6xH").unpack_from  # Table, the token's head, the partition key's size.
_RECORD = Struct(">HHB").unpack_from  # Number of records; of the first: size of sub, kind.
_VALUE = Struct(">IBB8xI").unpack_from  # Its size; of a row: format, flags, the shape's size.
_hash128 = mmh3.hash128


class RecordStore(ABC):
    """The port `anel.storage.store.Store` over two ordered spaces that a subclass holds.

    Attributes:
        commit: Who waits for which sync.
        waits: Only what is synced is acknowledged: under `group`.
        recovering: Acknowledged rows may be missing here.
        damage: What was found damaged, for people; empty when nothing was.
        SCRUB_RECORDS_PER_S: How fast the scrub goes through the records.
        found_corrupt: Damage was met while this store was open: it will be set aside at the
            next open, so the node had better restart.
        scrub_corrections: Leaves that a scrub found different from their records, and mended.
    """

    SCRUB_RECORDS_PER_S: ClassVar[int] = SCRUB_RECORDS_PER_S

    def __init__(self, now_ns: Callable[[], int], commit: GroupCommit) -> None:
        self._now_ns = now_ns
        self.commit = commit
        self.waits = commit.tracks
        self.damage = ""
        self.recovering = False
        self.found_corrupt = False
        self.scrub_corrections = 0
        self._tables: dict[bytes, TableSummary] = {}
        self._upkeep = Upkeep(self, self.SCRUB_RECORDS_PER_S)
        self._get: Callable[[bytes], bytes | None] = self._read

    # What a store of a kind supplies.

    @abstractmethod
    def _read(self, key: bytes) -> bytes | None:
        """Read one record; may raise anything that `_fault` understands."""

    @abstractmethod
    def _put(self, key: bytes, value: bytes) -> None:
        """Write one record."""

    @abstractmethod
    def write(self, records: Changes, states: Changes) -> None:
        """Write to both spaces, all or nothing; records are never removed this way."""

    @abstractmethod
    def _drop(self, table: bytes, states: Changes) -> None:
        """Remove a table's records, leaves and marks, and write states, all or nothing."""

    @abstractmethod
    def read_state(self, name: bytes) -> bytes | None:
        """Read one state."""

    @abstractmethod
    def states(self, start: bytes, end: bytes, count_max: int) -> list[Record]:
        """Read states with start <= name < end, in order."""

    @abstractmethod
    def scan(self, start: bytes, end: bytes, records_max: int, bytes_max: int) -> Page:
        """Read records in order."""

    @abstractmethod
    def _scan_back(self, start: bytes, end: bytes, records_max: int, bytes_max: int) -> Page:
        """Read records from the greatest key down."""

    @abstractmethod
    def _fault(self, error: Exception) -> Exception:
        """Turn what reading or writing raised into an error of `anel.errors`."""

    @abstractmethod
    def disk_bytes(self) -> int:
        """Tell how much disk the store takes."""

    @abstractmethod
    def close(self, *, flush: bool = True) -> None:
        """Give the files back."""

    # The port.

    def recovered(self) -> None:
        """Note that everything was refilled."""
        self.write((), ((RECOVERING, None),))
        self.recovering = False
        if not self.found_corrupt:
            self.damage = ""

    def apply(self, mutation: bytes) -> int | None:
        """Merge a mutation into the store; see the port."""
        # One plain row of a known table that has no tombstones: nearly every write.
        try:
            table, leaf, key_size = _PREFIX(mutation, 8)
            at = 34 + key_size
            count, sub_size, kind = _RECORD(mutation, at)
            value_at = at + 8 + sub_size
            value_size, value_format, flags, shape_size = _VALUE(mutation, value_at - 4)
        except struct.error:
            return self._apply_any(mutation)
        summary = self._tables.get(table)
        if (
            count != 1
            or kind != _ROW_KIND
            or value_at + value_size != len(mutation)
            or summary is None
            or summary.has_fronts
            or value_format != row.FORMAT
            or flags != row.SIMPLE
        ):
            return self._apply_any(mutation)
        key = mutation[8:at] + mutation[at + 4 : value_at - 4]
        new = mutation[value_at:]
        try:
            old = self._get(key)
        except Exception as error:
            raise self._fault(error) from error
        if (
            old is not None
            and old.startswith(_SIMPLE_ROW)
            and old.startswith(new[10 : 14 + shape_size], 10)
            and old[2:10] < new[2:10]
        ):
            hidden = None  # It replaces the stored row whole: nearly every overwrite.
        elif old is not None:
            hidden = row.dominant(old, new)
            new = row.merge(old, new)
            if new == old:
                return hidden
        else:
            hidden = None
        leaf >>= LEAF_SHIFT
        if len(new) > ROW_BYTES_MAX or summary.states[leaf] != DIRTY:
            self._store([(key, old or b"", new)])
            return hidden
        self._put_row(summary, leaf, key, old, new)
        return hidden

    def _put_row(  # noqa: PLR0917 - on the hot path, called from one place.
        self, summary: TableSummary, leaf: int, key: bytes, old: bytes | None, new: bytes
    ) -> None:
        """Write one row whose leaf has its dirty mark on disk."""
        try:
            self._put(key, new)
        except Exception as error:
            raise self._fault(error) from error
        seed = HASH_SEED + len(key)
        change = _hash128(key + new, seed)
        if old is None:
            summary.records[leaf] += 1
            summary.rows += 1
        else:
            change ^= _hash128(key + old, seed)
        summary.leaves[leaf] ^= change
        summary.blocks[leaf >> BLOCK_SHIFT] ^= change
        if self.waits:
            self.commit.fresh.add(key)

    def get(self, key: bytes) -> bytes | None:
        """Read one record."""
        try:
            return self._get(key)
        except Exception as error:  # As above.
            raise self._fault(error) from error

    def has_fronts(self, table: bytes) -> bool:
        """Tell whether the table may hold tombstone records."""
        summary = self._tables.get(table)
        return summary is not None and summary.has_fronts

    def page(self, start: bytes, end: bytes, records_max: int, bytes_max: int) -> Page:
        """Read records in order."""
        return self.scan(start, end, records_max, bytes_max)

    def page_back(self, start: bytes, end: bytes, records_max: int, bytes_max: int) -> Page:
        """Read records from the greatest key down."""
        return self._scan_back(start, end, records_max, bytes_max)

    def is_durable(self, key: bytes) -> bool:
        """Tell whether a key's last change is on disk."""
        return self.commit.is_durable(key)

    def when_durable(self, callback: Callable[[], None], *, forced: bool = False) -> None:
        """Call back once what was applied so far is durable."""
        self.commit.when_durable(callback, forced=forced)

    def truncate(self, table: bytes) -> None:
        """Remove every record of a table."""
        if table in self._tables:
            self._drop(table, ((TABLE_STATE + table, b"\0"),))
            self.commit.drop(table)
            self._upkeep.forget(self._tables[table])
            self._tables[table] = TableSummary(table)

    def summary(self, table: bytes) -> TableSummary:
        """Give a table's live summary; it is replaced when the table is truncated."""
        return self._tables.get(table) or _NOTHING

    def tables(self) -> list[bytes]:
        """List the tables known here, in order of their ids."""
        return sorted(self._tables)

    def put_meta(self, name: bytes, value: bytes | None) -> None:
        """Write or delete one named state."""
        self.write((), ((META + name, value),))

    def put_metas(self, changes: Sequence[tuple[bytes, bytes | None]]) -> None:
        """Write several named states, all or nothing."""
        self.write((), [(META + name, value) for name, value in changes])

    def get_meta(self, name: bytes) -> bytes | None:
        """Read one named state."""
        return self.read_state(META + name)

    def metas(self, prefix: bytes, start: bytes, count_max: int) -> list[Record]:
        """List named states that begin with `prefix`, from the name `start` on."""
        first = META + max(prefix, start)
        found = self.states(first, after(META + prefix), count_max)
        return [(name[1:], value) for name, value in found]

    def work(self, until_ns: int) -> bool:
        """Do upkeep until this time; tell whether more is waiting."""
        self.commit.work(self._now_ns())
        if self.found_corrupt:
            return False  # It will be set aside: no summary of it matters any more.
        try:
            return self._upkeep.work(until_ns)
        except CorruptData:  # Noted: `found_corrupt` and `damage` tell the node.
            self._upkeep.stop_scan()
            return False
        except DiskFailed:  # Clients are told by their own writes; leaves just stay dirty.
            return False

    # Shared with the upkeep.

    def now_ns(self) -> int:
        """Tell the monotonic time."""
        return self._now_ns()

    def _load(self) -> None:
        """Read the summaries and the recovering note; call once, at the end of opening."""
        damage = self.read_state(RECOVERING)
        if damage is not None:
            self.recovering = True
            self.damage = damage.decode()
        for name, flags in self._all_states(TABLE_STATE):
            self._tables[name[1:]] = TableSummary(
                name[1:], has_fronts=bool(flags[0] & HAS_FRONTS)
            )
        for name, checkpoint in self._all_states(LEAF_STATE):
            self._tables[name[1:17]].load_chunk(name[17], checkpoint)
        for name, _ in self._all_states(DIRTY_STATE):
            self._tables[name[1:17]].load_mark(name[17] << 8 | name[18])

    def _all_states(self, kind: bytes) -> list[Record]:
        return self.states(kind, after(kind), 1 << 62)

    def _apply_any(self, mutation: bytes) -> int | None:
        """Merge any mutation: several records, deletions, static rows, first of its table."""
        prefix, records = decode(mutation)[1:]
        table = prefix[:TABLE_SIZE]
        old_values: dict[bytes, bytes] = {}
        values: dict[bytes, bytes] = {}
        hidden: list[int] = []
        for sub, new in records:
            _check(sub, new)
            key = prefix + sub
            if key not in values:
                values[key] = old_values[key] = self.get(key) or b""
            fronts = visibility.fronts_of(self, prefix) if self.has_fronts(table) else []
            found = visibility.hidden_by(
                self, prefix, (sub, new), old=old_values[key], fronts=fronts
            )
            if found is not None:
                hidden.append(found)
            values[key] = merge_record(sub, values[key], new)
        self._store(
            [
                (key, old_values[key], new)
                for key, new in values.items()
                if new != old_values[key]
            ]
        )
        return max(hidden) if hidden else None

    def _store(self, changes: list[tuple[bytes, bytes, bytes]]) -> None:
        """Write changed records (key, old value, new value) with the marks they need."""
        if not changes:
            return
        table = changes[0][0][:TABLE_SIZE]
        known = self._tables.get(table)
        summary = known or TableSummary(table)
        states: list[tuple[bytes, bytes | None]] = []
        has_fronts = summary.has_fronts
        leaf = leaf_of(changes[0][0])
        for key, _, new in changes:
            if len(new) > ROW_BYTES_MAX:
                raise InvalidRequest(
                    f"the row would have {len(new)} bytes and {ROW_BYTES_MAX} is the most; "
                    "split it over several rows"
                )
            has_fronts = has_fronts or _kind_of(key) < FIRST_ROW_KIND
        if known is None or has_fronts != summary.has_fronts:
            states.append((TABLE_STATE + table, b"\x01" if has_fronts else b"\0"))
        state = summary.states[leaf]
        if state in (CLEAN, SCRUBBING):
            states.append((mark_name(table, leaf), b""))
        self.write([(key, new) for key, _, new in changes], states)
        self._tables[table] = summary
        summary.has_fronts = has_fronts
        if state in (CLEAN, SCRUBBING):
            summary.mark(leaf)
        for key, old, new in changes:
            summary.note(leaf, key, old, new)
        if self.commit.tracks:
            self.commit.fresh.update(key for key, _, _ in changes)


_NOTHING = TableSummary(bytes(TABLE_SIZE))  # Of every unknown table; never written to.


def _check(sub: bytes, value: bytes) -> None:
    """Refuse a record that no reader could read."""
    if sub[:1] not in _KINDS:
        raise CorruptData("a record of an unknown kind")
    if sub[0] < FIRST_ROW_KIND:
        decode_deletion(value)
    else:
        row.decode(value)


def _kind_of(key: bytes) -> int:
    return key[TABLE_SIZE + 10 + (key[24] << 8 | key[25])]
