r"""Rows as canonical bytes: what is stored, hashed, sent between nodes and compared.

A row is a set of entries, at most one per slot, sorted by slot::

    row    = format(1) flags(1) stamp(8) shape_size(4) shape value*
    shape  = entry*              everything but the values: equal statements give equal shapes
    entry  = kind(1) name_size(2) name [path_size(2) path]
             [behind(8)] [expiry(8) ttl(4)] [issued(8)]
    value  = size(4) bytes       one for each entry of kind CELL or EXPIRING, in order

`stamp` is the row's greatest timestamp plus 2**63, so that bytes order as numbers; an entry
with an older timestamp says how far `behind` it lies. So a whole row is re-stamped by replacing
eight bytes. `flags` is SIMPLE when every entry is a plain cell at the stamp: then two rows of
one shape reconcile by comparing stamps alone, which is nearly every overwrite.

Reconciling takes, slot by slot, the greater entry by `Entry.rank` (CORRECTNESS 4). It is
commutative, associative and idempotent on these bytes. A deletion never removes what it covers:
readers skip what is covered, and the purge protocol removes it (CORRECTNESS 1, 2 and 8).

Source: CORRECTNESS 1 to 4; Cassandra's storage engine for the kinds of entry.
"""

from collections.abc import Iterable, Sequence
from enum import IntEnum
from struct import Struct
from struct import error as StructError  # noqa: N812  # It is a class.
from typing import NamedTuple, TypeAlias

from anel.errors import CorruptData

FORMAT = 1  # On disk and between nodes since format 1: never renumber.
SIMPLE = 1
BIAS = 1 << 63
HEADER_SIZE = 14
NO_EXPIRY = 0

_HEADER = Struct(">BBQI")
_STAMP = Struct(">Q")
_HEAD = Struct(">BH")
_U16 = Struct(">H")
_U32 = Struct(">I")
_EXPIRY = Struct(">QI")

_HAS_PATH = 0x10
_IS_BEHIND = 0x20
_HAS_ISSUED = 0x40


class Kind(IntEnum):
    """What an entry is. On disk since format 1: never renumber."""

    CELL = 0
    EXPIRING = 1
    TOMBSTONE = 2
    COLLECTION_DELETION = 3
    LIVENESS = 4
    EXPIRING_LIVENESS = 5
    ROW_DELETION = 6


_KINDS = tuple(Kind)
_SLOT_CLASS = (3, 3, 3, 2, 1, 1, 0)  # By kind: row deletion, liveness, collection, cells.
_TIE_RANK = (0, 1, 2, 0, 0, 1, 0)  # By kind: a tombstone beats expiring beats plain.
_HAS_VALUE = (True, True, False, False, False, False, False)
_HAS_EXPIRY = (False, True, False, False, False, True, False)
_ISSUED_DIFFERS = (True, False, False, False, True, False, False)  # Else it is the timestamp.

_TOMBSTONE = 2  # Plain numbers: looking up a member of an enum costs as much as the test.
_COLLECTION_DELETION = 3
_LIVENESS = (4, 5)
_ROW_DELETION = 6
_ROW_SLOT = (b"", 0, b"")

_Flat: TypeAlias = tuple[bytes, int, bytes, int, int, int, bytes, int, int, int]
"""An entry as reconciling wants it: slot (name, class, path), then rank (timestamp, tie,
expiry, value, issued, ttl), then kind. Of two in one slot the greater tuple wins."""


class Entry(NamedTuple):
    """One entry of a row.

    Attributes:
        kind: What it is.
        name: Column name bytes; empty for LIVENESS, EXPIRING_LIVENESS and ROW_DELETION.
        path: Element of a collection; empty otherwise.
        timestamp: Microseconds, signed 64 bits.
        value: The CQL wire bytes of the value; empty for kinds that have none.
        expiry_ms: When an expiring entry stops being live: milliseconds since the Unix epoch.
        ttl_s: The time to live it was written with, in seconds.
        issued: The coordinator's HLC at the mutation, for tombstones and expiring entries.
    """

    kind: Kind
    name: bytes
    path: bytes
    timestamp: int
    value: bytes = b""
    expiry_ms: int = NO_EXPIRY
    ttl_s: int = 0
    issued: int = 0

    @property
    def slot(self) -> tuple[bytes, int, bytes]:
        """What the entry competes for: one entry per slot survives reconciliation."""
        return (self.name, _SLOT_CLASS[self.kind], self.path)

    @property
    def rank(self) -> tuple[int, int, int, bytes, int, int]:
        """Order within a slot: the greatest wins (CORRECTNESS 4)."""
        tie = _TIE_RANK[self.kind]
        return (self.timestamp, tie, self.expiry_ms, self.value, self.issued, self.ttl_s)


