"""Which stored records hide part of a new one, so that the coordinator must write above them.

A plain cell hidden by a newer one is `anel.data.row.dominant`'s case. Here are the others: a
row written under a partition or range tombstone, and a tombstone written under newer rows,
which it then does not delete. Records of the mutation itself hide nothing: the caller passes
what was stored before.

Source: CORRECTNESS 9.
"""

from collections.abc import Iterator
from typing import Protocol

from anel.data import row
from anel.data.mutation import (
    FIRST_ROW_KIND,
    PARTITION_DELETION,
    ROW,
    STATIC,
    covered_to,
    decode_deletion,
    range_of_deletion,
)
from anel.storage.store import Page, Record
from anel.storage.summary import after

_RUN = 256  # Records read at a time.


class _Scanned(Protocol):
    def scan(self, start: bytes, end: bytes, records_max: int, bytes_max: int) -> Page: ...


def fronts_of(store: _Scanned, prefix: bytes) -> list[Record]:
    """List a partition's tombstone records as (sub, value)."""
    return [
        (key[len(prefix) :], value)
        for key, value in _records(store, prefix + PARTITION_DELETION, prefix + STATIC)
    ]


def hidden_by(
    store: _Scanned, prefix: bytes, record: Record, *, old: bytes, fronts: list[Record]
) -> int | None:
    """Give the greatest timestamp by which stored data hides part of a new record.

    Args:
        store: Where its partition is read.
        prefix: Of its partition.
        record: (sub, new value).
        old: What is stored under the same key, b"" for nothing.
        fronts: The partition's stored tombstone records.

    Cost:
        A row: no read. A tombstone: a scan of the rows it covers.
    """
    sub, new = record
    if sub[0] < FIRST_ROW_KIND:
        return _newest_survivor(store, prefix, record, old)
    hidden = row.dominant(old, new)
    covered = covered_to(sub, fronts)
    if covered is None or all(entry.timestamp > covered for entry in row.decode(new)):
        return hidden
    return covered if hidden is None else max(covered, hidden)


def _newest_survivor(store: _Scanned, prefix: bytes, record: Record, old: bytes) -> int | None:
    sub, new = record
    timestamp = decode_deletion(new).timestamp
    newest = timestamp
    if old > new:
        newest = max(newest, decode_deletion(old).timestamp)
    start, end = prefix + STATIC, after(prefix + ROW)
    if sub[:1] != PARTITION_DELETION:
        first, last = range_of_deletion(sub)
        start = prefix + ROW + first
        end = prefix + ROW + last if last else end
    for _, value in _records(store, start, end):
        newest = max(newest, row.stamp_of(value))
    return newest if newest > timestamp else None


def _records(store: _Scanned, start: bytes, end: bytes) -> Iterator[Record]:
    more = True
    while more:
        page = store.scan(start, end, _RUN, 1 << 62)
        yield from page.records
        more = page.more
        if more:
            start = page.records[-1][0] + b"\0"
