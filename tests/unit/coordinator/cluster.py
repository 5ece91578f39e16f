"""A few nodes in memory whose messages, syncs and timers move only when a test says so.

Every node is a `Replica` and a `Coordinator` over a `MemoryStore`; ring, schema, membership and
hints are the smallest fakes. Node numbers, not ids, are used throughout::

    cluster.run()          deliver messages until nothing moves (held ones stay)
    cluster.hold(a, b)     messages from a to b wait; `cluster.release(a, b)`
    cluster.cut(a, b)      a link is down: sends fail, what was under way is lost
    cluster.dead           nodes that membership knows to be dead
    node.disk.pause()      acks wait: syncs begun do not end until `resume()`
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from anel.coordinator.coordinator import Coordinator
from anel.coordinator.replica import Replica
from anel.data import row
from anel.data.consistency import ConsistencyLevel
from anel.data.mutation import ROW, one_row, prefix_of
from anel.data.schema import Keyspace, Table
from anel.data.timestamp import HybridClock
from anel.env import Address, Callback, NodeId
from anel.errors import AnelError
from anel.internode.messages import REPLY, MessageType, request_of
from anel.internode.requests import Requests
from anel.ring.allocation import initial_tokens
from anel.ring.ring_view import Location, Member, ring_view
from anel.ring.token_map import TokenMap
from anel.storage.memory import MemoryStore

MS = 1_000_000
START_US = 1_600_000_000_000_000
TABLE = Table(bytes(range(16)), "shop", "carts")
SUB = ROW + b"k"


def node_id(number: int) -> NodeId:
    """Name a node: 16 bytes that show its number."""
    return NodeId(bytes((number + 1,)) * 16)


def token_map_of(nodes: int, vnodes: int = 4) -> TokenMap:
    """Allocate a ring."""
    tokens = initial_tokens(nodes, vnodes)
    members = tuple(
        Member(node_id(k), ("127.0.0.1", 7000 + k), Location(), tuple(sorted(tokens[k])))
        for k in range(nodes)
    )
    return TokenMap(ring_view(bytes(16), 1, members))


class Event:
    """A timer."""

    def __init__(self, callback: Callback) -> None:
        self.callback: Callback | None = callback

    def cancel(self) -> None:
        self.callback = None


class Disk:
    """When the syncs of one node end."""

    def __init__(self) -> None:
        self.is_paused = False
        self._waiting: list[Callback] = []

    def sync(self, done: Callback) -> None:
        if self.is_paused:
            self._waiting.append(done)
        else:
            done()

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done()


class NodeEnv:
    """One node's Env."""

    def __init__(self, cluster: "Cluster", number: int) -> None:
        self._cluster = cluster
        self._number = number
        self.random = Random(number)
        self.skew_us = 0

    def now_ns(self) -> int:
        return self._cluster.now_ns

    def wall_us(self) -> int:
        return START_US + self._cluster.now_ns // 1000 + self.skew_us

    def send(self, peer: NodeId, message: bytes) -> bool:
        return self._cluster.send(self._number, peer[0] - 1, message)

    def learn(self, peer: NodeId, address: Address) -> None:
        raise NotImplementedError

    def forget(self, peer: NodeId) -> None:
        raise NotImplementedError

    def dial(self, address: Address) -> None:
        raise NotImplementedError

    def set_timer(self, delay_ms: int, callback: Callback) -> Event:
        event = Event(callback)
        self._cluster.timers.append((self._cluster.now_ns + delay_ms * MS, event))
        return event

    def post(self, callback: Callback) -> None:
        self._cluster.posted.append(callback)


class FakeRing:
    """A ring view that a test may change under one node."""

    def __init__(self, token_map: TokenMap) -> None:
        self.token_map = token_map
        self.epoch = 1
        self.write_epoch = 1
        self.pulled: list[NodeId] = []

    def replicas(self, token: int, replication: int) -> tuple[NodeId, ...]:
        return self.token_map.replicas(token, replication)

    def move_to(self, epoch: int) -> None:
        self.epoch = self.write_epoch = epoch

    def pull(self, peer: NodeId) -> None:
        self.pulled.append(peer)


class FakeSchema:
    """One keyspace with one table."""

    def __init__(self, keyspace: Keyspace) -> None:
        self.keyspaces = {keyspace.name: keyspace}
        self.tables = {TABLE.id: TABLE}

    def keyspace(self, name: str) -> Keyspace | None:
        return self.keyspaces.get(name)

    def table_by_id(self, table: bytes) -> Table | None:
        return self.tables.get(table)

    def truncated(self, table: bytes, at: int) -> None:
        old = self.tables[table]
        self.tables[table] = Table(
            old.id, old.keyspace, old.name, truncated_at=max(at, old.truncated_at)
        )


