"""Membership on a simulated ring: gossip, death, refutation, splits that heal, flat load."""

import pytest

from anel.env import NodeId
from anel.internode.messages import MessageType, pack_control
from anel.membership.endpoint import News, Standing
from anel.membership.gossip import LAST_TURN, Gossip
from anel.membership.membership import Membership
from anel.membership.timing import Timing
from anel.simulation.world import Weather, World
from tests.unit.fakes.ring import BareNode, address_of, node_id, view_of

SECOND = 1000


class Ring:
    """A ring of nodes that run membership and nothing else."""

    def __init__(self, count: int, seed: int = 1, timing: Timing | None = None) -> None:
        self.world = World(seed)
        self.view = view_of(count)
        self.timing = timing
        self.nodes: list[BareNode] = []
        self.members: list[Membership] = []
        for number in range(count):
            self.nodes.append(None)  # type: ignore[arg-type]
            self.members.append(None)  # type: ignore[arg-type]
            self.start(number)

    def start(self, number: int, generation: int = 1) -> None:
        node = BareNode(self.world, number, generation)
        member = Membership(
            node.env,
            node.requests,
            node=node.id,
            address=address_of(number),
            generation=generation,
            timing=self.timing,
        )
        node.handlers[MessageType.PING] = member.on_ping
        node.handlers[MessageType.PING_REQUEST] = member.on_ping_request
        node.handlers[MessageType.GOSSIP] = member.on_gossip
        node.when_link_up.append(member.link_up)
        node.when_link_down.append(member.link_down)
        node.attach()
        member.ring_changed(self.view)
        member.start()
        self.nodes[number] = node
        self.members[number] = member

    def kill(self, number: int) -> None:
        self.nodes[number].kill()

    def run(self, duration_ms: int) -> None:
        self.world.run(duration_ms)

    def alive(self, viewer: int, number: int) -> bool:
        return self.members[viewer].is_alive(node_id(number))

    def cut(self, one: list[int], other: list[int]) -> None:
        for a in one:
            for b in other:
                self.world.cut(node_id(a), node_id(b))
                self.world.cut(node_id(b), node_id(a))

    def hush(self, number: int) -> None:
        """Lose everything one node sends, its links staying up: a node that hangs."""
        for other in range(len(self.nodes)):
            self.world.cut(node_id(number), node_id(other))


def test_a_state_set_on_one_node_reaches_all_others() -> None:
    ring = Ring(5)
    ring.members[2].update(schema="abc", rows=7)
    ring.run(4 * SECOND)
    for member in ring.members:
        endpoint = member.endpoint(node_id(2))
        assert endpoint is not None
        assert endpoint.states["schema"] == "abc"
        assert endpoint.states["rows"] == 7


def test_a_listener_hears_which_states_changed() -> None:
    ring = Ring(3)
    ring.run(3 * SECOND)
    heard: list[tuple[NodeId, list[str]]] = []
    ring.members[0].when_changed.append(lambda node, names: heard.append((node, names)))
    ring.members[1].update(rows=1)
    ring.run(4 * SECOND)
    assert heard == [(node_id(1), ["rows"])]


def test_a_quiet_ring_suspects_nobody() -> None:
    ring = Ring(5)
    ring.run(60 * SECOND)
    assert sum(member.suspicions for member in ring.members) == 0


@pytest.mark.parametrize("count", [2, 3, 5, 9])
@pytest.mark.parametrize("seed", range(5))
def test_a_killed_process_is_dead_everywhere_within_three_seconds(
    count: int, seed: int
) -> None:
    ring = Ring(count, seed)
    ring.run(5 * SECOND)
    ring.kill(1)
    ring.run(3 * SECOND)
    assert [ring.alive(viewer, 1) for viewer in range(count) if viewer != 1] == [False] * (
        count - 1
    )


@pytest.mark.parametrize("seed", range(5))
def test_a_node_that_hangs_is_dead_within_ten_seconds(seed: int) -> None:
    ring = Ring(5, seed)
    ring.run(5 * SECOND)
    ring.hush(3)
    ring.run(10 * SECOND)
    assert [ring.alive(viewer, 3) for viewer in (0, 1, 2, 4)] == [False] * 4


def test_a_restarted_node_is_alive_again_at_once() -> None:
    ring = Ring(3)
    ring.run(3 * SECOND)
    ring.kill(1)
    ring.run(4 * SECOND)
    assert not ring.alive(0, 1)
    ups: list[NodeId] = []
    ring.members[0].when_up.append(ups.append)
    ring.start(1, generation=2)
    ring.run(200)
    assert ring.alive(0, 1)
    assert ring.alive(2, 1)
    assert ups == [node_id(1)]


