"""A whole ring in the imagined world: nodes, their stores, their crashes, and their clients.

    SimulatedRing(world, count)      nodes born into one ring, each on a MemoryStore
    ring.crash(k) / restart(k)       unsynced writes may be lost; the clock may have jumped
    ring.write / delete / read       a client at a node of its choice; recorded in a History

Planted bugs (tests/simulation) come in through `Parts`: other classes in the place of the real
ones, so that nothing in the product knows of them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random

from anel.data import mutation, row
from anel.data.clustering import encode_bytes
from anel.data.consistency import ConsistencyLevel
from anel.data.schema import REDIS, REDIS_TABLE, Table
from anel.env import NodeId
from anel.errors import AnelError, Overloaded, RequestFailed, Unavailable
from anel.membership.timing import Timing
from anel.node.node import Node
from anel.node.settings import NodeSettings
from anel.ring.allocation import initial_tokens
from anel.ring.partitioner import murmur3_token
from anel.ring.ring_view import Location, Member, RingView, ring_view
from anel.simulation.history import History, Read, Write
from anel.simulation.world import MS, SimEnv, World
from anel.storage.memory import MemoryStore

SYNC_MS_MIN = 0.1
SYNC_MS_MAX = 4.0
WORK_MS = 200
TIMING = Timing()
COLUMN = b"value"


@dataclass(frozen=True, slots=True)
class Parts:
    """What a ring is built from; planted bugs replace one of them."""

    node: Callable[[SimEnv, MemoryStore, NodeSettings], Node] = Node
    store: Callable[..., MemoryStore] = MemoryStore


@dataclass(slots=True)
class Machine:
    """One machine of the ring: what outlives its node's crashes."""

    index: int
    settings: NodeSettings
    store: MemoryStore
    skew_us: int = 0
    generation: int = 0
    env: SimEnv | None = None
    node: Node | None = None
    random: Random = field(default_factory=Random)

    @property
    def serves(self) -> bool:
        """Its node is up and ready."""
        return self.node is not None and self.node.is_ready


