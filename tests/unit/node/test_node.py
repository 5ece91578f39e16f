"""Node: from its start to being ready, what it drops, and what its settings reach."""

from collections.abc import Callable, Iterator

import pytest

from anel.data.consistency import ConsistencyLevel
from anel.env import NodeId
from anel.errors import ConfigurationError
from anel.node.node import Node
from anel.node.settings import NodeSettings
from anel.simulation.clients import Clients
from anel.simulation.ring import SimulatedRing
from anel.simulation.world import MS, SimEnv, World
from anel.storage.memory import MemoryStore

_started: list[Node] = []


@pytest.fixture(autouse=True)
def stopped() -> Iterator[None]:
    yield
    for node in _started:
        node.stop()
    _started.clear()


def single(
    world: World, number: int, *, generation: int = 1, damaged: bool = False, **settings: object
) -> Node:
    node_id = NodeId(b"%016d" % number)
    address = ("node", 7000 + number)
    env = SimEnv(world, node_id, address, generation=generation)

    def sync(done: Callable[[], None]) -> None:
        world.schedule(MS, done)

    store = MemoryStore(lambda: world.now_ns, sync=sync)
    if damaged:
        store.start_recovering("a bit was flipped")
    node = env.node = Node(
        env,
        store,
        NodeSettings(node=node_id, generation=generation, address=address, **settings),  # type: ignore[arg-type]
    )
    world.attach(env)
    _started.append(node)
    return node


def test_a_node_without_seeds_forms_a_ring_of_one_and_is_ready_once_that_is_on_disk() -> None:
    world = World(1)
    node = single(world, 1)
    ready: list[int] = []
    node.when_ready(lambda: ready.append(world.now_ns))
    node.start()
    assert not node.is_ready
    assert world.run(100, lambda: node.is_ready)
    assert ready
    assert node.ring.epoch == 1
    keyspace = node.schema.keyspace("redis")
    assert keyspace is not None
    assert keyspace.replication_factor == 1


def test_nodes_with_seeds_join_one_after_another_and_copies_grow_with_them() -> None:
    world = World(2)
    nodes = [single(world, 1)]
    nodes += [single(world, number, seeds=(("node", 7001),)) for number in (2, 3)]
    for node in nodes:
        node.start()
    assert world.run(20_000, lambda: all(node.ring.epoch == 3 for node in nodes))
    assert world.run(5_000, lambda: all(node.is_ready for node in nodes))
    keyspaces = [node.schema.keyspace("redis") for node in nodes]
    assert [keyspace and keyspace.replication_factor for keyspace in keyspaces] == [3, 3, 3]


def test_a_join_that_would_move_user_data_is_refused_with_what_to_do() -> None:
    world = World(3)
    first = single(world, 1)
    first.start()
    assert world.run(100, lambda: first.is_ready)
    ring = SimulatedRing(world, 1)
    ring.machines[0].node = first
    Clients(ring).write(ring.machines[0], b"k", ConsistencyLevel.ONE)
    world.run(100)
    late = single(world, 2, seeds=(("node", 7001),))
    told: list[ConfigurationError] = []
    late.when_refused.append(told.append)
    late.start()
    assert world.run(20_000, lambda: bool(told))
    assert "FLUSHALL" in str(told[0])
    assert not late.is_ready
    assert first.ring.epoch == 1


def test_messages_that_make_no_sense_are_counted_and_dropped() -> None:
    world = World(4)
    node = single(world, 1)
    node.start()
    world.run(100)
    stranger = NodeId(b"s" * 16)
    for message in (b"", b"\x77", b"\x01", b"\x12" + bytes(8) + b"\xff", b"\x40" * 20):
        node.receive(stranger, message)
    assert node.malformed == 5
    assert node.is_ready


def test_the_settings_timeout_is_how_long_a_write_waits() -> None:
    world = World(5)
    ring = SimulatedRing(world, 3)
    ring.start_all()
    _started.extend(machine.node for machine in ring.machines if machine.node is not None)
    node = ring.machines[0].node
    assert node is not None
    node.coordinator.set_timeouts(write_ms=70, read_ms=70)
    others = [machine.settings.node for machine in ring.machines[1:]]
    for other in others:
        world.cut(node.settings.node, other)
    clients = Clients(ring)
    clients.write(ring.machines[0], b"k", ConsistencyLevel.ALL)
    world.run(60)
    assert clients.history.timeouts == 0
    world.run(20)
    assert clients.history.timeouts == 1
    assert node.coordinator.counters.write_timeouts == 1


def test_a_founder_whose_store_was_damaged_asks_its_peers_for_the_ring() -> None:
    world = World(6)
    nodes = [single(world, 1)]
    nodes += [single(world, number, seeds=(("node", 7001),)) for number in (2, 3)]
    for node in nodes:
        node.start()
    assert world.run(20_000, lambda: all(node.ring.epoch == 3 for node in nodes))
    ring_id = nodes[1].ring.view.ring_id
    founder = nodes.pop(0)
    founder.stop()
    assert isinstance(founder.env, SimEnv)
    world.detach(founder.env)
    again = single(world, 1, generation=2, damaged=True)
    again.start()
    assert world.run(20_000, lambda: again.is_ready)
    assert again.ring.view.ring_id == ring_id
    assert world.run(20_000, lambda: not again.store.recovering)
