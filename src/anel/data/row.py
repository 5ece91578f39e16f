r"""Rows as canonical bytes: what is stored, hashed, sent between nodes and compared.

A row is a set of entries, at most one per slot, sorted by slot::

    row    = format(1) flags(1) stamp(8) shape_size(4) shape value*
    shape  = entry*              everything but the values: equal statements give equal shapes
    entry  = kind(1) name_size(2) name [path_size(2) path] [behind(8)] [expiry(8) ttl(4)] [issued(8)]
    value  = size(4) bytes       one for each entry of kind CELL or EXPIRING, in order

`stamp` is the row's greatest timestamp plus 2**63, so that bytes order as numbers; an entry with
an older timestamp says how far `behind` it lies. So a whole row is re-stamped by replacing
eight bytes. `flags` is SIMPLE when every entry is a plain cell at the stamp: then two rows of one
shape reconcile by comparing stamps alone, which is nearly every overwrite.

Reconciling takes, slot by slot, the greater entry by `Entry.rank` (CORRECTNESS 4). It is
commutative, associative and idempotent on these bytes. A deletion never removes what it covers:
readers skip what is covered, and the purge protocol removes it (CORRECTNESS 1, 2 and 8).

Source: CORRECTNESS 1 to 4; Cassandra's storage engine for the kinds of entry.
"""

from collections.abc import Iterable
from enum import IntEnum
from struct import Struct
from typing import NamedTuple

from anel.errors import CorruptData

FORMAT = 1  # On disk and between nodes since format 1: never renumber.
SIMPLE = 1
BIAS = 1 << 63
HEADER_SIZE = 14
NO_EXPIRY = 0

_HEADER = Struct(">BBQI")
_STAMP = Struct(">Q")
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


_SLOT_CLASS = {
    Kind.ROW_DELETION: 0,
    Kind.LIVENESS: 1,
    Kind.EXPIRING_LIVENESS: 1,
    Kind.COLLECTION_DELETION: 2,
    Kind.CELL: 3,
    Kind.EXPIRING: 3,
    Kind.TOMBSTONE: 3,
}
_TIE_RANK = {Kind.TOMBSTONE: 2, Kind.EXPIRING: 1, Kind.EXPIRING_LIVENESS: 1}
_HAS_VALUE = (Kind.CELL, Kind.EXPIRING)
_HAS_EXPIRY = (Kind.EXPIRING, Kind.EXPIRING_LIVENESS)


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
    def rank(self) -> tuple[int, int, int, bytes, int]:
        """Order within a slot: the greatest wins (CORRECTNESS 4)."""
        kind = _TIE_RANK.get(self.kind, 0)
        return (self.timestamp, kind, self.expiry_ms, self.value, self.issued)


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
    ordered = sorted(entries, key=lambda entry: entry.slot)
    if not ordered:
        return b""
    stamp = max(entry.timestamp for entry in ordered)
    simple = SIMPLE
    shape = []
    values = []
    for entry in ordered:
        if entry.kind is not Kind.CELL or entry.timestamp != stamp:
            simple = 0
        shape.append(_encode_shape(entry, stamp))
        if entry.kind in _HAS_VALUE:
            values.append(_U32.pack(len(entry.value)) + entry.value)
    shape_bytes = b"".join(shape)
    header = _HEADER.pack(FORMAT, simple, stamp + BIAS, len(shape_bytes))
    return b"".join((header, shape_bytes, *values))


def _encode_shape(entry: Entry, stamp: int) -> bytes:
    head = int(entry.kind)
    parts = [b"", _U16.pack(len(entry.name)), entry.name]
    if entry.path:
        head |= _HAS_PATH
        parts += (_U16.pack(len(entry.path)), entry.path)
    if entry.timestamp != stamp:
        head |= _IS_BEHIND
        parts.append(_STAMP.pack(stamp - entry.timestamp))
    if entry.kind in _HAS_EXPIRY:
        parts.append(_EXPIRY.pack(entry.expiry_ms, entry.ttl_s))
    if entry.issued and entry.issued != entry.timestamp:
        head |= _HAS_ISSUED
        parts.append(_STAMP.pack(entry.issued + BIAS))
    parts[0] = bytes((head,))
    return b"".join(parts)


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
    """Move every timestamp of a row so that its greatest is this one.

    For rows whose timestamps the server assigned; `issued` follows where it was equal.
    """
    return row[:2] + _STAMP.pack(timestamp + BIAS) + row[10:]