def cell(name: bytes, value: bytes, timestamp: int, path: bytes = b"") -> Entry:
    """Make a plain cell."""
    return Entry(Kind.CELL, name, path, timestamp, value)


def tombstone(name: bytes, timestamp: int, issued: int, path: bytes = b"") -> Entry:
    """Make the tombstone of one cell."""
    return Entry(Kind.TOMBSTONE, name, path, timestamp, issued=issued)


def row_deletion(timestamp: int, issued: int) -> Entry:
    """Make the deletion of a whole row: it covers cells with a timestamp up to its own."""
    return Entry(Kind.ROW_DELETION, b"", b"", timestamp, issued=issued)


def liveness(timestamp: int) -> Entry:
    """Make the marker that says the row exists even with no cell (CQL's INSERT)."""
    return Entry(Kind.LIVENESS, b"", b"", timestamp)


def encode(entries: Iterable[Entry]) -> bytes:
    """Write entries, at most one per slot, as canonical bytes; b"" for none."""
    return _encode(sorted((*entry.slot, *entry.rank, entry.kind) for entry in entries))


def _encode(flats: Sequence[_Flat]) -> bytes:
    if not flats:
        return b""
    stamp = max(flat[3] for flat in flats)
    simple = SIMPLE
    shape: list[bytes] = []
    values: list[bytes] = []
    for name, _, path, timestamp, _, expiry, value, issued, ttl, kind in flats:
        head = kind
        rest = b""
        if path:
            head |= _HAS_PATH
            rest = _U16.pack(len(path)) + path
        if timestamp != stamp:
            head |= _IS_BEHIND
            rest += _STAMP.pack(stamp - timestamp)
        if _HAS_EXPIRY[kind]:
            rest += _EXPIRY.pack(expiry, ttl)
        if issued and issued != timestamp:
            head |= _HAS_ISSUED
            rest += _STAMP.pack(issued + BIAS)
        if head & ~_HAS_PATH:
            simple = 0
        shape += (_HEAD.pack(head, len(name)), name, rest)
        if _HAS_VALUE[kind]:
            values += (_U32.pack(len(value)), value)
    shape_size = sum(map(len, shape))
    header = _HEADER.pack(FORMAT, simple, stamp + BIAS, shape_size)
    return b"".join((header, *shape, *values))


def shape_of(row: bytes) -> bytes:
    """Give the header's shape part, for a door that builds rows of one fixed shape."""
    return row[HEADER_SIZE : HEADER_SIZE + _U32.unpack_from(row, 10)[0]]


def simple_row(shape: bytes, timestamp: int, values: Iterable[bytes]) -> bytes:
    """Write a SIMPLE row whose shape is known, one value per entry, in slot order.

    Args:
        shape: What `shape_of` gave for an encoded row of plain cells at one timestamp.
        timestamp: Of every cell.
        values: The cells' values, in the shape's order.
    """
    parts = [_HEADER.pack(FORMAT, SIMPLE, timestamp + BIAS, len(shape)), shape]
    for value in values:
        parts += (_U32.pack(len(value)), value)
    return b"".join(parts)


def is_simple_of(row: bytes, shape: bytes) -> bool:
    """Tell whether a row is SIMPLE and of this shape, so that `simple_values` may read it."""
    return (
        row[1:2] == b"\x01"
        and _U32.unpack_from(row, 10)[0] == len(shape)
        and row.startswith(shape, HEADER_SIZE)
    )


