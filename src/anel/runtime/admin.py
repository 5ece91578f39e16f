"""A node as its HTTP door sees it (`anel.doors.http.backend.AdminBackend`)."""

from collections.abc import Callable, Iterable, Iterator

from anel import __version__
from anel.data.consistency import ConsistencyLevel, required
from anel.data.schema import Keyspace
from anel.doors.http.backend import (
    Answer,
    KeyspaceReport,
    LookupReport,
    NodeReport,
    RangeReport,
    RingReport,
    StatusReport,
)
from anel.doors.resp.layout import tag_of
from anel.env import NodeId, short
from anel.errors import UnknownTable
from anel.membership.endpoint import Endpoint, Standing
from anel.node.node import Node
from anel.ring.partitioner import Murmur3Partitioner
from anel.runtime.measures import node_measures

_LEVELS = tuple(ConsistencyLevel)
_STATES = {Standing.ALIVE: "up", Standing.SUSPECT: "suspect", Standing.DEAD: "dead"}
_DOORS = ("resp", "http")


class NodeAdmin:
    """Reports on one node and changes its keyspaces.

    Args:
        node: The node.
        cluster_name: As configured.
        is_ready: Whether it takes requests: it serves and is not stopping.
        lag_ms: How late the loop has been.
        own_measures: What the process measures beside the node.
    """

    def __init__(
        self,
        node: Node,
        cluster_name: str,
        *,
        is_ready: Callable[[], bool],
        lag_ms: Callable[[], float],
        own_measures: Callable[[], Iterable[tuple[str, str, float]]],
    ) -> None:
        self._node = node
        self._cluster_name = cluster_name
        self._is_ready = is_ready
        self._lag_ms = lag_ms
        self._own_measures = own_measures
        self._partitioner = Murmur3Partitioner()

    @property
    def is_ready(self) -> bool:
        """The node serves clients."""
        return self._is_ready()

    def status(self) -> StatusReport:
        """Describe the ring as this node sees it."""
        node = self._node
        ring = node.ring
        is_formed = ring.is_formed
        report = StatusReport(
            cluster_name=self._cluster_name,
            ring_id=ring.view.ring_id.hex() if is_formed else "",
            epoch=ring.epoch,
            node=node.settings.node.hex(),
            release=__version__,
            is_ready=self._is_ready(),
            nodes=[self._node_report(member) for member in self._members()],
            keyspaces=self.keyspaces(),
            loop_lag_ms=self._lag_ms(),
        )
        report.behind = list(self._behind(report))
        report.next_step = _next_step(report, node.refill.waiting_for)
        return report

    def ring_report(self) -> RingReport:
        """List the vnodes."""
        ring = self._node.ring
        if not ring.is_formed:
            return RingReport("", 0, self._partitioner.name, [])
        vnodes = zip(ring.token_map.tokens, ring.token_map.owners, strict=True)
        return RingReport(
            ring_id=ring.view.ring_id.hex(),
            epoch=ring.epoch,
            partitioner=self._partitioner.name,
            ranges=[RangeReport(str(token), owner.hex()) for token, owner in vnodes],
        )

    def lookup(self, table: str, key: bytes) -> LookupReport:
        """Find the replicas of a partition key; for redis, of the key's hash tag."""
        name, _, table_name = (table or "redis").partition(".")
        keyspace = self._node.schema.keyspace(name)
        if keyspace is None or (table_name and keyspace.table(table_name) is None):
            raise UnknownTable(
                f"there is no {'table' if keyspace else 'keyspace'} {table}; "
                "`anel keyspace list` names all"
            )
        token = self._partitioner.token(tag_of(key) if name == "redis" else key)
        replicas: tuple[NodeId, ...] = ()
        if self._node.ring.is_formed:
            replicas = self._node.ring.replicas(token, keyspace.replication_factor)
        return LookupReport(
            table=table or "redis",
            key=key.decode()
            if key.isascii() and key.decode().isprintable()
            else f"0x{key.hex()}",
            token=str(token),
            replicas=[self._node_report(replica) for replica in replicas],
        )

    def keyspaces(self) -> list[KeyspaceReport]:
        """Describe every keyspace."""
        return [
            KeyspaceReport(
                name=keyspace.name,
                replication=keyspace.replication_factor,
                first_copy=keyspace.first_copy,
                levels=self._levels(keyspace),
                tables=[table.name for table in keyspace.tables],
            )
            for keyspace in self._node.schema.keyspaces()
        ]

    def create_keyspace(
        self, name: str, replication: int, *, first_copy: bool, done: Answer
    ) -> None:
        """Make a keyspace and spread it."""
        self._node.schema.create_keyspace(name, replication, first_copy=first_copy, done=done)

    def alter_keyspace(
        self, name: str, replication: int | None, *, first_copy: bool | None, done: Answer
    ) -> None:
        """Change what is not None."""
        self._node.schema.alter_keyspace(name, replication, first_copy=first_copy, done=done)

    def drop_keyspace(self, name: str, done: Answer) -> None:
        """Remove a keyspace and what is in it."""
        self._node.schema.drop_keyspace(name, done=done)

    def measures(self) -> Iterator[tuple[str, str, float]]:
        """Give every measure of the node and its process."""
        yield from self._own_measures()
        yield from node_measures(self._node)

    # Parts.

    def _members(self) -> list[NodeId]:
        ring = self._node.ring
        return list(ring.token_map.nodes) if ring.is_formed else [self._node.settings.node]

    def _node_report(self, node_id: NodeId) -> NodeReport:
        node = self._node
        is_self = node_id == node.settings.node
        endpoint = node.membership.own if is_self else node.membership.endpoint(node_id)
        report = NodeReport(id=node_id.hex(), address="?", state="dead", is_self=is_self)
        if node.ring.is_formed:
            member = node.ring.view.member(node_id)
            if member is not None:
                report.address = "{}:{}".format(*member.address)
                report.datacenter, report.rack = member.location
                report.tokens = len(member.tokens)
                report.share = node.ring.token_map.share(node_id)
        if endpoint is not None:
            _describe(report, endpoint)
        if is_self:
            self._describe_self(report)
        return report

    def _describe_self(self, report: NodeReport) -> None:
        store = self._node.store
        report.state = "recovering" if store.recovering else "up"
        if not self._node.ring.is_formed:
            report.state = "joining"
        report.rows = sum(store.summary(table).rows for table in store.tables())
        report.disk_bytes = store.disk_bytes()
        report.hints = self._node.hints.count
        report.damage = store.damage
        report.doors = {
            name: address for name, address in self._node.settings.doors if name in _DOORS
        }

    def _counts(self, node_id: NodeId) -> bool:
        node = self._node
        if node_id == node.settings.node:
            return not node.store.recovering
        return node.membership.is_alive(node_id) and not node.membership.is_recovering(node_id)

    def _levels(self, keyspace: Keyspace) -> dict[str, float]:
        ring = self._node.ring
        if not ring.is_formed:
            return {}
        answering = {node: self._counts(node) for node in ring.token_map.nodes}
        factor = keyspace.replication_factor
        tokens_by_count: dict[int, int] = {}
        total = 0
        for part in ring.token_map.ranges(factor):
            count = sum(answering[node] for node in part.replicas)
            tokens_by_count[count] = tokens_by_count.get(count, 0) + part.end - part.start
            total += part.end - part.start
        return {
            level.name: round(
                sum(
                    tokens
                    for count, tokens in tokens_by_count.items()
                    if count >= required(level, factor)
                )
                / total,
                6,
            )
            for level in _LEVELS
        }

    def _behind(self, report: StatusReport) -> Iterator[str]:
        for target, kept in self._node.hints.targets().items():
            if kept.count:
                yield (
                    f"{kept.count} mutations wait on node {short(self._node.settings.node)} "
                    f"for node {short(target)}"
                )
        digest = self._node.schema.digest
        for node in report.nodes:
            endpoint = self._node.membership.endpoint(NodeId(bytes.fromhex(node.id)))
            if node.state == "recovering":
                yield f"node {node.id[:8]} is being refilled after damage: {node.damage}"
                if node.is_self and self._node.refill.waiting_for:
                    yield f"the refill waits for {self._node.refill.waiting_for}"
            elif node.state != "dead" and not node.in_sync:
                yield f"node {node.id[:8]} is still comparing its ranges since its start"
            if endpoint is not None and endpoint.states.get("schema", digest) != digest:
                yield f"node {node.id[:8]} knows another schema"
        if self._node.hints.dropped:
            yield (
                f"node {short(self._node.settings.node)} had no room for "
                f"{self._node.hints.dropped} hints: anti-entropy carries those"
            )


