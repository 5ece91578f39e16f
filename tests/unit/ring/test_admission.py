"""Joining: every member promises, all take the same view, and a join half done is settled."""

from collections.abc import Callable

import pytest

from anel.data.token import leaf_end
from anel.errors import ConfigurationError, UnknownFormat
from anel.internode.messages import REPLY, MessageType
from anel.ring.admission import Admission, Newcomer
from anel.ring.ring import NO_EPOCH, Ring
from anel.ring.sponsor import META, PROMISE_MS, Sponsor
from anel.simulation.world import Weather, World
from anel.storage.memory import MemoryStore
from tests.unit.fakes.ring import BareNode, address_of, node_id

Outcome = ConfigurationError | None


class RingNode(BareNode):
    """A node that can found a ring, join one, and let others in."""

    def __init__(
        self,
        world: World,
        number: int,
        *,
        tokens: tuple[int, ...] = (),
        store: MemoryStore | None = None,
        generation: int = 1,
    ) -> None:
        super().__init__(world, number, generation)
        self.store = store or MemoryStore(self.env.now_ns)
        self.ring = Ring(self.env, self.store, self.id, self.requests)
        self.data = ""
        self.sponsor = Sponsor(
            self.env, self.store, self.requests, self.ring, holds_data=lambda: self.data
        )
        newcomer = Newcomer(self.id, address_of(number), tokens=tokens, vnodes=4)
        self.admission = Admission(
            self.env, self.store, self.requests, self.ring, newcomer=newcomer
        )
        self.handlers = {
            MessageType.RING_PULL: self.ring.on_ring_pull,
            MessageType.RING_PREPARE: self.sponsor.on_ring_prepare,
            MessageType.RING_COMMIT: self.sponsor.on_ring_commit,
        }
        self.when_link_up.append(self.admission.link_up)
        self.when_link_down.append(self.admission.link_down)
        self.outcomes: list[Outcome] = []
        self.attach()
        if self.ring.load():
            self.sponsor.load()
            for member in self.ring.view.members:
                self.env.learn(member.node, member.address)

    def join(self, *seeds: int) -> "RingNode":
        self.admission.join([address_of(seed) for seed in seeds], self.outcomes.append)
        return self

    def again(self) -> "RingNode":
        """Die, and start once more on what the disk had synced."""
        self.kill()
        store = self.store.crash(self.world.random)
        back = RingNode(self.world, self.number, store=store, generation=self.generation + 1)
        return back if back.ring.is_formed else back.join(0, 1, 2, 3)


def founded(seed: int = 1) -> tuple[World, RingNode]:
    world = World(seed)
    first = RingNode(world, 0)
    first.admission.found()
    first.store.when_durable(lambda: None, forced=True)
    return world, first


def ring_of(count: int, seed: int = 1) -> tuple[World, list[RingNode]]:
    world, first = founded(seed)
    nodes = [first]
    for number in range(1, count):
        nodes.append(RingNode(world, number).join(0))
        assert world.run(60_000, until=lambda: bool(nodes[-1].outcomes))
        assert nodes[-1].outcomes == [None]
    world.run(1_000)
    return world, nodes


def swallow(node: RingNode, kind: int) -> None:
    """Make a node deaf to one kind of message."""
    node.handlers[kind] = lambda peer, message: None  # noqa: ARG005


def views(nodes: list[RingNode]) -> int:
    return len({node.ring.view.digest() for node in nodes})


def test_a_first_node_founds_a_ring_of_one() -> None:
    _, node = founded()
    assert node.ring.epoch == 1
    assert node.ring.replicas(5, 3) == (node.id,)
    assert node.ring.write_epoch == 1


def test_two_rings_have_different_ids() -> None:
    assert founded(1)[1].ring.view.ring_id != founded(2)[1].ring.view.ring_id


def test_nodes_that_join_one_after_another_share_one_view() -> None:
    _, nodes = ring_of(4)
    assert views(nodes) == 1
    assert [node.ring.epoch for node in nodes] == [4] * 4
    assert not any(node.ring.is_locked for node in nodes)
    assert all(len(member.tokens) == 4 for member in nodes[0].ring.view.members)


def test_the_view_is_on_disk() -> None:
    _, nodes = ring_of(3)
    for node in nodes:
        assert node.again().ring.view == nodes[0].ring.view


def test_two_that_join_at_once_both_get_in() -> None:
    world, nodes = ring_of(2)
    late = [RingNode(world, 2).join(0), RingNode(world, 3).join(1)]
    assert world.run(60_000, until=lambda: all(node.outcomes for node in late))
    world.run(1_000)
    assert [node.outcomes for node in late] == [[None], [None]]
    assert views([*nodes, *late]) == 1
    assert nodes[0].ring.epoch == 4


def test_configured_tokens_are_taken() -> None:
    world, first = founded()
    tokens = (leaf_end(1), leaf_end(9_000))
    second = RingNode(world, 1, tokens=tokens).join(0)
    world.run(10_000)
    assert second.outcomes == [None]
    member = first.ring.view.member(second.id)
    assert member is not None
    assert member.tokens == tokens


