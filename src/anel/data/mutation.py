r"""One change to one partition, as bytes that travel unchanged from coordinator to disk.

::

    mutation = issued(8) prefix count(2) record*
    prefix   = table(16) token(8) key_size(2) partition_key     where the partition lives
    record   = sub_size(2) sub value_size(4) value
    sub      = kind(1) rest                                     what inside the partition

The key of a record in the store is `prefix + sub`, so bytes order as (table, token, partition
key, kind, clustering): a partition's tombstones come before its static row and its rows. The
token is stored plus 2**63. A record of kind STATIC or ROW holds a row (`anel.data.row`), the
others a deletion::

    deletion = format(1) timestamp(8) issued(8)                 both plus 2**63

    PARTITION_DELETION   sub = kind                             covers the whole partition
    RANGE_DELETION       sub = kind start_size(2) start end     covers clustering [start, end)
    STATIC, ROW          sub = kind clustering

Source: CORRECTNESS 1 and 3.
"""

import struct
from collections.abc import Iterable, Sequence
from struct import Struct
from typing import NamedTuple

from anel.data import row
from anel.errors import CorruptData
from anel.limits import CLUSTERING_BYTES_MAX, MUTATION_RECORDS_MAX, PARTITION_KEY_BYTES_MAX

PARTITION_DELETION = b"\x01"  # On disk since format 1: never renumber.
RANGE_DELETION = b"\x02"
STATIC = b"\x03"
ROW = b"\x04"
FIRST_ROW_KIND = 3

TABLE_SIZE = 16
PREFIX_HEAD_SIZE = 26  # Table, token and the partition key's size.
TOKEN_BIAS = 1 << 63
DELETION_FORMAT = 1

_ISSUED = Struct(">Q")
_HEAD = Struct(">Q16sQH")
_U16 = Struct(">H")
_U32 = Struct(">I")
_TOKEN = Struct(">Q")
_PREFIX = Struct(">16sQH")
_DELETION = Struct(">BQQ")


class Deletion(NamedTuple):
    """A partition or range tombstone; the greater tuple wins."""

    timestamp: int
    issued: int


def prefix_of(table: bytes, token: int, partition_key: bytes) -> bytes:
    """Build the part of a store key that names a partition.

    Args:
        table: Table id, 16 bytes.
        token: Signed 64 bits, as the partitioner gives it.
        partition_key: At most PARTITION_KEY_BYTES_MAX bytes (checked by the doors).
    """
    assert len(partition_key) <= PARTITION_KEY_BYTES_MAX
    return _PREFIX.pack(table, token + TOKEN_BIAS, len(partition_key)) + partition_key