def simple_values(row: bytes, shape_size: int) -> list[bytes]:
    """Read the values of a SIMPLE row, in slot order."""
    offset = HEADER_SIZE + shape_size
    values = []
    end = len(row)
    while offset < end:
        size = _U32.unpack_from(row, offset)[0]
        offset += 4
        values.append(row[offset : offset + size])
        offset += size
    return values


def stamp_of(row: bytes) -> int:
    """Give the greatest timestamp in a row."""
    return int(_STAMP.unpack_from(row, 2)[0]) - BIAS


def restamp(row: bytes, timestamp: int) -> bytes:
    """Shift every timestamp and every `issued` of a row so that its greatest is this one.

    For rows whose timestamps the server assigned.
    """
    if row[1] != SIMPLE:
        flats = _flatten(row)
        if any(flat[7] not in {0, flat[3]} for flat in flats):
            shift = timestamp - stamp_of(row)
            return _encode([_shifted(flat, shift) for flat in flats])
    return row[:2] + _STAMP.pack(timestamp + BIAS) + row[10:]


def _shifted(flat: _Flat, shift: int) -> _Flat:
    issued = flat[7] and flat[7] + shift
    return (*flat[:3], flat[3] + shift, *flat[4:7], issued, *flat[8:])


def decode(row: bytes) -> list[Entry]:
    """Read a row's entries in slot order; none for b"".

    Raises:
        CorruptData: The bytes are not a row of a known format.
    """
    return [
        Entry(_KINDS[kind], name, path, timestamp, value, expiry, ttl, issued)
        for name, _, path, timestamp, _, expiry, value, issued, ttl, kind in _flatten(row)
    ]


def _flatten(row: bytes) -> list[_Flat]:
    if not row:
        return []
    try:
        form, _, biased, shape_size = _HEADER.unpack_from(row)
        if form != FORMAT:
            raise CorruptData(
                f"row format {form} is unknown; this release reads format {FORMAT}"
            )
        flats, end = _flatten_shape(row, biased - BIAS, HEADER_SIZE + shape_size)
    except (IndexError, StructError) as error:
        raise CorruptData("row bytes end too early") from error
    if end != len(row):
        raise CorruptData("row bytes do not add up")
    return flats


def _flatten_shape(row: bytes, stamp: int, shape_end: int) -> tuple[list[_Flat], int]:
    at = HEADER_SIZE
    value_at = shape_end
    flats: list[_Flat] = []
    while at < shape_end:
        head = row[at]
        kind = head & 0x0F
        name_at = at + 3
        at = name_at + (row[at + 1] << 8 | row[at + 2])
        name = row[name_at:at]
        path = value = b""
        timestamp = stamp
        expiry = ttl = issued = 0
        if head & _HAS_PATH:
            path_at = at + 2
            at = path_at + (row[at] << 8 | row[at + 1])
            path = row[path_at:at]
        if head & _IS_BEHIND:
            timestamp -= _STAMP.unpack_from(row, at)[0]
            at += 8
        if _HAS_EXPIRY[kind]:
            expiry, ttl = _EXPIRY.unpack_from(row, at)
            at += 12
        if head & _HAS_ISSUED:
            issued = _STAMP.unpack_from(row, at)[0] - BIAS
            at += 8
        elif not _ISSUED_DIFFERS[kind]:
            issued = timestamp
        if _HAS_VALUE[kind]:
            start = value_at + 4
            value_at = start + _U32.unpack_from(row, value_at)[0]
            value = row[start:value_at]
        tie, slot_class = _TIE_RANK[kind], _SLOT_CLASS[kind]
        flats.append((name, slot_class, path, timestamp, tie, expiry, value, issued, ttl, kind))
    if at != shape_end:
        raise CorruptData("row bytes do not add up")
    return flats, value_at