def refusal_of(node: RingNode) -> str:
    assert node.world.run(60_000, until=lambda: bool(node.outcomes))
    (outcome,) = node.outcomes
    assert isinstance(outcome, ConfigurationError)
    assert not node.ring.is_formed
    return str(outcome)


def test_a_token_already_taken_is_refused() -> None:
    world, first = founded()
    taken = first.ring.token_map.tokens[:1]
    assert f"token {taken[0]} belongs to" in refusal_of(
        RingNode(world, 1, tokens=taken).join(0)
    )
    world.run(100)
    assert not first.ring.is_locked


def test_a_token_inside_a_leaf_is_refused_before_anyone_is_asked() -> None:
    world, first = founded()
    assert "not the end of a leaf" in refusal_of(RingNode(world, 1, tokens=(12,)).join(0))
    assert not first.sponsor.is_undecided


def test_a_ring_that_holds_rows_lets_nobody_in_and_says_what_to_do() -> None:
    world, nodes = ring_of(2)
    nodes[1].data = "it holds 5 records of redis.data"
    text = refusal_of(RingNode(world, 2).join(0))
    assert "5 records of redis.data" in text
    assert "FLUSHALL" in text
    world.run(100)
    assert not any(node.ring.is_locked for node in nodes)
    assert nodes[0].ring.epoch == 2


def test_a_copied_data_folder_is_refused() -> None:
    world, _ = ring_of(2)
    copy = RingNode(world, 5)
    own = copy.admission._newcomer._replace(node=node_id(1))
    copy.admission._newcomer = own
    assert "was the data folder copied" in refusal_of(copy.join(0))


def test_the_address_of_a_member_is_refused() -> None:
    world, _ = ring_of(2)
    other = RingNode(world, 5)
    other.admission._newcomer = other.admission._newcomer._replace(address=address_of(1))
    assert "bring back that node's data folder" in refusal_of(other.join(0))


def test_seeds_of_two_rings_are_refused() -> None:
    world, _ = founded()
    RingNode(world, 1).admission.found()
    assert "different rings" in refusal_of(RingNode(world, 2).join(0, 1))


def test_a_joiner_waits_for_a_seed_that_has_a_ring() -> None:
    world = World(1)
    first = RingNode(world, 0)
    second = RingNode(world, 1).join(0, 1)
    world.run(5_000)
    assert second.outcomes == []
    assert "start the first node without seeds" in second.admission.waiting_for
    first.admission.found()
    world.run(5_000)
    assert second.outcomes == [None]
    assert second.admission.waiting_for == ""


def test_a_joiner_waits_until_every_member_is_up() -> None:
    world, nodes = ring_of(3)
    nodes[2].kill()
    late = RingNode(world, 3).join(0)
    world.run(20_000)
    assert late.outcomes == []
    assert node_id(2)[:4].hex() in late.admission.waiting_for
    back = nodes[2].again()
    world.run(20_000)
    assert late.outcomes == [None]
    world.run(5_000)
    assert views([nodes[0], nodes[1], back, late]) == 1


def test_a_joiner_can_be_stopped() -> None:
    world, _ = founded()
    late = RingNode(world, 1).join(3)
    world.run(1_000)
    late.admission.stop()
    RingNode(world, 3)
    world.run(10_000)
    assert late.outcomes == []


def test_writes_are_held_back_from_the_promise_to_the_commit() -> None:
    world, first = founded()
    late = RingNode(world, 1)
    swallow(first, MessageType.RING_COMMIT)
    late.join(0)
    world.run(1_000)
    assert first.sponsor.is_undecided
    assert first.ring.write_epoch != first.ring.epoch


def test_a_promise_is_on_disk_before_it_is_given() -> None:
    world, first = founded()
    waiting: list[Callable[[], None]] = []
    first.store._sync = waiting.append
    late = RingNode(world, 1).join(0)
    world.run(1_000)
    assert first.sponsor.is_undecided
    assert first.env.sent.get(MessageType.RING_PREPARE | REPLY, 0) == 0
    first.store._sync = None
    waiting.pop()()
    world.run(5_000)
    assert late.outcomes == [None]


def test_a_joiner_that_dies_before_the_commit_leaves_the_ring_as_it_was() -> None:
    world, nodes = ring_of(3)
    for node in nodes:
        swallow(node, MessageType.RING_COMMIT)
    late = RingNode(world, 3).join(0)
    world.run(600, until=lambda: all(node.sponsor.is_undecided for node in nodes))
    late.kill()
    for node in nodes:
        node.handlers[MessageType.RING_COMMIT] = node.sponsor.on_ring_commit
    world.run(PROMISE_MS + 5_000)
    assert [node.ring.epoch for node in nodes] == [3] * 3
    assert not any(node.ring.is_locked for node in nodes)


