"""Tokens and leaves: every token lies in one leaf, and ranges between leaf ends are whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anel.data.token import (
    LEAF_SIZE,
    TOKEN_MAX,
    TOKEN_MIN,
    is_leaf_end,
    leaf_end,
    leaf_of,
    leaf_start,
    leaves_between,
)
from anel.limits import LEAVES

tokens = st.integers(TOKEN_MIN, TOKEN_MAX)
leaves = st.integers(0, LEAVES - 1)


@given(tokens)
def test_a_token_lies_in_its_leaf(token: int) -> None:
    leaf = leaf_of(token)
    assert 0 <= leaf < LEAVES
    assert leaf_start(leaf) <= token <= leaf_end(leaf)
    assert leaf_end(leaf) - leaf_start(leaf) + 1 == LEAF_SIZE


def test_the_leaves_cover_the_ring() -> None:
    assert leaf_start(0) == TOKEN_MIN
    assert leaf_end(LEAVES - 1) == TOKEN_MAX
    assert all(leaf_end(leaf) + 1 == leaf_start(leaf + 1) for leaf in range(100))


@given(leaves)
def test_only_the_last_token_of_a_leaf_is_its_end(leaf: int) -> None:
    assert is_leaf_end(leaf_end(leaf))
    assert not is_leaf_end(leaf_start(leaf))


@pytest.mark.parametrize("token", [TOKEN_MIN - 1, TOKEN_MAX + LEAF_SIZE, 0])
def test_what_is_no_token_or_inside_a_leaf_is_no_end(token: int) -> None:
    assert not is_leaf_end(token)


@given(leaves, leaves)
def test_a_range_counts_its_leaves_around_the_ring(start: int, end: int) -> None:
    counted = (end - start) % LEAVES or LEAVES
    assert leaves_between(leaf_end(start), leaf_end(end)) == counted