@dataclass
class FakeHints:
    """Hints kept, as (node number, mutation, sole); durable when `finish` says so."""

    kept: list[tuple[int, bytes, bool]] = field(default_factory=list)
    waiting: list[Callable[[bool], None]] = field(default_factory=list)

    def keep(
        self,
        node: NodeId,
        mutation: bytes,
        *,
        sole: bool,
        done: Callable[[bool], None] | None,
    ) -> None:
        self.kept.append((node[0] - 1, mutation, sole))
        if done is not None:
            self.waiting.append(done)

    def finish(self, *, kept: bool = True) -> None:
        waiting, self.waiting = self.waiting, []
        for done in waiting:
            done(kept)

    @property
    def targets(self) -> list[int]:
        return sorted(node for node, _, _ in self.kept)


class Node:
    """One node."""

    def __init__(self, cluster: "Cluster", number: int, keyspace: Keyspace) -> None:
        self.cluster = cluster
        self.number = number
        self.id = node_id(number)
        self.env = NodeEnv(cluster, number)
        self.requests = Requests(self.env)
        self.disk = Disk()
        self.store = MemoryStore(self.env.now_ns, sync=self.disk.sync)
        self.ring = FakeRing(cluster.token_map)
        self.schema = FakeSchema(keyspace)
        self.hints = FakeHints()
        self.knows_recovering = True
        self.ceiling_is_durable = True
        self.clock = HybridClock(self.env.wall_us, 0, self._raise_ceiling)
        self.clock.now()
        self.replica = Replica(self.env, self.store, self.ring, self.schema, clock=self.clock)
        self.coordinator = Coordinator(
            env=self.env,
            self_id=self.id,
            requests=self.requests,
            ring=self.ring,
            schema=self.schema,
            liveness=self,
            hints=self.hints,
            replica=self.replica,
            clock=self.clock,
        )
        self._handlers = {
            MessageType.MUTATE: self.replica.on_mutate,
            MessageType.READ_ROW: self.replica.on_read_row,
            MessageType.READ_PAGE: self.replica.on_read_page,
            MessageType.TRUNCATE: self.replica.on_truncate,
        }

    def _raise_ceiling(self, ceiling_us: int) -> None:
        if self.ceiling_is_durable:
            self.clock.ceiling_is_durable(ceiling_us)

    def is_alive(self, node: NodeId) -> bool:
        return node[0] - 1 not in self.cluster.dead

    def is_recovering(self, node: NodeId) -> bool:
        return self.knows_recovering and self.cluster.nodes[node[0] - 1].store.recovering

    def receive(self, peer: NodeId, message: bytes) -> None:
        self.clock.merge(self.cluster.nodes[peer[0] - 1].clock.last_us)
        if message[0] & REPLY:
            self.requests.reply(peer, request_of(message), message)
        else:
            self._handlers[MessageType(message[0])](peer, message)

    # What tests do with a node.

    def row(self, value: bytes, timestamp: int | None = None) -> bytes:
        """Build a row of one cell, stamped by the clock unless told otherwise."""
        stamp = self.clock.now() if timestamp is None else timestamp
        return row.encode([row.cell(b"value", value, stamp)])

    def put(
        self,
        value: bytes,
        level: ConsistencyLevel = ConsistencyLevel.QUORUM,
        *,
        key: bytes = b"cart",
        timestamp: int | None = None,
        sub: bytes = SUB,
    ) -> list[AnelError | None]:
        """Start a write; the list gets its outcome."""
        outcome: list[AnelError | None] = []
        prefix = self.cluster.prefix(key)
        mutation = one_row(self.clock.now(), prefix, sub, self.row(value, timestamp))
        self.coordinator.write(
            TABLE, mutation, level, outcome.append, server_stamped=timestamp is None
        )
        return outcome

    def get(
        self,
        level: ConsistencyLevel = ConsistencyLevel.QUORUM,
        *,
        key: bytes = b"cart",
        sub: bytes = SUB,
    ) -> list[object]:
        """Start a read; the list gets the value of the row's cell, None, or the failure."""
        outcome: list[object] = []
        store_key = self.cluster.prefix(key) + sub

        def done(found: bytes | AnelError) -> None:
            outcome.append(value_of(found) if isinstance(found, bytes) else found)

        self.coordinator.read_row(TABLE, store_key, level, done)
        return outcome

    def has(self, *, key: bytes = b"cart", sub: bytes = SUB) -> bytes | None:
        """Look into the node's own store."""
        return value_of(self.store.get(self.cluster.prefix(key) + sub) or b"")

    def plant(
        self, value: bytes, timestamp: int, *, key: bytes = b"cart", sub: bytes = SUB
    ) -> None:
        """Put a row into the node's own store, past the coordinator."""
        prefix = self.cluster.prefix(key)
        self.store.apply(one_row(timestamp, prefix, sub, self.row(value, timestamp)))
        self.store.when_durable(lambda: None)