def test_a_joiner_that_dies_amid_the_commit_is_in() -> None:
    world, nodes = ring_of(3)
    for node in nodes[1:]:
        swallow(node, MessageType.RING_COMMIT)
    late = RingNode(world, 3).join(0)
    assert world.run(5_000, until=lambda: nodes[0].ring.epoch == 4)
    world.run(20)
    late.kill()
    assert nodes[1].ring.is_locked
    for node in nodes[1:]:
        node.handlers[MessageType.RING_COMMIT] = node.sponsor.on_ring_commit
    world.run(PROMISE_MS + 5_000)
    assert views(nodes) == 1
    assert nodes[2].ring.epoch == 4
    assert not any(node.ring.is_locked for node in nodes)
    back = RingNode(world, 3, generation=2).join(1)
    world.run(10_000)
    assert back.outcomes == [None]
    assert views([*nodes, back]) == 1


def test_a_member_that_missed_the_commit_waits_for_the_one_that_knows() -> None:
    world, nodes = ring_of(3)
    for node in nodes[1:]:
        swallow(node, MessageType.RING_COMMIT)
    late = RingNode(world, 3).join(0)
    assert world.run(5_000, until=lambda: nodes[0].ring.epoch == 4)
    world.run(20)
    late.kill()
    nodes[0].kill()
    for node in nodes[1:]:
        node.handlers[MessageType.RING_COMMIT] = node.sponsor.on_ring_commit
    world.run(60_000)
    assert all(node.ring.is_locked for node in nodes[1:])
    first = nodes[0].again()
    world.run(10_000)
    assert views([first, *nodes[1:]]) == 1
    assert not any(node.ring.is_locked for node in nodes[1:])


def test_a_promise_outlives_a_restart_and_is_settled_then() -> None:
    world, nodes = ring_of(3)
    swallow(nodes[2], MessageType.RING_COMMIT)
    late = RingNode(world, 3).join(0)
    assert world.run(5_000, until=lambda: nodes[0].ring.epoch == 4)
    world.run(20)
    late.kill()
    assert nodes[2].ring.epoch == 3
    back = nodes[2].again()
    assert back.ring.is_locked
    world.run(10_000, until=lambda: back.ring.epoch == 4)
    assert back.ring.write_epoch == 4
    assert back.store.get_meta(META) is None


def test_a_doubted_join_gets_no_promise_afterwards() -> None:
    world, nodes = ring_of(3)
    world.cut(node_id(3), node_id(2))
    late = RingNode(world, 3).join(0)
    held: list[bytes] = []
    nodes[1].handlers[MessageType.RING_COMMIT] = lambda _, message: held.append(message)
    assert world.run(5_000, until=lambda: nodes[0].sponsor.is_undecided)
    join = nodes[0].sponsor._promise
    assert join is not None
    late.kill()
    nodes[1].handlers[MessageType.RING_COMMIT] = nodes[1].sponsor.on_ring_commit
    world.run(PROMISE_MS + 5_000)
    assert not any(node.ring.is_locked for node in nodes)
    assert join.join in nodes[2].sponsor._given_up


def test_a_promise_of_an_unknown_format_is_refused() -> None:
    _, first = founded()
    first.store.put_meta(META, b"\xff")
    with pytest.raises(UnknownFormat, match="255"):
        first.sponsor.load()


def storm(seed: int) -> list[RingNode]:
    """Three nodes join under loss, repetition, delay and crashes, then it is calm."""
    world, first = founded(seed)
    world.weather = Weather(drop=0.1, duplicate=0.1, late=0.1, late_ms_max=8_000)
    nodes = [first] + [RingNode(world, number).join(0) for number in range(1, 4)]
    views_seen: dict[int, bytes] = {}
    for _ in range(400):
        world.run(150)
        check_epochs(nodes, views_seen)
        if world.random.random() < 0.01:
            victim = world.random.randrange(4)
            nodes[victim] = nodes[victim].again()
    world.weather = Weather()
    for _ in range(12):
        world.run(5_000)
        for node in nodes:
            for peer in nodes:
                node.ring.heard(peer.id, peer.ring.epoch)
    return nodes


def check_epochs(nodes: list[RingNode], seen: dict[int, bytes]) -> None:
    """No two views of one epoch, and no write at an epoch that has been left."""
    formed = [node.ring for node in nodes if node.ring.is_formed]
    for ring in formed:
        assert seen.setdefault(ring.epoch, ring.view.digest()) == ring.view.digest()
    assert all(ring.write_epoch in {NO_EPOCH, max(seen)} for ring in formed)


@pytest.mark.parametrize("seed", range(40))
def test_joins_in_a_storm_end_in_one_ring_of_all(seed: int) -> None:
    nodes = storm(seed)
    assert views(nodes) == 1
    assert nodes[0].ring.epoch == 4
    assert not any(node.ring.is_locked for node in nodes)
    assert sum(node.ring.conflicts for node in nodes) == 0


def test_the_storm_finds_a_member_that_forgets_its_promise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forget(sponsor: Sponsor, join: bytes) -> None:
        if sponsor._promise is not None and sponsor._promise.join == join:
            sponsor._release()

    monkeypatch.setattr(Sponsor, "_doubt", forget)
    with pytest.raises(AssertionError):
        [storm(seed) for seed in range(200)]
