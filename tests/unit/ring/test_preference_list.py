"""Preference lists: the walk of the figures, in any key space, and racks first."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anel.ring.preference_list import preference_list, successor_index

GOLDEN = Path(__file__).parents[2] / "golden"
FIGURE = json.loads((GOLDEN / "chord_m5.json").read_text())
BOOK_RING = json.loads((GOLDEN / "chapter_extra.json").read_text())["chord_m8"]
NODES: list[int] = FIGURE["nodes"]


def copies(nodes: list[int], key: int, count: int) -> tuple[int, ...]:
    """The replicas of a key on a ring where each node is its own only token."""
    return preference_list(nodes, successor_index(nodes, key), count)


def test_every_key_of_the_figure_has_the_figures_owner() -> None:
    owners = {str(key): copies(NODES, key, 1)[0] for key in range(32)}
    assert owners == FIGURE["responsible"]


def test_the_fingers_of_the_figure_are_successors() -> None:
    for node, fingers in FIGURE["finger_tables"].items():
        powers = [(int(node) + (1 << bit)) % 32 for bit in range(5)]
        assert [copies(NODES, key, 1)[0] for key in powers] == fingers


def test_the_ranges_of_the_8_bit_ring_are_the_books() -> None:
    nodes = BOOK_RING["nodes"]
    for node, (first, last) in BOOK_RING["ranges"].items():
        keys = [(first + step) % 256 for step in range((last - first) % 256 + 1)]
        assert {copies(nodes, key, 1)[0] for key in keys} == {int(node)}
    assert sum((last - first) % 256 + 1 for first, last in BOOK_RING["ranges"].values()) == 256


def test_further_copies_are_at_the_successors_also_around_the_end() -> None:
    assert copies(NODES, 25, 2) == (28, 1)
    assert copies(NODES, 10, 3) == (11, 14, 18)
    assert copies(NODES, 31, 3) == (1, 4, 9)


def test_a_key_equal_to_a_token_belongs_to_it() -> None:
    assert copies(NODES, 28, 1) == (28,)


def test_vnodes_of_one_node_count_once() -> None:
    assert preference_list(["a", "a", "b", "a", "c"], 0, 2) == ("a", "b")
    assert preference_list(["a", "a", "b", "a", "c"], 3, 5) == ("a", "c", "b")


RACKS = {"a": 1, "b": 1, "c": 2, "d": 2, "e": 3}


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, "a"), (2, "ac"), (3, "ace"), (4, "abce"), (5, "abcde"), (9, "abcde")],
)
def test_each_rack_gets_a_copy_before_any_gets_two(count: int, expected: str) -> None:
    assert "".join(preference_list("abcde", 0, count, RACKS.__getitem__)) == expected


OWNERS = st.lists(st.sampled_from("abcde"), min_size=1, max_size=12)


@given(OWNERS, st.integers(0, 11), st.integers(1, 6), st.booleans())
def test_lists_hold_distinct_nodes_begin_at_the_owner_and_spread_over_racks(
    owners: list[str],
    first: int,
    count: int,
    racks: bool,  # noqa: FBT001
) -> None:
    first %= len(owners)
    found = preference_list(owners, first, count, RACKS.__getitem__ if racks else None)
    nodes = set(owners)
    assert found[0] == owners[first]
    assert len(set(found)) == len(found) == min(count, len(nodes))
    walk = list(dict.fromkeys(owners[first:] + owners[:first]))
    assert list(found) == [node for node in walk if node in found]
    if racks:
        reachable = {RACKS[node] for node in nodes}
        assert len({RACKS[node] for node in found}) == min(count, len(reachable))
    else:
        assert list(found) == walk[:count]