def decode(row: bytes) -> list[Entry]:
    """Read a row's entries in slot order; none for b"".

    Raises:
        CorruptData: The bytes are not a row of a known format.
    """
    if not row:
        return []
    try:
        return _decode(row)
    except (IndexError, ValueError, TypeError, OverflowError) as error:
        raise CorruptData(f"row bytes cannot be read: {error}") from error
    except Exception as error:
        if type(error).__name__ == "error":  # struct.error has no importable narrower base.
            raise CorruptData("row bytes end too early") from error
        raise


def _decode(row: bytes) -> list[Entry]:
    form, _, biased, shape_size = _HEADER.unpack_from(row)
    if form != FORMAT:
        raise CorruptData(f"row format {form} is unknown; this release reads format {FORMAT}")
    stamp = biased - BIAS
    at = HEADER_SIZE
    end = value_at = HEADER_SIZE + shape_size
    entries = []
    while at < end:
        head = row[at]
        kind = Kind(head & 0x0F)
        name_size = _U16.unpack_from(row, at + 1)[0]
        at += 3
        name = row[at : at + name_size]
        at += name_size
        path = b""
        timestamp = stamp
        expiry_ms = ttl_s = 0
        if head & _HAS_PATH:
            path_size = _U16.unpack_from(row, at)[0]
            path = row[at + 2 : at + 2 + path_size]
            at += 2 + path_size
        if head & _IS_BEHIND:
            timestamp = stamp - _STAMP.unpack_from(row, at)[0]
            at += 8
        if kind in _HAS_EXPIRY:
            expiry_ms, ttl_s = _EXPIRY.unpack_from(row, at)
            at += 12
        issued = 0
        if head & _HAS_ISSUED:
            issued = _STAMP.unpack_from(row, at)[0] - BIAS
            at += 8
        elif kind not in (Kind.CELL, Kind.LIVENESS):
            issued = timestamp
        value = b""
        if kind in _HAS_VALUE:
            size = _U32.unpack_from(row, value_at)[0]
            value = row[value_at + 4 : value_at + 4 + size]
            value_at += 4 + size
        entries.append(Entry(kind, name, path, timestamp, value, expiry_ms, ttl_s, issued))
    if at != end or value_at != len(row):
        raise CorruptData("row bytes do not add up")
    return entries


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
    best = {entry.slot: entry for entry in decode(old)}
    for entry in decode(new):
        other = best.get(entry.slot)
        if other is None or entry.rank > other.rank:
            best[entry.slot] = entry
    return encode(best.values())


def dominant(old: bytes, new: bytes) -> int | None:
    """Tell the greatest timestamp by which what is stored hides part of a new row, if any.

    For server-assigned timestamps the coordinator writes again above it (CORRECTNESS 9). The
    same row again is not hidden.
    """
    if not old or old == new:
        return None
    if _same_simple_shape(old, new):
        return None if new[2:10] > old[2:10] else stamp_of(old)
    if stamp_of(old) < stamp_of(new) and new[1] == SIMPLE:
        return None
    hidden = [
        theirs.timestamp
        for theirs in decode(old)
        for ours in decode(new)
        if _hides(theirs, ours)
    ]
    return max(hidden) if hidden else None


def _hides(old: Entry, new: Entry) -> bool:
    if old.slot == new.slot:
        return old.rank > new.rank
    if _covers_area(old, new):
        return old.timestamp >= new.timestamp
    return _covers_area(new, old) and old.timestamp > new.timestamp


def _covers_area(deletion: Entry, other: Entry) -> bool:
    if deletion.kind is Kind.ROW_DELETION:
        return other.kind is not Kind.ROW_DELETION
    return (
        deletion.kind is Kind.COLLECTION_DELETION
        and deletion.name == other.name
        and _SLOT_CLASS[other.kind] == 3
    )


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
        kind = entry.kind
        if kind is Kind.ROW_DELETION:
            floor = max(floor, entry.timestamp)
        elif kind is Kind.COLLECTION_DELETION:
            collection[entry.name] = entry.timestamp
        elif entry.timestamp <= floor or kind is Kind.TOMBSTONE:
            continue
        elif entry.expiry_ms and entry.expiry_ms <= now_ms:
            continue
        elif kind in (Kind.LIVENESS, Kind.EXPIRING_LIVENESS):
            exists = True
        elif entry.timestamp > collection.get(entry.name, floor):
            cells[entry.name, entry.path] = entry
            exists = True
    return LiveRow(exists, cells)
