"""What the HTTP door asks of its node, and the forms in which it answers.

The forms are what `/status`, `/ring`, `/lookup` and `/keyspaces` send as JSON, so the command
line and people's scripts rely on them: fields are added, never renamed. Tokens are text, for
JavaScript cannot hold 64 bits.
"""

from collections.abc import Callable, Iterable
from typing import Protocol, TypeAlias

import msgspec

from anel.errors import RequestFailed, RequestRefused


class NodeReport(msgspec.Struct):
    """One node as this node sees it.

    Attributes:
        id: 32 hexadecimal digits.
        address: Its internode HOST:PORT.
        doors: Door to HOST:PORT, as the node gossips them: resp, http.
        state: `up`, `suspect`, `dead`, `joining`, `recovering`.
        is_self: The node that answers.
        share: Part of all tokens that this node owns first, 0 to 1.
        rows, disk_bytes: As it last gossiped; -1 while unknown.
        hints: Mutations that this node (the one described) keeps for others; -1 while unknown.
        in_sync: It has compared all its ranges with all replicas since it started.
        damage: What its store found damaged; empty: nothing.
    """

    id: str
    address: str
    state: str
    is_self: bool = False
    doors: dict[str, str] = {}
    datacenter: str = ""
    rack: str = ""
    generation: int = 0
    release: str = ""
    tokens: int = 0
    share: float = 0.0
    rows: int = -1
    disk_bytes: int = -1
    hints: int = -1
    in_sync: bool = False
    damage: str = ""


class KeyspaceReport(msgspec.Struct):
    """One keyspace.

    Attributes:
        levels: For each consistency level the part of all tokens, 0 to 1, for which enough
            replicas are alive: 1 works everywhere, 0 nowhere.
        tables: Names of its tables.
    """

    name: str
    replication: int
    first_copy: bool = False
    levels: dict[str, float] = {}
    tables: list[str] = []


class StatusReport(msgspec.Struct):
    """The ring as one node sees it.

    Attributes:
        behind: What is not yet everywhere, one sentence each; empty: nothing is known to lack.
        next_step: What a person should do now; empty: nothing.
        loop_lag_ms: The longest that the event loop was late within the last seconds.
    """

    cluster_name: str
    ring_id: str
    epoch: int
    node: str
    release: str
    is_ready: bool
    nodes: list[NodeReport]
    keyspaces: list[KeyspaceReport] = []
    behind: list[str] = []
    next_step: str = ""
    loop_lag_ms: float = 0.0


class RangeReport(msgspec.Struct):
    """One vnode: its owner holds the tokens after the vnode before it, up to `token`."""

    token: str
    node: str


class RingReport(msgspec.Struct):
    """All vnodes in token order."""

    ring_id: str
    epoch: int
    partitioner: str
    ranges: list[RangeReport]


class LookupReport(msgspec.Struct):
    """Where a partition key lives: its replicas, first copy first."""

    table: str
    key: str
    token: str
    replicas: list[NodeReport]


Answer: TypeAlias = Callable[[RequestRefused | RequestFailed | None], None]
"""Takes None (done) or why not."""


class AdminBackend(Protocol):
    """A node, seen from the HTTP door."""

    @property
    def is_ready(self) -> bool:
        """The node has read its store and ring, and serves."""

    def status(self) -> StatusReport:
        """Describe the ring as this node sees it."""

    def ring_report(self) -> RingReport:
        """List the vnodes."""

    def lookup(self, table: str, key: bytes) -> LookupReport:
        """Find the replicas of a partition key.

        Args:
            table: KEYSPACE.TABLE or KEYSPACE; empty: redis.
            key: The partition key's bytes.

        Raises:
            UnknownTable: There is no such keyspace or table.
        """

    def keyspaces(self) -> list[KeyspaceReport]:
        """Describe every keyspace."""

    def create_keyspace(
        self, name: str, replication: int, *, first_copy: bool, done: Answer
    ) -> None:
        """Make a keyspace and spread it."""

    def alter_keyspace(
        self, name: str, replication: int | None, *, first_copy: bool | None, done: Answer
    ) -> None:
        """Change what is not None."""

    def drop_keyspace(self, name: str, done: Answer) -> None:
        """Remove a keyspace and what is in it."""

    def measures(self) -> Iterable[tuple[str, str, float]]:
        """Give every measure of the node: its name in `METRICS`, its label's value, its value.

        The label's value is empty for a metric without a label.
        """
