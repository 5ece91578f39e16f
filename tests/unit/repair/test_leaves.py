"""Comparing leaves: what differs is found, in bounded messages."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from anel.limits import LEAVES
from anel.repair.leaves import (
    LEAVES_PER_ANSWER,
    SPAN_LEAVES_MAX,
    SPANS_PER_MESSAGE,
    Leaves,
    SpanXor,
    compare,
    differing,
    runs_of,
)


class Table:
    """Leaves as a dictionary."""

    is_complete = True
    rows = 0

    def __init__(self, leaves: dict[int, int]) -> None:
        self.leaves = leaves

    def leaf(self, index: int) -> int:
        return self.leaves.get(index, 0)

    def span(self, first: int, last: int) -> int:
        total = 0
        for index, value in self.leaves.items():
            if first <= index <= last:
                total ^= value
        return total


def question(table: Table, spans: list[tuple[int, int]]) -> list[SpanXor]:
    return [
        SpanXor(first, last, table.span(first, last).to_bytes(16, "big"))
        for first, last in spans
    ]


LEAF_VALUES = st.dictionaries(st.integers(0, 999), st.integers(1, (1 << 128) - 1), max_size=8)


@given(LEAF_VALUES, LEAF_VALUES, LEAF_VALUES)
def test_exactly_the_leaves_that_differ_are_found(
    common: dict[int, int], mine: dict[int, int], theirs: dict[int, int]
) -> None:
    one, two = Table({**common, **mine}), Table({**common, **theirs})
    spans = runs_of(range(1000))
    compared, runs = compare(two, question(one, spans))
    assert compared == len(spans)
    assert differing(one, runs) == {
        leaf: one.leaf(leaf) ^ two.leaf(leaf)
        for leaf in range(1000)
        if one.leaf(leaf) != two.leaf(leaf)
    }


def test_an_answer_is_bounded_and_says_how_far_it_got() -> None:
    one = Table({})
    random = Random(1)
    two = Table({leaf: random.getrandbits(128) for leaf in range(0, LEAVES, 2)})
    spans = runs_of(range(LEAVES))
    compared, runs = compare(two, question(one, spans))
    assert compared < len(spans)
    leaves = sum(len(run.xors) // 16 for run in runs)
    assert LEAVES_PER_ANSWER <= leaves < LEAVES_PER_ANSWER + SPAN_LEAVES_MAX


def test_runs_join_neighbours_up_to_their_bound() -> None:
    assert runs_of([5, 1, 2, 3, 9]) == [(1, 3), (5, 5), (9, 9)]
    assert runs_of(range(SPAN_LEAVES_MAX + 1)) == [
        (0, SPAN_LEAVES_MAX - 1),
        (SPAN_LEAVES_MAX, SPAN_LEAVES_MAX),
    ]
    assert runs_of([]) == []


def test_all_leaves_of_a_table_fit_few_messages() -> None:
    assert len(runs_of(range(LEAVES))) <= SPANS_PER_MESSAGE
    assert Leaves(1, b"", 0, []).spans == []