def test_a_restart_that_nobody_noticed_still_counts_as_up() -> None:
    ring = Ring(3)
    ring.run(3 * SECOND)
    ups: list[NodeId] = []
    ring.members[0].when_up.append(ups.append)
    ring.kill(1)
    ring.run(50)
    ring.start(1, generation=2)
    ring.run(2 * SECOND)
    assert ups == [node_id(1)]


def test_a_false_suspicion_is_refuted_by_a_higher_incarnation() -> None:
    ring = Ring(5)
    ring.run(3 * SECOND)
    victim = ring.members[4]
    ring.members[0].missed(node_id(4))
    endpoint = ring.members[0].endpoint(node_id(4))
    assert endpoint is not None
    suspected = endpoint.news()
    ring.run(3 * SECOND)
    assert suspected.standing is Standing.SUSPECT
    assert victim.own.incarnation >= 1
    assert victim.refutations >= 1
    assert endpoint.standing is Standing.ALIVE
    assert sum(member.deaths for member in ring.members) == 0


def test_a_false_rumour_of_death_is_refuted() -> None:
    ring = Ring(4)
    ring.run(3 * SECOND)
    rumour = News(node_id(2), 1, 0, Standing.DEAD, node_id(0))
    ring.members[0].hear(node_id(3), [rumour])
    assert not ring.alive(0, 2)
    ring.run(4 * SECOND)
    assert [ring.alive(viewer, 2) for viewer in range(4)] == [True] * 4


def test_a_suspect_counts_as_alive() -> None:
    ring = Ring(3)
    ring.run(3 * SECOND)
    ring.members[0].missed(node_id(1))
    assert ring.alive(0, 1)


@pytest.mark.parametrize("seed", range(5))
def test_a_split_of_five_into_two_and_three_heals(seed: int) -> None:
    ring = Ring(5, seed)
    ring.run(3 * SECOND)
    ring.cut([0, 1], [2, 3, 4])
    ring.run(20 * SECOND)
    for viewer in range(5):
        for number in range(5):
            assert ring.alive(viewer, number) == ((viewer < 2) == (number < 2))
    ring.world.heal()
    ring.run(10 * SECOND)
    assert all(ring.alive(viewer, number) for viewer in range(5) for number in range(5))


def test_a_node_cut_off_from_one_peer_only_stays_alive_to_it() -> None:
    ring = Ring(5)
    ring.run(3 * SECOND)
    ring.cut([0], [1])
    ring.run(30 * SECOND)
    assert ring.alive(0, 1)
    assert ring.alive(1, 0)


def test_heavy_loss_kills_nobody_for_good() -> None:
    ring = Ring(5, seed=3)
    ring.world.weather = Weather(drop=0.10, delay_ms_max=20)
    ring.run(120 * SECOND)
    ring.world.weather = Weather()
    ring.run(10 * SECOND)
    assert all(ring.alive(viewer, number) for viewer in range(5) for number in range(5))


def _messages_per_node_and_period(count: int) -> float:
    ring = Ring(count)
    ring.run(5 * SECOND)
    before = sum(sum(node.env.sent.values()) for node in ring.nodes)
    ring.run(20 * SECOND)
    after = sum(sum(node.env.sent.values()) for node in ring.nodes)
    return float(after - before) / 20 / count


def test_the_load_per_node_and_period_does_not_grow_with_the_ring() -> None:
    small = _messages_per_node_and_period(4)
    large = _messages_per_node_and_period(24)
    assert large <= small * 1.2
    assert large <= 6


def test_a_node_that_stood_still_blames_nobody() -> None:
    ring = Ring(3)
    ring.run(3 * SECOND)
    node = ring.nodes[0]
    probed = ring.members[0]
    # Everything due while the process stood still runs late, and what came in is read after it.
    held: list[tuple[NodeId, bytes]] = []
    receive = node.receive
    node.receive = lambda peer, message: held.append((peer, message))  # type: ignore[method-assign]
    postponed: list[object] = []
    run = node.env._run
    node.env._run = postponed.append  # type: ignore[assignment,method-assign]
    ring.run(30 * SECOND)
    node.env._run = run  # type: ignore[method-assign]
    node.receive = receive  # type: ignore[method-assign]
    for callback in postponed:
        run(callback)  # type: ignore[arg-type]
    for peer, message in held:
        node.receive(peer, message)
    ring.run(5 * SECOND)
    assert probed.deaths == 0
    assert all(ring.alive(viewer, number) for viewer in range(3) for number in range(3))