def encode(issued: int, prefix: bytes, records: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Build a mutation from (sub, value) records of one partition."""
    assert 0 < len(records) <= MUTATION_RECORDS_MAX
    parts = [_ISSUED.pack(issued + row.BIAS), prefix, _U16.pack(len(records))]
    for sub, value in records:
        assert len(sub) <= CLUSTERING_BYTES_MAX + 3
        parts += (_U16.pack(len(sub)), sub, _U32.pack(len(value)), value)
    return b"".join(parts)


def one_row(issued: int, prefix: bytes, sub: bytes, value: bytes) -> bytes:
    """Build the usual mutation: one row."""
    return b"".join(
        (
            _ISSUED.pack(issued + row.BIAS),
            prefix,
            b"\x00\x01",
            _U16.pack(len(sub)),
            sub,
            _U32.pack(len(value)),
            value,
        )
    )


class Mutation(NamedTuple):
    """A mutation taken apart.

    Attributes:
        issued: The coordinator's HLC when it was made, microseconds.
        prefix: The partition's store prefix.
        records: (sub, value) pairs.
    """

    issued: int
    prefix: bytes
    records: list[tuple[bytes, bytes]]


def decode(data: bytes) -> Mutation:
    """Take a mutation apart.

    Raises:
        CorruptData: The bytes are not a mutation.
    """
    try:
        issued, _, _, key_size = _HEAD.unpack_from(data)
        at = 8 + PREFIX_HEAD_SIZE + key_size
        prefix = data[8:at]
        count = _U16.unpack_from(data, at)[0]
        at += 2
        records = []
        for _ in range(count):
            sub_size = _U16.unpack_from(data, at)[0]
            sub = data[at + 2 : at + 2 + sub_size]
            at += 2 + sub_size
            value_size = _U32.unpack_from(data, at)[0]
            records.append((sub, data[at + 4 : at + 4 + value_size]))
            at += 4 + value_size
    except struct.error as error:
        raise CorruptData("mutation bytes end too early") from error
    if at != len(data) or not records:
        raise CorruptData("mutation bytes do not add up")
    return Mutation(issued - row.BIAS, prefix, records)


def table_of(data: bytes) -> bytes:
    """Give the table id of a mutation."""
    return data[8:24]


def token_of(data: bytes) -> int:
    """Give the token of a mutation, signed."""
    return int(_TOKEN.unpack_from(data, 24)[0]) - TOKEN_BIAS


def issued_of(data: bytes) -> int:
    """Give the HLC at which a mutation was issued."""
    return int(_ISSUED.unpack_from(data)[0]) - row.BIAS


def restamp(data: bytes, timestamp: int) -> bytes:
    """Rewrite a mutation whose timestamps the server assigned to a later one."""
    mutation = decode(data)
    records = [(sub, _restamp_record(sub, value, timestamp)) for sub, value in mutation.records]
    return encode(timestamp, mutation.prefix, records)


def _restamp_record(sub: bytes, value: bytes, timestamp: int) -> bytes:
    if sub[0] >= FIRST_ROW_KIND:
        return row.restamp(value, timestamp)
    return encode_deletion(Deletion(timestamp, timestamp))


def encode_deletion(deletion: Deletion) -> bytes:
    """Write a partition or range tombstone's value."""
    return _DELETION.pack(
        DELETION_FORMAT, deletion.timestamp + row.BIAS, deletion.issued + row.BIAS
    )


def decode_deletion(value: bytes) -> Deletion:
    """Read a partition or range tombstone's value.

    Raises:
        CorruptData: The bytes are not a deletion of a known format.
    """
    try:
        form, timestamp, issued = _DELETION.unpack(value)
    except struct.error as error:
        raise CorruptData("deletion bytes have the wrong size") from error
    if form != DELETION_FORMAT:
        raise CorruptData(f"deletion format {form} is unknown")
    return Deletion(timestamp - row.BIAS, issued - row.BIAS)


def merge_record(sub: bytes, old: bytes, new: bytes) -> bytes:
    """Reconcile two values of one record: commutative, associative, idempotent."""
    if sub[0] >= FIRST_ROW_KIND:
        return row.merge(old, new)
    if not old or not new:
        return old or new
    return max(old, new)  # Format, timestamp and issued order as bytes.


def range_deletion_sub(start: bytes, end: bytes) -> bytes:
    """Name the record of a range tombstone over clustering bytes [start, end).

    An empty `end` means to the partition's last row.
    """
    return RANGE_DELETION + _U16.pack(len(start)) + start + end


def range_of_deletion(sub: bytes) -> tuple[bytes, bytes]:
    """Give the clustering bytes [start, end) that a range tombstone covers."""
    size = _U16.unpack_from(sub, 1)[0]
    return sub[3 : 3 + size], sub[3 + size :]


def covered_to(sub: bytes, fronts: Iterable[tuple[bytes, bytes]]) -> int | None:
    """Tell the greatest timestamp of the partition and range tombstones over one record.

    Args:
        sub: Of a static row or a row.
        fronts: The partition's tombstone records, (sub, value).
    """
    greatest = None
    for front, value in fronts:
        if front[:1] == RANGE_DELETION:
            start, end = range_of_deletion(front)
            clustering = sub[1:]
            if sub[:1] != ROW or clustering < start or (end and clustering >= end):
                continue
        timestamp = decode_deletion(value).timestamp
        greatest = timestamp if greatest is None else max(greatest, timestamp)
    return greatest
