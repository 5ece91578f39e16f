"""The node's ring: only later views are taken, they are durable, and peers catch up."""

import pytest

from anel.data.token import TOKEN_MAX, TOKEN_MIN
from anel.internode.messages import MessageType
from anel.ring.ring import META, NO_EPOCH, Ring
from anel.ring.ring_view import Location, Member, RingView, ring_view
from anel.simulation.world import World
from anel.storage.memory import MemoryStore
from tests.unit.fakes.ring import BareNode, address_of, node_id, view_of


class RingNode(BareNode):
    """A node with a ring."""

    def __init__(self, world: World, number: int) -> None:
        super().__init__(world, number)
        self.store = MemoryStore(self.env.now_ns)
        self.ring = Ring(self.env, self.store, self.id, self.requests)
        self.handlers[MessageType.RING_PULL] = self.ring.on_ring_pull


@pytest.fixture
def node() -> RingNode:
    return RingNode(World(1), 0)


def pair() -> tuple[World, RingNode, RingNode]:
    world = World(1)
    one, other = RingNode(world, 0), RingNode(world, 1)
    for node in (one, other):
        node.attach()
    one.env.learn(other.id, other.env.address)
    other.env.learn(one.id, one.env.address)
    world.run(100)
    return world, one, other


def later(view: RingView, epoch: int) -> RingView:
    return ring_view(view.ring_id, epoch, view.members)


def test_a_node_without_a_ring_says_so(node: RingNode) -> None:
    assert not node.ring.load()
    assert not node.ring.is_formed
    assert (node.ring.epoch, node.ring.write_epoch) == (0, NO_EPOCH)


def test_an_adopted_view_is_there_after_a_restart(node: RingNode) -> None:
    assert node.ring.adopt(view_of(3))
    again = Ring(node.env, node.store.reopen(), node.id, node.requests)
    assert again.load()
    assert again.view == view_of(3)
    assert again.members == node.ring.members
    assert again.replicas(0, 2) == node.ring.replicas(0, 2)


def test_listeners_hear_each_new_view_once(node: RingNode) -> None:
    heard: list[int] = []
    node.ring.listeners.append(lambda view: heard.append(view.epoch))
    for epoch in (1, 1, 3, 2):
        node.ring.adopt(later(view_of(3), epoch))
    assert heard == [1, 3]


def test_an_earlier_view_is_not_taken(node: RingNode) -> None:
    node.ring.adopt(later(view_of(3), 4))
    assert not node.ring.adopt(later(view_of(3), 3))
    assert node.ring.epoch == 4
    assert node.ring.conflicts == 0


def test_the_same_view_again_is_well(node: RingNode) -> None:
    node.ring.adopt(view_of(3))
    assert node.ring.adopt(view_of(3))
    assert node.ring.conflicts == 0


@pytest.mark.parametrize(
    "view",
    [
        view_of(2),
        ring_view(b"another ring id!", 9, view_of(3).members),
        ring_view(bytes(16), 9, view_of(3).members[1:]),
    ],
    ids=["another view of the epoch", "another ring", "without this node"],
)
def test_a_contradicting_view_is_refused_and_counted(node: RingNode, view: RingView) -> None:
    node.ring.adopt(view_of(3))
    assert not node.ring.adopt(view)
    assert node.ring.view == view_of(3)
    assert node.ring.conflicts == 1
    assert node.store.get_meta(META) is not None


def test_a_node_that_hears_of_a_later_epoch_pulls_it() -> None:
    world, one, other = pair()
    one.ring.adopt(view_of(2))
    other.ring.adopt(later(view_of(2), 5))
    one.ring.heard(other.id, 5)
    one.ring.heard(other.id, 5)
    world.run(100)
    assert one.ring.epoch == 5
    assert one.env.sent[MessageType.RING_PULL] == 1


def test_a_pull_whose_answer_was_lost_is_repeated() -> None:
    world, one, other = pair()
    one.ring.adopt(view_of(2))
    other.ring.adopt(later(view_of(2), 5))
    world.cut(other.id, one.id)
    one.ring.heard(other.id, 5)
    world.run(10_000)
    assert one.ring.epoch == 1
    assert 2 <= one.env.sent[MessageType.RING_PULL] <= 5
    world.heal()
    world.run(10_000)
    assert one.ring.epoch == 5


def test_a_node_that_is_pulled_by_one_ahead_of_it_pulls_in_turn() -> None:
    world, one, other = pair()
    one.ring.adopt(later(view_of(2), 5))
    other.ring.adopt(view_of(2))
    one.ring.pull(other.id)
    world.run(100)
    assert other.ring.epoch == 5


def test_an_equal_or_lower_epoch_is_not_pulled() -> None:
    _, one, other = pair()
    one.ring.adopt(view_of(2))
    one.ring.heard(other.id, 1)
    assert MessageType.RING_PULL not in one.env.sent


def test_a_node_without_a_ring_answers_a_pull_with_none() -> None:
    world, one, other = pair()
    one.ring.adopt(view_of(2))
    one.ring.pull(other.id)
    world.run(100)
    assert one.ring.epoch == 1
    one.ring.pull(other.id)
    assert one.env.sent[MessageType.RING_PULL] == 2


def test_writes_are_locked_until_every_holder_lets_go(node: RingNode) -> None:
    ring = node.ring
    ring.adopt(view_of(1))
    ring.lock(b"one")
    ring.lock(b"two")
    ring.unlock(b"one")
    assert ring.write_epoch == NO_EPOCH
    ring.adopt(later(view_of(1), 2))
    assert ring.write_epoch == NO_EPOCH
    ring.unlock(b"two")
    ring.unlock(b"two")
    assert not ring.is_locked
    assert ring.write_epoch == 2


def test_the_range_around_a_token_holds_its_tokens_only(node: RingNode) -> None:
    ring = node.ring
    ring.adopt(view_of(3))
    tokens = ring.token_map.tokens
    assert ring.range_of(TOKEN_MIN) == (TOKEN_MIN, tokens[0])
    assert ring.range_of(tokens[0]) == (TOKEN_MIN, tokens[0])
    assert ring.range_of(tokens[0] + 1) == (tokens[0] + 1, tokens[1])
    assert ring.range_of(tokens[-1]) == (tokens[-2] + 1, tokens[-1])


def test_the_range_that_wraps_is_given_as_its_two_ends(node: RingNode) -> None:
    member = Member(node.id, address_of(0), Location(), (TOKEN_MIN + (1 << 50) - 1,))
    node.ring.adopt(ring_view(bytes(16), 1, (member,)))
    assert node.ring.range_of(TOKEN_MAX) == (member.tokens[0] + 1, TOKEN_MAX)
    assert node.ring.range_of(TOKEN_MIN) == (TOKEN_MIN, member.tokens[0])
    assert node.ring.replicas(TOKEN_MAX, 1) == (node_id(0),)
