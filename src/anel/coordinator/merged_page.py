"""Merge the pages of several replicas into one, and overlay partition and range tombstones.

A replica that hit its limit says nothing about what lies behind its last key. So the merge
goes only up to the smallest last key among such replicas (going backward: the greatest), and
the next page continues there: short-read protection, CORRECTNESS 11. Pure: no sending.

The tombstones at the front of a partition are merged and compared like rows; the client sees
them only as a row deletion in the rows they cover (CORRECTNESS 1).
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from anel.coordinator.replica import prefix_of_key
from anel.data import row
from anel.data.mutation import (
    FIRST_ROW_KIND,
    PREFIX_HEAD_SIZE,
    covered_to,
    encode,
    merge_record,
)
from anel.env import NodeId
from anel.limits import MUTATION_RECORDS_MAX
from anel.storage.store import Record


class MergedPage(NamedTuple):
    """What a client gets of one page.

    Attributes:
        rows: (store key, raw row) in key order (backward: descending), perhaps none although
            more follow. Rows that are deleted or expired are among them.
        resume: Where the next page starts (backward: its exclusive end); None at the end.
    """

    rows: list[Record]
    resume: bytes | None


class PageReply(NamedTuple):
    """One replica's page: see `Replica.read_page` for the tombstones in front."""

    peer: NodeId
    more: bool
    records: list[Record]


class Merged(NamedTuple):
    """Several replies as one.

    Attributes:
        records: Merged records up to the bound, in the order of the page, tombstones included.
        bound: The last key the merge reached, when more may follow; else None.
        lacking: For each replica whose records differ, what it lacks.
        differing: All records on which any replica differs.
    """

    records: list[Record]
    bound: bytes | None
    lacking: list[tuple[NodeId, list[Record]]]
    differing: list[Record]


def merge_replies(replies: Sequence[PageReply], *, backward: bool) -> Merged:
    """Merge the replies of at least one replica."""
    first = replies[0]
    if all(reply.more == first.more and reply.records == first.records for reply in replies):
        bound = first.records[-1][0] if first.more else None
        return Merged(first.records, bound, [], [])
    bound = _bound(replies, backward=backward)
    held = [dict(reply.records) for reply in replies]
    merged: dict[bytes, bytes] = {}
    differing = []
    for key in sorted({key: None for records in held for key in records}, reverse=backward):
        if bound is not None and _is_beyond(key, bound, backward=backward):
            continue
        values = [records.get(key, b"") for records in held]
        value = _merge_values(key, values)
        merged[key] = value
        if any(each != value for each in values):
            differing.append((key, value))
    lacking = [
        (reply.peer, [record for record in differing if records.get(record[0]) != record[1]])
        for reply, records in zip(replies, held, strict=True)
    ]
    lacking = [(peer, records) for peer, records in lacking if records]
    return Merged(list(merged.items()), bound, lacking, differing)


def _bound(replies: Sequence[PageReply], *, backward: bool) -> bytes | None:
    last = [reply.records[-1][0] for reply in replies if reply.more]
    if not last:
        return None
    return max(last) if backward else min(last)


def _is_beyond(key: bytes, bound: bytes, *, backward: bool) -> bool:
    """Tell whether not every reply speaks for a key, and the merge must leave it out."""
    if not backward:
        return key > bound
    if key >= bound:
        return False
    # The tombstones of the partition that the page cuts came with every reply.
    prefix = prefix_of_key(bound)
    return not (key.startswith(prefix) and key[len(prefix)] < FIRST_ROW_KIND)


def _merge_values(key: bytes, values: list[bytes]) -> bytes:
    merged = values[0]
    if all(value == merged for value in values):
        return merged
    sub = key[len(prefix_of_key(key)) :]
    for value in values:
        merged = merge_record(sub, merged, value)
    return merged


def mutations_of(records: Iterable[Record], issued: int) -> list[bytes]:
    """Pack records into one mutation for each partition.

    Args:
        records: In key order, either way; at most a page of them.
        issued: The HLC at which the read that found them began.
    """
    mutations = []
    for prefix, group in groupby(records, key=lambda record: prefix_of_key(record[0])):
        parts = [(key[len(prefix) :], value) for key, value in group]
        mutations += [
            encode(issued, prefix, parts[at : at + MUTATION_RECORDS_MAX])
            for at in range(0, len(parts), MUTATION_RECORDS_MAX)
        ]
    return mutations


def overlaid_rows(records: list[Record]) -> list[Record]:
    """Give the rows among merged records, each with the deletion over it as its own."""
    rows = []
    fronts: dict[bytes, list[Record]] = {}
    for record in records:
        key = record[0]
        head = PREFIX_HEAD_SIZE + int.from_bytes(key[24:26], "big")
        if key[head] >= FIRST_ROW_KIND:
            rows.append(record)
        else:
            fronts.setdefault(key[:head], []).append((key[head:], record[1]))
    if not fronts:
        return rows
    return [_overlaid(record, fronts) for record in rows]


def _overlaid(record: Record, fronts: dict[bytes, list[Record]]) -> Record:
    key, value = record
    prefix = prefix_of_key(key)
    covered = covered_to(key[len(prefix) :], fronts.get(prefix, ()))
    if covered is None:
        return record
    deletion = row.encode([row.row_deletion(covered, covered)])
    return key, row.merge(value, deletion)
