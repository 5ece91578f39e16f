"""Spans of a summary: blocks give what leaf after leaf would give, after any change."""

from functools import reduce
from operator import xor

from hypothesis import given
from hypothesis import strategies as st

from anel.limits import LEAVES
from anel.storage.summary import BLOCK_SHIFT, TableSummary

TABLE = b"T" * 16
BLOCK = 1 << BLOCK_SHIFT
NEAR_START = st.integers(0, 4 * BLOCK)
ANY_LEAF = st.one_of(NEAR_START, st.integers(0, LEAVES - 1))


def slow_span(summary: TableSummary, first: int, last: int) -> int:
    return reduce(xor, (summary.leaf(leaf) for leaf in range(first, last + 1)), 0)


@given(st.lists(st.tuples(NEAR_START, st.binary(max_size=4))), ANY_LEAF, ANY_LEAF)
def test_a_span_is_the_xor_of_its_leaves(
    changes: list[tuple[int, bytes]], one: int, other: int
) -> None:
    summary = TableSummary(TABLE)
    for leaf, value in changes:
        summary.note(leaf, TABLE + bytes(10), b"", b"v" + value)
    first, last = min(one, other), max(one, other)
    assert summary.span(first, last) == slow_span(summary, first, last)


def test_a_loaded_and_a_rescanned_leaf_count_in_their_spans() -> None:
    former = TableSummary(TABLE)
    for leaf in range(0, 3 * BLOCK, 7):
        former.note(leaf, TABLE + bytes(10), b"", b"value %d" % leaf)
    summary = TableSummary(TABLE)
    for chunk in range(2):
        checkpoint = former.checkpoint_of(chunk)
        assert checkpoint is not None
        summary.load_chunk(chunk, checkpoint)
    assert summary.span(0, LEAVES - 1) == slow_span(former, 0, LEAVES - 1)
    summary.begin_scan(7)
    assert not summary.end_scan(7)  # Its record is not there: the leaf is empty now.
    assert summary.leaf(7) == 0
    assert summary.span(0, LEAVES - 1) == slow_span(summary, 0, LEAVES - 1)


def test_a_block_that_missed_a_change_would_be_seen() -> None:
    summary = TableSummary(TABLE)
    summary.leaves[BLOCK] ^= 1  # What no method does.
    assert summary.span(0, LEAVES - 1) != slow_span(summary, 0, LEAVES - 1)