def test_a_node_whose_start_counter_was_lost_takes_a_higher_one() -> None:
    ring = Ring(3)
    ring.run(3 * SECOND)
    ring.kill(1)
    ring.start(1, generation=9)
    ring.run(3 * SECOND)
    ring.kill(1)
    ring.run(4 * SECOND)
    ring.start(1, generation=1)
    ring.members[1].update(rows=5)
    ring.run(4 * SECOND)
    assert ring.members[1].own.generation == 10
    for viewer in (0, 2):
        endpoint = ring.members[viewer].endpoint(node_id(1))
        assert endpoint is not None
        assert endpoint.is_alive
        assert endpoint.states["rows"] == 5


def test_a_member_not_yet_heard_is_spared_while_the_ring_starts() -> None:
    ring = Ring(3)
    ring.kill(1)
    ring.kill(2)
    ring.start(1)
    ring.run(1500)
    assert ring.alive(1, 2)
    ring.run(6 * SECOND)
    assert not ring.alive(1, 2)


def test_recovering_is_read_from_the_states() -> None:
    ring = Ring(3)
    ring.members[1].update(recovering=1)
    ring.run(3 * SECOND)
    assert ring.members[0].is_recovering(node_id(1))
    ring.members[1].update(recovering=0)
    ring.run(3 * SECOND)
    assert not ring.members[0].is_recovering(node_id(1))
    assert not ring.members[0].is_recovering(node_id(77))


def test_a_stranger_is_not_alive_and_its_news_is_ignored() -> None:
    ring = Ring(3)
    stranger = node_id(50)
    ring.members[0].hear(node_id(1), [News(stranger, 5, 0, Standing.ALIVE)])
    assert not ring.members[0].is_alive(stranger)
    assert ring.members[0].endpoint(stranger) is None


def test_a_member_that_left_the_view_is_forgotten() -> None:
    ring = Ring(3)
    ring.run(3 * SECOND)
    ring.members[0].missed(node_id(2))
    smaller = view_of(2)
    ring.members[0].ring_changed(smaller)
    ring.run(5 * SECOND)
    assert [endpoint.node for endpoint in ring.members[0].endpoints()] == [
        node_id(0),
        node_id(1),
    ]
    assert node_id(2) not in ring.nodes[0].env.known


def test_a_peer_that_moved_is_found_at_its_new_address() -> None:
    ring = Ring(3)
    ring.run(3 * SECOND)
    ring.members[1].update(internode="127.0.0.1:7999")
    ring.run(4 * SECOND)
    endpoint = ring.members[0].endpoint(node_id(1))
    assert endpoint is not None
    assert endpoint.address == ("127.0.0.1", 7999)
    assert ring.nodes[0].env.known[node_id(1)] == ("127.0.0.1", 7999)


def test_stopped_membership_sends_nothing() -> None:
    ring = Ring(3)
    ring.run(3 * SECOND)
    ring.kill(2)
    ring.run(100)
    ring.members[0].stop()
    ring.run(10)
    before = dict(ring.nodes[0].env.sent)
    ring.nodes[1].kill()
    ring.run(10 * SECOND)
    assert ring.nodes[0].env.sent == before


def test_stopped_membership_takes_news_without_a_timer() -> None:
    ring = Ring(3)
    ring.run(3 * SECOND)
    member = ring.members[0]
    member.stop()
    doubt = News(node_id(1), 1, 0, Standing.SUSPECT, node_id(2))
    member.hear(node_id(2), [doubt])
    member.hear(node_id(2), [doubt])
    assert member.suspicions == 0
    assert member.is_alive(node_id(1))


def test_the_same_seed_gives_the_same_run() -> None:
    digests = []
    for _ in range(2):
        ring = Ring(5, seed=9)
        ring.world.weather = Weather(drop=0.2)
        ring.run(20 * SECOND)
        digests.append(ring.world.digest)
    assert digests[0] == digests[1]


def test_the_last_turn_is_not_answered() -> None:
    ring = Ring(2)
    ring.run(3 * SECOND)
    sent = ring.members[0].gossips
    gossip = Gossip(LAST_TURN, [], [], [])
    ring.members[0].on_gossip(node_id(1), pack_control(MessageType.GOSSIP, 0, gossip))
    assert ring.members[0].gossips == sent
