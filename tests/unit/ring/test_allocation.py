"""Allocation: tokens are leaf ends, distinct, balanced, and neighbours vary."""

from functools import cache

import pytest

from anel.data.token import is_leaf_end, leaf_end
from anel.env import NodeId
from anel.errors import ConfigurationError
from anel.limits import LEAVES, NODES_MAX, VNODES_PER_NODE
from anel.ring.allocation import check_tokens, initial_tokens, tokens_for_joiner
from anel.ring.ring_view import Location, Member, RingView, ring_view
from anel.ring.token_map import TokenMap
from tests.unit.fakes.ring import address_of, node_id, view_of


def imbalance(view: RingView, factor: int) -> float:
    """How far the node that holds most is above the mean."""
    ring = TokenMap(view)
    shares = [ring.share(node, factor) for node in ring.nodes]
    return max(shares) / (sum(shares) / len(shares)) - 1


@cache
def grown(count: int, vnodes: int = VNODES_PER_NODE) -> RingView:
    """A ring whose nodes joined one after another."""
    if count == 1:
        return view_of(1, vnodes)
    view = grown(count - 1, vnodes)
    tokens = tuple(tokens_for_joiner(view, vnodes))
    newcomer = Member(node_id(count - 1), address_of(count - 1), Location(), tokens)
    return view.joined_by(newcomer)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 12, 50, NODES_MAX])
def test_tokens_are_distinct_leaf_ends(count: int) -> None:
    tokens = [token for node in initial_tokens(count, VNODES_PER_NODE) for token in node]
    assert len(set(tokens)) == len(tokens) == count * VNODES_PER_NODE
    assert all(is_leaf_end(token) for token in tokens)


@pytest.mark.parametrize("count", [2, 3, 4, 5, 7, 8, 12, 50])
def test_nodes_placed_together_own_equal_shares(count: int) -> None:
    assert imbalance(view_of(count, VNODES_PER_NODE), 1) < 0.02


@pytest.mark.parametrize("count", [4, 5, 7, 8, 12])
def test_nodes_placed_together_hold_nearly_equal_copies(count: int) -> None:
    assert imbalance(view_of(count, VNODES_PER_NODE), 3) < 0.05


@pytest.mark.parametrize("count", [2, 3, 4, 5, 8, 12])
def test_nodes_that_joined_one_by_one_own_nearly_equal_shares(count: int) -> None:
    assert imbalance(grown(count), 1) < 0.05


@pytest.mark.parametrize("count", [4, 5, 6, 8, 12])
def test_nodes_that_joined_one_by_one_hold_comparable_copies(count: int) -> None:
    assert imbalance(grown(count), 3) < 0.16


@pytest.mark.parametrize("count", [5, 8, 12])
def test_the_load_of_a_dead_node_spreads_over_many(count: int) -> None:
    ring = TokenMap(view_of(count, VNODES_PER_NODE))
    heirs: dict[NodeId, int] = {}
    for part in ring.ranges(2):
        if part.replicas[0] == node_id(0):
            heirs[part.replicas[1]] = heirs.get(part.replicas[1], 0) + len(part.leaves)
    assert len(heirs) >= count - 2
    assert max(heirs.values()) <= 0.35 * sum(heirs.values())


def test_a_joiner_takes_tokens_that_nobody_has() -> None:
    view = grown(6)
    tokens = [token for member in view.members for token in member.tokens]
    assert len(set(tokens)) == len(tokens) == 6 * VNODES_PER_NODE
    assert all(is_leaf_end(token) for token in tokens)


def test_allocation_is_the_same_everywhere() -> None:
    again = tuple(tokens_for_joiner(grown(3), VNODES_PER_NODE))
    newest = grown(4).member(node_id(3))
    assert newest is not None
    assert newest.tokens == again


@pytest.mark.parametrize(("count", "vnodes"), [(0, 1), (1, 0), (NODES_MAX + 1, 1), (2, LEAVES)])
def test_what_cannot_be_placed_is_refused(count: int, vnodes: int) -> None:
    with pytest.raises(ConfigurationError, match="cannot be placed"):
        initial_tokens(count, vnodes)


def test_a_ring_of_single_leaves_takes_no_vnode() -> None:
    every = tuple(leaf_end(leaf) for leaf in range(LEAVES))
    view = ring_view(bytes(16), 1, (Member(node_id(0), address_of(0), Location(), every),))
    with pytest.raises(ConfigurationError, match="takes no more vnodes"):
        tokens_for_joiner(view, 1)


def test_configured_tokens_are_checked() -> None:
    check_tokens([leaf_end(3), leaf_end(4)])
    with pytest.raises(ConfigurationError, match="given twice"):
        check_tokens([leaf_end(3), leaf_end(3)])
    with pytest.raises(ConfigurationError, match=f"nearest above is {leaf_end(3)}"):
        check_tokens([leaf_end(3) - 7])
    with pytest.raises(ConfigurationError):
        check_tokens([1 << 70])