def merge(old: bytes, new: bytes) -> bytes:
    """Reconcile two rows of one key; commutative, associative, idempotent.

    Raises:
        CorruptData: One of them is not a row.
    """
    if old == new or not new:
        return old
    if not old:
        return new
    if _same_simple_shape(old, new) and old[2:10] != new[2:10]:
        return new if new[2:10] > old[2:10] else old
    theirs = _flatten(old)
    ours = _flatten(new)
    best = {flat[:3]: flat for flat in theirs}
    lost = 0
    for flat in ours:
        slot = flat[:3]
        other = best.get(slot)
        if other is None or flat > other:
            best[slot] = flat
        else:
            lost += 1
    if lost == len(ours):
        return old
    if not lost and len(best) == len(ours):
        return new
    return _encode(sorted(best.values()))


def dominant(old: bytes, new: bytes) -> int | None:
    """Tell the greatest timestamp by which what is stored hides part of a new row, if any.

    For server-assigned timestamps the coordinator writes again above it (CORRECTNESS 9). The
    same row again is not hidden.
    """
    if not old or old == new:
        return None
    if _same_simple_shape(old, new) and old[2:10] != new[2:10]:
        return None if new[2:10] > old[2:10] else stamp_of(old)
    if stamp_of(old) < stamp_of(new) and new[1] == SIMPLE:
        return None
    return _greatest_hiding(_flatten(old), _flatten(new))


def _greatest_hiding(old: list[_Flat], new: list[_Flat]) -> int | None:
    # Of those old entries that beat a new one in its slot, those whose area covers a new one,
    # and those that a new deletion covers but is too early for.
    theirs = {flat[:3]: flat for flat in old}
    ours = {flat[:3]: flat for flat in new}
    hiding = [
        theirs[slot][3] for slot, flat in ours.items() if slot in theirs and theirs[slot] > flat
    ]
    for mine in new:
        for area in _areas_over(mine):
            deletion = theirs.get(area)
            if deletion is not None and deletion[3] >= mine[3]:
                hiding.append(deletion[3])
    for other in old:
        for area in _areas_over(other):
            deletion = ours.get(area)
            if deletion is not None and other[3] > deletion[3]:
                hiding.append(other[3])
    return max(hiding, default=None)


def _areas_over(flat: _Flat) -> tuple[tuple[bytes, int, bytes], ...]:
    # The slots of the deletions that cover an entry: the row's, its collection's.
    slot_class = flat[1]
    if slot_class == 3:
        return (_ROW_SLOT, (flat[0], 2, b""))
    return (_ROW_SLOT,) if slot_class else ()


def _same_simple_shape(old: bytes, new: bytes) -> bool:
    # Both SIMPLE, and equal from the shape's size to the shape's end.
    return (
        old[1] == SIMPLE
        and new[1] == SIMPLE
        and old[10:14] == new[10:14]
        and (end := HEADER_SIZE + _U32.unpack_from(new, 10)[0])
        and old[14:end] == new[14:end]
    )


class LiveRow(NamedTuple):
    """What a reader sees of a row at one instant.

    Attributes:
        exists: The row has a liveness marker or a live cell.
        cells: Live cells by (name, path), in slot order.
    """

    exists: bool
    cells: dict[tuple[bytes, bytes], Entry]


def live(entries: Iterable[Entry], now_ms: int, covered_to: int | None = None) -> LiveRow:
    """Overlay deletions and expiry on a row's entries.

    Args:
        entries: As `decode` gives them, in slot order.
        now_ms: The coordinator's wall clock, milliseconds (CORRECTNESS 2).
        covered_to: Timestamp of the greatest partition or range tombstone over the row.
    """
    floor = -BIAS - 1 if covered_to is None else covered_to
    collection: dict[bytes, int] = {}
    exists = False
    cells: dict[tuple[bytes, bytes], Entry] = {}
    for entry in entries:
        kind, name, path, timestamp, _, expiry_ms, _, _ = entry
        if kind == _ROW_DELETION:
            floor = max(floor, timestamp)
        elif kind == _COLLECTION_DELETION:
            collection[name] = timestamp
        elif timestamp <= floor or kind == _TOMBSTONE or 0 < expiry_ms <= now_ms:
            continue
        elif kind in _LIVENESS:
            exists = True
        elif timestamp > collection.get(name, floor):
            cells[name, path] = entry
            exists = True
    return LiveRow(exists, cells)
