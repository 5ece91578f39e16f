"""A small ring for repair's tests: real stores and replicas, a membership the test decides."""

from collections.abc import Callable
from functools import partial
from random import Random

from anel.coordinator.replica import Replica
from anel.data.schema import Schema, Table, redis_schema
from anel.data.timestamp import HybridClock
from anel.env import NodeId
from anel.internode.messages import MessageType
from anel.repair.anti_entropy import AntiEntropy
from anel.repair.leaves import shared_spans
from anel.repair.refill import Refill
from anel.repair.services import RepairServices
from anel.ring.token_map import TokenMap
from anel.simulation.world import World
from anel.storage.memory import MemoryStore
from tests.unit.fakes.ring import BareNode, address_of, node_id, view_of
from tests.unit.repair.rows import REDIS_TABLE


class FakeRing:
    """A view that the test may move to another epoch."""

    def __init__(self, count: int, vnodes: int = 4) -> None:
        view = view_of(count, vnodes)
        self.epoch = 1
        self.write_epoch = 1
        self.token_map = TokenMap(view)
        self.members = self.token_map.nodes
        self.pulled: list[NodeId] = []

    def pull(self, peer: NodeId) -> None:
        self.pulled.append(peer)

    def replicas(self, token: int, replication_factor: int) -> tuple[NodeId, ...]:
        return self.token_map.replicas(token, replication_factor)

    def range_of(self, token: int) -> tuple[int, int]:
        return (token, token)


class FakeMembership:
    """What one node believes, as the test says; keeps its own states."""

    def __init__(self) -> None:
        self.dead: list[NodeId] = []
        self.recovering: list[NodeId] = []
        self.states: dict[str, str | int] = {}

    def is_alive(self, node: NodeId) -> bool:
        return node not in self.dead

    def is_recovering(self, node: NodeId) -> bool:
        return node in self.recovering

    def update(self, **states: str | int) -> None:
        self.states.update(states)


class Book:
    """A schema that the test may change."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    def table_by_id(self, table: bytes) -> Table | None:
        for keyspace in self.schema.keyspaces():
            for known in keyspace.tables:
                if known.id == table:
                    return known
        return None

    def truncated(self, table: bytes, at: int) -> None:
        known = self.table_by_id(table)
        assert known is not None
        self.schema = self.schema.truncated(known, at)

    def keyspace(self, name: str) -> object:
        return self.schema.keyspace(name)


class RepairNode:
    """One node of the ring."""

    def __init__(self, world: World, number: int, ring: FakeRing, schema: Schema) -> None:
        self.node = BareNode(world, number)
        self.id = self.node.id
        self.env = self.node.env
        self.ring = ring
        self.book = Book(schema)
        self.membership = FakeMembership()
        self.use(MemoryStore(self.env.now_ns, sync=self._sync))

    def use(self, store: MemoryStore) -> None:
        """Put another store under the node."""
        self.store = store
        clock = HybridClock(self.env.wall_us, 0, lambda _: None)
        replica = Replica(self.env, store, self.ring, self.book, clock=clock)  # type: ignore[arg-type]
        self.services = services = RepairServices(
            self.env,
            self.id,
            self.node.requests,
            store,
            self.ring,
            lambda: self.book.schema,
            self.membership,
        )
        self.anti_entropy = AntiEntropy(services)
        self.refill = Refill(services)
        self.node.handlers = {
            MessageType.MUTATE: replica.on_mutate,
            MessageType.READ_PAGE: replica.on_read_page,
            MessageType.LEAVES: self.anti_entropy.on_leaves,
        }

    def damage(self) -> None:
        """Set the store aside, as a start that finds damage does."""
        self.use(damaged_store(self.env.now_ns, self._sync))

    def is_recovering(self) -> bool:
        return self.store.recovering

    def is_in_sync(self) -> bool:
        return self.anti_entropy.is_in_sync

    def write(self, *mutations: bytes) -> None:
        for mutation in mutations:
            self.store.apply(mutation)

    def _sync(self, done: Callable[[], None]) -> None:
        self.env.set_timer(2, done)


def damaged_store(
    now_ns: Callable[[], int], sync: Callable[[Callable[[], None]], None] | None = None
) -> MemoryStore:
    """Give an empty store that says it was found damaged."""
    store = MemoryStore(now_ns, sync=sync)
    store.found_corrupt = True
    store.damage = "a test broke it"
    return store.crash(Random(0), sync=sync)


class RepairRing:
    """The ring."""

    def __init__(self, count: int, *, replication: int | None = None, seed: int = 1) -> None:
        self.world = World(seed)
        self.replication = replication or count
        self.ring = FakeRing(count)
        schema = redis_schema(self.replication)
        self.nodes = [RepairNode(self.world, k, self.ring, schema) for k in range(count)]
        for node in self.nodes:
            node.node.attach()
        for node in self.nodes:
            for other in range(count):
                if node_id(other) != node.id:
                    node.env.learn(node_id(other), address_of(other))
        self.world.run(100)

    def run(self, duration_ms: float, until: Callable[[], bool] | None = None) -> bool:
        return self.world.run(duration_ms, until)

    def kill(self, number: int) -> None:
        """Kill a node; the others know at once."""
        self.nodes[number].node.kill()
        for node in self.nodes:
            if node.id != node_id(number):
                node.membership.dead.append(node_id(number))

    def equal(self) -> bool:
        """Whether every leaf is equal on all its replicas."""
        return all(self._pair_is_equal(node) for node in self.nodes)

    def _pair_is_equal(self, node: RepairNode) -> bool:
        token_map = self.ring.token_map
        shared = shared_spans(token_map, node.id, self.replication)
        mine = node.store.summary(REDIS_TABLE)
        for other in self.nodes:
            theirs = other.store.summary(REDIS_TABLE)
            same = partial(_same, mine.span, theirs.span)
            if not all(same(first, last) for first, last in shared.get(other.id, [])):
                return False
        return True


def _same(
    mine: Callable[[int, int], int], theirs: Callable[[int, int], int], first: int, last: int
) -> bool:
    return mine(first, last) == theirs(first, last)