class SimulatedRing:
    """A ring in a world.

    Args:
        world: Where it lives.
        count: How many nodes.
        replication: Replication factor of keyspace redis.
        vnodes: Tokens of each node.
        parts: Planted bugs.
    """

    def __init__(
        self,
        world: World,
        count: int,
        *,
        replication: int = 3,
        vnodes: int = 4,
        parts: Parts | None = None,
    ) -> None:
        self.world = world
        self.parts = parts or Parts()
        self.history = History()
        self.values = 0
        view = _view(world, count, vnodes)
        self.machines = [
            self._machine(index, member, view, replication)
            for index, member in enumerate(view.members)
        ]

    def _machine(self, index: int, member: Member, view: RingView, replication: int) -> Machine:
        settings = NodeSettings(
            node=member.node,
            generation=0,
            address=member.address,
            initial_ring=view,
            replication=replication,
            timing=TIMING,
        )
        random = Random(self.world.seed * 1000 + index)
        store = self.parts.store(lambda: self.world.now_ns, sync=partial(self._sync, random))
        return Machine(index, settings, store, random=random)

    def _sync(self, random: Random, complete: Callable[[], None]) -> None:
        span = SYNC_MS_MAX - SYNC_MS_MIN
        self.world.schedule(int((SYNC_MS_MIN + random.random() * span) * MS), complete)

    # ------------------------------------------------------------------ machines

    def start(self, index: int) -> None:
        """Start a machine's node on whatever its store holds."""
        machine = self.machines[index]
        assert machine.node is None
        machine.generation += 1
        base = machine.settings
        settings = NodeSettings(
            node=base.node,
            generation=machine.generation,
            address=base.address,
            initial_ring=base.initial_ring,
            replication=base.replication,
            timing=base.timing,
        )
        env = SimEnv(
            self.world,
            base.node,
            base.address,
            skew_us=machine.skew_us,
            generation=machine.generation,
        )
        machine.env = env
        machine.node = env.node = self.parts.node(env, machine.store, settings)
        self.world.attach(env)
        machine.node.start()
        self._tend(machine.store, env)

    def _tend(self, store: MemoryStore, env: SimEnv) -> None:
        # The runtime gives the store slices of idle time; here they cost nothing.
        def work() -> None:
            store.work(self.world.now_ns + MS)
            env.set_timer(WORK_MS, work)

        env.set_timer(WORK_MS, work)

    def start_all(self) -> None:
        """Start every machine and wait until all serve."""
        for machine in self.machines:
            self.start(machine.index)
        assert self.world.run(5_000, lambda: all(m.serves for m in self.machines))

    def crash(self, index: int) -> None:
        """Kill a node: its memory is gone, its unsynced writes perhaps."""
        machine = self.machines[index]
        if machine.node is None or machine.env is None:
            return
        self.world.detach(machine.env)
        machine.node.stop()  # Flows end here, not whenever the collector finds them.
        machine.node = machine.env = None
        machine.store = machine.store.crash(
            machine.random, sync=partial(self._sync, machine.random)
        )

    def crash_all(self) -> None:
        """Kill every node at one instant."""
        for machine in self.machines:
            self.crash(machine.index)

    def living(self) -> list[Machine]:
        """List the machines whose node serves."""
        return [machine for machine in self.machines if machine.serves]

    def skew(self, index: int, skew_us: int) -> None:
        """Set a machine's wall clock this far off."""
        machine = self.machines[index]
        machine.skew_us = skew_us
        if machine.env is not None:
            machine.env.skew_us = skew_us

    # ------------------------------------------------------------------ clients

    def write(
        self,
        machine: Machine,
        key: bytes,
        level: ConsistencyLevel = ConsistencyLevel.QUORUM,
        *,
        delete: bool = False,
    ) -> Write:
        """Write a value of its own (or delete) through a node; the history hears how it ends."""
        node = machine.node
        assert node is not None
        self.values += 1
        value = None if delete else b"v%d" % self.values
        write = Write(key, value, self.world.now_ns)
        self.history.writes.append(write)
        now = node.coordinator.now()
        entry = row.row_deletion(now, now) if value is None else row.cell(COLUMN, value, now)
        table = table_of(node)
        change = mutation.one_row(now, prefix_of(table, key), sub_of(key), row.encode([entry]))

        def done(outcome: AnelError | None) -> None:
            assert write.ended > self.world.now_ns, "a write was answered twice"
            if outcome is None:
                write.ended = self.world.now_ns
                write.acknowledged = True
            else:
                self._failed(outcome)
                write.refused = isinstance(outcome, Unavailable | Overloaded)

        node.coordinator.write(table, change, level, done, server_stamped=True)
        return write

    def read(
        self,
        machine: Machine,
        key: bytes,
        level: ConsistencyLevel = ConsistencyLevel.QUORUM,
    ) -> None:
        """Read a key through a node; the history hears what was seen."""
        node = machine.node
        assert node is not None
        began = self.world.now_ns
        table = table_of(node)

        def done(outcome: bytes | AnelError) -> None:
            if isinstance(outcome, bytes):
                value = value_of(outcome, self.now_ms())
                self.history.reads.append(Read(key, value, began, self.world.now_ns))
            else:
                self._failed(outcome)

        node.coordinator.read_row(table, prefix_of(table, key) + sub_of(key), level, done)

    def now_ms(self) -> int:
        """Tell the true wall time in milliseconds."""
        return self.world.now_ns // MS

    def _failed(self, outcome: AnelError) -> None:
        assert isinstance(outcome, RequestFailed), outcome
        if isinstance(outcome, Unavailable):
            self.history.unavailable += 1
        else:
            self.history.timeouts += 1

    # ------------------------------------------------------------------ looking inside

    def held(self, machine: Machine, key: bytes) -> bytes | None:
        """Give the value that one machine's store holds for a key."""
        node = machine.node
        assert node is not None
        table = table_of(node)
        stored = machine.store.get(prefix_of(table, key) + sub_of(key))
        return None if stored is None else value_of(stored, self.now_ms())

    def replicas(self, key: bytes) -> list[Machine]:
        """List the machines that must hold a key."""
        node = next(machine.node for machine in self.machines if machine.node is not None)
        keyspace = node.schema.keyspace(REDIS)
        assert keyspace is not None
        nodes = node.ring.replicas(murmur3_token(key), keyspace.replication_factor)
        by_id = {machine.settings.node: machine for machine in self.machines}
        return [by_id[each] for each in nodes]

    def differences(self) -> list[str]:
        """Tell where replicas of one range hold different bytes; nothing when all are equal."""
        node = self.living()[0].node
        assert node is not None
        table = table_of(node)
        keyspace = node.schema.keyspace(REDIS)
        assert keyspace is not None
        by_id = {machine.settings.node: machine for machine in self.machines}
        complaints = []
        for part in node.ring.token_map.ranges(keyspace.replication_factor):
            leaves = part.leaves
            spans = [
                by_id[each].store.summary(table.id).span(leaves.start, leaves.stop - 1)
                for each in part.replicas
            ]
            if any(span != spans[0] for span in spans):
                complaints.append(f"replicas of tokens up to {part.end} differ")
        return complaints

    def hints(self) -> int:
        """Count the hints that all nodes keep."""
        return sum(m.node.hints.count for m in self.machines if m.node is not None)


def table_of(node: Node) -> Table:
    """Give the table that simulated clients use."""
    table = node.schema.table(REDIS, REDIS_TABLE)
    assert table is not None
    return table


def prefix_of(table: Table, key: bytes) -> bytes:
    """Give the partition of a key."""
    return mutation.prefix_of(table.id, murmur3_token(key), key)


def sub_of(key: bytes) -> bytes:
    """Give the row of a key inside its partition, laid out as the Redis door does."""
    return mutation.ROW + encode_bytes(key) + encode_bytes(b"")


def value_of(stored: bytes, now_ms: int) -> bytes | None:
    """Read what a client sees of a stored row."""
    cell = row.live(row.decode(stored), now_ms).cells.get((COLUMN, b""))
    return None if cell is None else cell.value


def _view(world: World, count: int, vnodes: int) -> RingView:
    members = tuple(
        Member(
            NodeId(b"%016d" % (index + 1)), ("node", 7000 + index), Location(), tuple(tokens)
        )
        for index, tokens in enumerate(initial_tokens(count, vnodes))
    )
    return ring_view(b"%016d" % (world.seed % 10**16), 1, members)