class Cluster:
    """The nodes and what lies between them."""

    def __init__(
        self, nodes: int = 3, replication: int = 3, *, first_copy: bool = False
    ) -> None:
        self.token_map = token_map_of(nodes)
        self.now_ns = 1_000 * MS
        self.timers: list[tuple[int, Event]] = []
        self.posted: deque[Callback] = deque()
        self.wire: deque[tuple[int, int, bytes]] = deque()
        self.dead: list[int] = []
        self._held: list[tuple[int, int]] = []
        self._cut: list[tuple[int, int]] = []
        self.sent: list[tuple[int, int, bytes]] = []
        keyspace = Keyspace("shop", replication, first_copy, (TABLE,))
        self.nodes = [Node(self, number, keyspace) for number in range(nodes)]

    def prefix(self, key: bytes) -> bytes:
        """Give the prefix of a partition whose token is made from the key's first byte."""
        return prefix_of(TABLE.id, self.token(key), key)

    def token(self, key: bytes) -> int:
        """Spread keys over the ring by their first bytes, in their order."""
        return int.from_bytes(key.ljust(8, b"\0")[:8], "big") - (1 << 63)

    def replicas(self, key: bytes, replication: int) -> list[int]:
        """Number the replicas of a key, first copy first."""
        found = self.token_map.replicas(self.token(key), replication)
        return [node[0] - 1 for node in found]

    # Messages.

    def send(self, source: int, target: int, message: bytes) -> bool:
        if (source, target) in self._cut:
            return False
        self.sent.append((source, target, message))
        self.wire.append((source, target, message))
        return True

    def hold(self, source: int, target: int) -> None:
        """Let messages of one direction wait."""
        self._held.append((source, target))

    def release(self, source: int, target: int) -> None:
        """Let them go, at the next `run`."""
        self._held.remove((source, target))

    def cut(self, source: int, target: int, *, tell: bool = True) -> None:
        """Break a link, both ways; both ends notice unless not told."""
        for ends in ((source, target), (target, source)):
            self._cut.append(ends)
            self.wire = deque(each for each in self.wire if each[:2] != ends)
            if tell:
                self.nodes[ends[0]].requests.link_down(node_id(ends[1]))

    def mend(self) -> None:
        """Bring all links back."""
        self._cut = []

    def run(self) -> None:
        """Deliver until nothing moves."""
        moved = True
        while moved:
            moved = False
            while self.posted:
                moved = True
                self.posted.popleft()()
            for _ in range(len(self.wire)):
                source, target, message = self.wire.popleft()
                if (source, target) in self._held:
                    self.wire.append((source, target, message))
                else:
                    moved = True
                    self.nodes[target].receive(node_id(source), message)

    def repeat(self, kind: int) -> None:
        """Deliver every message sent so far of one type a second time."""
        self.wire.extend(each for each in self.sent if each[2][0] == kind)
        self.run()

    def advance(self, delay_ms: int) -> None:
        """Let time pass, timers and messages in between."""
        until = self.now_ns + delay_ms * MS
        self.run()
        while due := sorted(
            (each for each in self.timers if each[0] <= until), key=lambda each: each[0]
        ):
            self.timers.remove(due[0])
            self.now_ns = max(self.now_ns, due[0][0])
            callback = due[0][1].callback
            if callback is not None:
                callback()
            self.run()
        self.now_ns = until

    def count(self, kind: int, target: int | None = None) -> int:
        """Count the messages of a type sent so far."""
        return sum(message[0] == kind and target in (None, to) for _, to, message in self.sent)


def value_of(raw: bytes) -> bytes | None:
    """Read the one cell of a row."""
    live = row.live(row.decode(raw), START_US // 1000)
    cell = live.cells.get((b"value", b""))
    return None if cell is None else cell.value