def _describe(report: NodeReport, endpoint: Endpoint) -> None:
    states = endpoint.states
    report.address = "{}:{}".format(*endpoint.address)
    report.state = _STATES[endpoint.standing]
    if endpoint.is_alive and states.get("recovering"):
        report.state = "recovering"
    report.generation = endpoint.generation
    report.release = str(states.get("release", ""))
    report.doors = {name: str(states[name]) for name in _DOORS if name in states}
    report.rows = int(states.get("rows", -1))
    report.disk_bytes = int(states.get("disk_bytes", -1))
    report.hints = int(states.get("hints", -1))
    report.in_sync = endpoint.is_alive and bool(int(states.get("in_sync", 0)))
    report.damage = str(states.get("damage", ""))


def _next_step(report: StatusReport, waiting_for: str) -> str:
    down = [node for node in report.nodes if node.state == "dead"]
    if down:
        names = ", ".join(f"{node.id[:8]} ({node.address})" for node in down)
        return f"start node {names} again: nothing else has to be done"
    if any(node.state == "joining" for node in report.nodes):
        return "wait until the node has joined; its log says what it waits for"
    damaged = [node for node in report.nodes if node.damage and node.state == "recovering"]
    if waiting_for:
        return f"see to what the refill waits for: {waiting_for}"
    if damaged:
        return "wait until the damaged node is refilled; all other nodes must be up meanwhile"
    return ""
