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
from anel.data.schema import REDIS, REDIS_TABLE, Table
from anel.env import NodeId
from anel.membership.timing import Timing
from anel.node.node import Node
from anel.node.settings import NodeSettings
from anel.ring.allocation import initial_tokens
from anel.ring.partitioner import murmur3_token
from anel.ring.ring_view import Location, Member, RingView, ring_view
from anel.simulation.world import EPOCH_US, MS, SimEnv, World
from anel.storage.memory import MemoryStore

SYNC_MS_MIN = 0.1
SYNC_MS_MAX = 4.0
WORK_MS = 200
TIMING = Timing()
COLUMN = b"value"
SHARED_TAG = b"shared"
PAGE_RECORDS = 3  # Small, so that pages end in the middle of things.


@dataclass(frozen=True, slots=True)
class Parts:
    """What a ring is built from; planted bugs replace one of them."""

    store: Callable[..., MemoryStore] = MemoryStore
    prepare: Callable[[Node], None] = lambda _: None  # Called with each node before its start.


@dataclass(slots=True)
class Machine:
    """One machine of the ring: what outlives its node's crashes."""

    index: int
    settings: NodeSettings
    store: MemoryStore
    skew_us: int = 0
    generation: int = 0
    stamp_us: int = 0  # The greatest timestamp of its nodes that left them, over all lives.
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

    Attributes:
        sync_ms_max: How long the slowest sync takes.
        complaints: Promises of single nodes that were broken.
        shared: All keys lie in one partition, so that range deletions and pages meet them.
        anti_entropy: Without it, hints and read repair must heal alone.
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
        self.replication = replication
        self.sync_ms_max = SYNC_MS_MAX
        self.complaints: list[str] = []
        self.shared = False
        self.anti_entropy = True
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
        span = self.sync_ms_max - SYNC_MS_MIN
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
        machine.node = env.node = Node(env, machine.store, settings)
        self.parts.prepare(machine.node)
        if not self.anti_entropy:
            machine.node.anti_entropy.start = lambda: None  # type: ignore[method-assign]
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

    # ------------------------------------------------------------------ looking inside

    def prefix(self, table: Table, key: bytes) -> bytes:
        """Give the partition of a key."""
        tag = SHARED_TAG if self.shared else key
        return mutation.prefix_of(table.id, murmur3_token(tag), tag)

    def now_ms(self) -> int:
        """Tell the true wall time in milliseconds."""
        return (EPOCH_US + self.world.now_ns // 1000) // 1000

    def has_fronts(self, prefix: bytes) -> bool:
        """Tell whether partition or range tombstones may lie over a partition's rows."""
        table = prefix[: mutation.TABLE_SIZE]
        return any(machine.store.has_fronts(table) for machine in self.machines)

    def holders(self, key: bytes, sub: bytes, value: bytes) -> int:
        """Count the machines, up or down, that hold a value no crash could take back now."""
        holders = 0
        for machine in self.machines:
            held = machine.store.durable(key)
            if held is not None and _includes(sub, held, value):
                holders += 1
        return holders

    def held(self, machine: Machine, key: bytes) -> bytes | None:
        """Give the value that one machine's store holds for a key."""
        node = machine.node
        assert node is not None
        table = table_of(node)
        prefix = self.prefix(table, key)
        stored = machine.store.get(prefix + sub_of(key)) or b""
        fronts = machine.store.page(prefix, prefix + mutation.STATIC, 1000, 1 << 20).records
        subs = [(found[len(prefix) :], value) for found, value in fronts]
        covered = mutation.covered_to(sub_of(key), subs)
        return value_of(stored, self.now_ms(), covered)

    def replicas(self, key: bytes) -> list[Machine]:
        """List the machines that must hold a key."""
        node = next(machine.node for machine in self.machines if machine.node is not None)
        keyspace = node.schema.keyspace(REDIS)
        assert keyspace is not None
        tag = SHARED_TAG if self.shared else key
        nodes = node.ring.replicas(murmur3_token(tag), keyspace.replication_factor)
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


def sub_of(key: bytes) -> bytes:
    """Give the row of a key inside its partition, laid out as the Redis door does."""
    return mutation.ROW + encode_bytes(key) + encode_bytes(b"")


def value_of(stored: bytes, now_ms: int, covered_to: int | None = None) -> bytes | None:
    """Read what a client sees of a stored row."""
    cell = row.live(row.decode(stored), now_ms, covered_to).cells.get((COLUMN, b""))
    return None if cell is None else cell.value


def _includes(sub: bytes, held: bytes, value: bytes) -> bool:
    # A write issued again has a later stamp; one that a later write of its slot replaced, too.
    if sub[:1] != mutation.ROW:
        return held >= value
    return mutation.merge_record(sub, held, value) == held or row.stamp_of(
        held
    ) >= row.stamp_of(value)


def _view(world: World, count: int, vnodes: int) -> RingView:
    members = tuple(
        Member(
            NodeId(b"%016d" % (index + 1)), ("node", 7000 + index), Location(), tuple(tokens)
        )
        for index, tokens in enumerate(initial_tokens(count, vnodes))
    )
    return ring_view(b"%016d" % (world.seed % 10**16), 1, members)
