"""Probes: direct, through helpers, nacks, and answers late by one's own fault."""

from collections.abc import Callable

from anel.env import NodeId
from anel.internode.messages import REPLY, MessageType
from anel.membership.detector import Detector, ProbeOrder
from anel.membership.endpoint import News
from anel.membership.timing import Timing
from anel.simulation.world import World
from tests.unit.fakes.ring import BareNode, address_of, node_id


class Judge:
    """Membership as far as the detector sees it."""

    def __init__(self, helpers: list[NodeId]) -> None:
        self._helpers = helpers
        self.silent: list[NodeId] = []

    def news_for(self, peer: NodeId, about: NodeId | None = None) -> list[News]:  # noqa: ARG002
        return []

    def hear(self, peer: NodeId, news: list[News]) -> None:
        pass

    def helpers(self, target: NodeId, count_max: int) -> list[NodeId]:
        return [node for node in self._helpers if node != target][:count_max]

    def missed(self, target: NodeId) -> None:
        self.silent.append(target)


class Ring:
    """Five nodes; node 0 probes node 1."""

    def __init__(self, *, helpers: int = 3) -> None:
        self.world = World(2)
        self.nodes = [BareNode(self.world, k) for k in range(5)]
        self.judges = [Judge([node_id(2 + k) for k in range(helpers)]) for _ in self.nodes]
        self.detectors = [
            Detector(node.env, node.requests, judge, Timing())
            for node, judge in zip(self.nodes, self.judges, strict=True)
        ]
        for node, detector in zip(self.nodes, self.detectors, strict=True):
            node.handlers[MessageType.PING] = detector.on_ping
            node.handlers[MessageType.PING_REQUEST] = detector.on_ping_request
            node.attach()
        for node in self.nodes:
            for other in range(5):
                if node.number != other:
                    node.env.learn(node_id(other), address_of(other))
        self.world.run(50)

    def probe(self, duration_ms: int = 2000) -> bool:
        """Probe node 1 from node 0; tell whether it was found silent."""
        self.detectors[0].probe(node_id(1))
        self.world.run(duration_ms)
        return self.judges[0].silent == [node_id(1)]

    def cut(self, one: int, other: int) -> None:
        self.world.cut(node_id(one), node_id(other))
        self.world.cut(node_id(other), node_id(one))


def test_an_ack_ends_the_probe() -> None:
    ring = Ring()
    assert not ring.probe()
    assert ring.nodes[0].env.sent == {MessageType.PING: 1}
    assert ring.detectors[0].misses == 0


def test_a_target_cut_off_from_the_prober_is_found_by_helpers() -> None:
    ring = Ring()
    ring.cut(0, 1)
    assert not ring.probe()
    assert ring.nodes[0].env.sent[MessageType.PING_REQUEST] == 3


def test_silence_to_all_is_a_miss_known_before_the_period_ends() -> None:
    ring = Ring()
    for other in (0, 2, 3, 4):
        ring.cut(1, other)
    assert ring.probe(950)


def test_nacks_of_all_helpers_end_the_wait_and_leave_health_alone() -> None:
    ring = Ring()
    ring.nodes[1].kill()
    ring.world.run(10)
    assert ring.probe(10)
    assert ring.detectors[0].health.score == 0
    assert ring.nodes[2].env.sent[MessageType.PING_REQUEST | REPLY] == 1


def test_missing_nacks_make_the_prober_doubt_itself() -> None:
    ring = Ring()
    for other in range(1, 5):
        ring.cut(0, other)
    assert ring.probe()
    assert ring.detectors[0].health.score == 1


def test_without_helpers_silence_is_a_miss_after_the_direct_wait() -> None:
    ring = Ring(helpers=0)
    ring.cut(0, 1)
    assert ring.probe(310)


def test_a_late_direct_ack_still_counts() -> None:
    ring = Ring(helpers=1)
    answer = ring.nodes[1].handlers[MessageType.PING]
    env = ring.nodes[1].env

    def late(peer: NodeId, message: bytes) -> None:
        env.set_timer(450, lambda: answer(peer, message))

    ring.nodes[1].handlers[MessageType.PING] = late
    ring.nodes[2].handlers.pop(MessageType.PING_REQUEST)
    assert not ring.probe()
    assert ring.detectors[0].misses == 0


def test_a_probe_under_way_is_not_begun_twice() -> None:
    ring = Ring()
    ring.detectors[0].probe(node_id(1))
    ring.detectors[0].probe(node_id(1))
    assert ring.detectors[0].probes == 1


def test_a_link_that_breaks_during_a_probe_asks_helpers_at_once() -> None:
    ring = Ring()
    ring.cut(0, 1)
    ring.detectors[0].probe(node_id(1))
    ring.world.run(50)
    ring.nodes[0].link_down(node_id(1))
    ring.world.run(50)
    assert ring.nodes[0].env.sent[MessageType.PING_REQUEST] == 3


def test_a_deadline_noticed_late_is_held_against_nobody() -> None:
    ring = Ring(helpers=0)
    ring.cut(0, 1)
    node = ring.nodes[0]
    postponed: list[Callable[[], None]] = []
    run = node.env._run
    node.env._run = postponed.append  # type: ignore[assignment,method-assign]
    ring.detectors[0].probe(node_id(1))
    ring.world.run(5000)
    node.env._run = run  # type: ignore[method-assign]
    node.requests._expire(300 + 600)
    assert ring.judges[0].silent == []
    assert ring.detectors[0].health.score == 1


def test_stopping_forgets_probes_under_way() -> None:
    ring = Ring()
    ring.cut(0, 1)
    ring.detectors[0].probe(node_id(1))
    ring.detectors[0].stop()
    ring.world.run(2000)
    assert ring.judges[0].silent == []
    assert len(ring.nodes[0].requests) == 0


def test_every_member_is_probed_once_a_round() -> None:
    world = World(1)
    order = ProbeOrder(BareNode(world, 0).env)
    members = [node_id(k) for k in range(7)]
    rounds = [[order.next(members) for _ in members] for _ in range(3)]
    for probed in rounds:
        assert sorted(node for node in probed if node is not None) == members
    assert rounds[0] != rounds[1]


def test_members_that_died_meanwhile_are_passed_over() -> None:
    order = ProbeOrder(BareNode(World(1), 0).env)
    members = [node_id(k) for k in range(4)]
    first = order.next(members)
    assert first is not None
    rest = [node for node in members if node != first][:1]
    assert order.next(rest) == rest[0]
    assert order.next([]) is None
