"""Mutations: they survive their bytes, sort as the store needs, and restamp as a whole."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from anel.data import mutation, row
from anel.data.mutation import Deletion
from anel.data.token import TOKEN_MAX, TOKEN_MIN
from anel.errors import CorruptData

TABLE = b"t" * 16
PREFIX = mutation.prefix_of(TABLE, -5, b"key")
TOKENS = st.integers(TOKEN_MIN, TOKEN_MAX)
STAMPS = st.integers(-(1 << 62), 1 << 62)
RECORDS = st.lists(
    st.tuples(st.binary(min_size=1, max_size=9), st.binary(max_size=9)), min_size=1
)


@given(STAMPS, TOKENS, st.binary(max_size=40), RECORDS)
def test_a_mutation_survives_its_bytes(
    issued: int, token: int, key: bytes, records: list[tuple[bytes, bytes]]
) -> None:
    prefix = mutation.prefix_of(TABLE, token, key)
    data = mutation.encode(issued, prefix, records)
    assert mutation.decode(data) == (issued, prefix, records)
    assert mutation.table_of(data) == TABLE
    assert mutation.token_of(data) == token
    assert mutation.issued_of(data) == issued


@given(st.binary(min_size=1, max_size=9), st.binary(max_size=9))
def test_the_usual_mutation_is_the_general_one(sub: bytes, value: bytes) -> None:
    assert mutation.one_row(7, PREFIX, sub, value) == mutation.encode(7, PREFIX, [(sub, value)])


@given(RECORDS, st.data())
def test_a_cut_or_longer_mutation_is_refused(
    records: list[tuple[bytes, bytes]], draw: st.DataObject
) -> None:
    data = mutation.encode(1, PREFIX, records)
    with pytest.raises(CorruptData):
        mutation.decode(data[: draw.draw(st.integers(0, len(data) - 1))])
    with pytest.raises(CorruptData):
        mutation.decode(data + b"\0")


@given(TOKENS, TOKENS, st.binary(max_size=5), st.binary(max_size=5))
def test_partitions_sort_by_token(one: int, other: int, key: bytes, key_2: bytes) -> None:
    assume(one != other)
    keys = mutation.prefix_of(TABLE, one, key), mutation.prefix_of(TABLE, other, key_2)
    assert (keys[0] < keys[1]) == (one < other)


def test_tombstones_sort_before_the_static_row_and_rows() -> None:
    kinds = [
        mutation.PARTITION_DELETION,
        mutation.range_deletion_sub(b"a", b"b"),
        mutation.STATIC,
        mutation.ROW + b"a",
    ]
    assert kinds == sorted(kinds)


def test_restamping_moves_every_record_and_the_issue() -> None:
    cells = row.encode([row.cell(b"a", b"1", 5), row.cell(b"b", b"2", 4)])
    dead = mutation.encode_deletion(Deletion(5, 5))
    records = [(mutation.PARTITION_DELETION, dead), (mutation.ROW + b"c", cells)]
    again = mutation.decode(mutation.restamp(mutation.encode(5, PREFIX, records), 9))
    assert again.issued == 9
    assert mutation.decode_deletion(again.records[0][1]) == (9, 9)
    assert [entry.timestamp for entry in row.decode(again.records[1][1])] == [9, 8]


DELETIONS = st.builds(Deletion, STAMPS, STAMPS)
FRONT = mutation.range_deletion_sub(b"a", b"c")


@given(DELETIONS, DELETIONS)
def test_of_two_deletions_the_later_wins_in_any_order(one: Deletion, other: Deletion) -> None:
    first, second = mutation.encode_deletion(one), mutation.encode_deletion(other)
    merged = mutation.merge_record(FRONT, first, second)
    assert merged == mutation.merge_record(FRONT, second, first)
    assert mutation.decode_deletion(merged) == max(one, other)
    assert (
        mutation.merge_record(FRONT, b"", first)
        == first
        == mutation.merge_record(FRONT, first, b"")
    )


def test_records_of_rows_merge_as_rows() -> None:
    old = row.encode([row.cell(b"a", b"1", 5)])
    new = row.encode([row.cell(b"b", b"2", 6)])
    assert mutation.merge_record(mutation.ROW + b"x", old, new) == row.merge(old, new)


def test_a_broken_deletion_is_refused() -> None:
    good = mutation.encode_deletion(Deletion(1, 1))
    with pytest.raises(CorruptData, match="size"):
        mutation.decode_deletion(good[:-1])
    with pytest.raises(CorruptData, match="format 9"):
        mutation.decode_deletion(b"\x09" + good[1:])


@given(st.binary(max_size=4), st.binary(max_size=4))
def test_a_range_survives_its_name(start: bytes, end: bytes) -> None:
    sub = mutation.range_deletion_sub(start, end)
    assert mutation.range_of_deletion(sub) == (start, end)


CLUSTERINGS = st.sampled_from([b"", b"a", b"b", b"ba", b"c", b"d"])
FRONTS = st.lists(
    st.tuples(st.none() | st.tuples(CLUSTERINGS, CLUSTERINGS), st.integers(0, 5)), max_size=4
)


@given(FRONTS, CLUSTERINGS, st.booleans())
def test_a_record_is_covered_by_its_partition_and_the_ranges_around_it(
    drawn: list[tuple[tuple[bytes, bytes] | None, int]],
    clustering: bytes,
    static: bool,  # noqa: FBT001
) -> None:
    def over(span: tuple[bytes, bytes] | None) -> bool:
        if span is None:
            return True
        start, end = span
        return not static and start <= clustering and (end == b"" or clustering < end)

    fronts = [
        (
            mutation.PARTITION_DELETION if span is None else mutation.range_deletion_sub(*span),
            mutation.encode_deletion(Deletion(timestamp, 9)),
        )
        for span, timestamp in drawn
    ]
    sub = mutation.STATIC if static else mutation.ROW + clustering
    expected = max((timestamp for span, timestamp in drawn if over(span)), default=None)
    assert mutation.covered_to(sub, fronts) == expected
