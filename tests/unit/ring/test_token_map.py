"""The token map: replicas of every token, ranges that cover the ring, shares."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anel.data.token import TOKEN_MAX, TOKEN_MIN, leaf_end, leaf_of
from anel.env import NodeId
from anel.limits import LEAVES
from anel.ring.preference_list import preference_list, successor_index
from anel.ring.ring_view import Location, Member, RingView, ring_view
from anel.ring.token_map import TokenMap
from tests.unit.fakes.ring import address_of, node_id, view_of


def members_at(*leaves: int, racks: str = "") -> RingView:
    """A ring whose k-th node has one vnode, ending at the k-th leaf given."""
    members = tuple(
        Member(
            node_id(number),
            address_of(number),
            Location(rack=racks[number] if racks else "r"),
            (leaf_end(leaf),),
        )
        for number, leaf in enumerate(leaves)
    )
    return ring_view(bytes(16), 1, members)


RINGS = st.lists(st.integers(0, LEAVES - 1), min_size=1, max_size=6, unique=True)
TOKENS = st.integers(TOKEN_MIN, TOKEN_MAX)


@given(RINGS, TOKENS, st.integers(1, 4))
def test_replicas_are_the_walk_from_the_token(
    leaves: list[int], token: int, factor: int
) -> None:
    ring = TokenMap(members_at(*leaves))
    first = successor_index(ring.tokens, token)
    assert ring.replicas(token, factor) == preference_list(ring.owners, first, factor)


@given(RINGS, st.integers(1, 4))
def test_ranges_cover_every_leaf_once_with_the_replicas_of_its_tokens(
    leaves: list[int], factor: int
) -> None:
    ring = TokenMap(members_at(*leaves))
    ranges = ring.ranges(factor)
    covered = [leaf for part in ranges for leaf in part.leaves]
    assert covered == list(range(LEAVES))
    assert ranges[0].start == TOKEN_MIN - 1
    assert ranges[-1].end == TOKEN_MAX
    for part in ranges:
        assert part.replicas == ring.replicas(part.start + 1, factor)
        assert part.replicas == ring.replicas(part.end, factor)


def test_a_leaf_has_one_replica_set() -> None:
    ring = TokenMap(view_of(5, vnodes=16))
    random = Random(1)
    for _ in range(500):
        token = random.randint(TOKEN_MIN, TOKEN_MAX)
        end = leaf_end(leaf_of(token))
        assert ring.replicas(token, 3) == ring.replicas(end, 3)


def test_the_greatest_token_may_end_a_vnode() -> None:
    ring = TokenMap(members_at(LEAVES - 1, 5))
    assert ring.replicas(TOKEN_MAX, 1) == (node_id(0),)
    assert ring.replicas(TOKEN_MIN, 1) == (node_id(1),)
    assert len(ring.ranges(1)) == 2


def test_a_node_holds_its_ranges_and_those_it_copies() -> None:
    ring = TokenMap(members_at(LEAVES // 2 - 1, LEAVES - 1))
    assert [part.leaves for part in ring.ranges_of(node_id(0), 1)] == [range(LEAVES // 2)]
    assert len(ring.ranges_of(node_id(0), 2)) == 2
    assert ring.ranges_of(NodeId(b"nobody"), 2) == []


def test_shares_add_up_to_the_number_of_copies() -> None:
    ring = TokenMap(view_of(5, vnodes=16))
    for factor in (1, 2, 3):
        total = sum(ring.share(node, factor) for node in ring.nodes)
        assert total == pytest.approx(factor)


def test_more_copies_than_nodes_are_as_many_as_there_are() -> None:
    assert len(TokenMap(members_at(3, 9)).replicas(0, 5)) == 2


def test_racks_count_once_they_differ() -> None:
    ring = TokenMap(members_at(10, 20, 30, racks="xxy"))
    assert ring.replicas(TOKEN_MIN, 2) == (node_id(0), node_id(2))
    plain = TokenMap(members_at(10, 20, 30, racks="xxx"))
    assert plain.replicas(TOKEN_MIN, 2) == (node_id(0), node_id(1))


def test_lists_are_worked_out_once() -> None:
    ring = TokenMap(view_of(3))
    assert ring.replicas(1, 2) is ring.replicas(1, 2)
