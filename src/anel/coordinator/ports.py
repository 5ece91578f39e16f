"""What the coordinator asks of the ring, the schema, membership and the hint store.

Each is a small protocol, so that the coordinator is tested without the machines behind them.
"""

from collections.abc import Callable
from typing import Protocol

from anel.data.schema import Keyspace, Table
from anel.env import NodeId
from anel.ring.token_map import TokenMap


class SchemaPort(Protocol):
    """The node's present schema."""

    def keyspace(self, name: str) -> Keyspace | None:
        """Give a keyspace, None when there is none."""

    def table_by_id(self, table: bytes) -> Table | None:
        """Give a table, None when this node does not know it (yet, or any more)."""

    def truncated(self, table: bytes, at: int) -> None:
        """Record, durable with the next sync, that a table was truncated at an HLC."""


class RingPort(Protocol):
    """The node's present view of the ring (`anel.ring.ring.Ring`)."""

    @property
    def epoch(self) -> int:
        """Grows with every change of ownership; the same at all nodes of one view."""

    @property
    def write_epoch(self) -> int:
        """The epoch at which replicas take mutations: `epoch`, none while writes are locked."""

    @property
    def token_map(self) -> TokenMap:
        """Every vnode of the view; another object after each change."""

    def replicas(self, token: int, replication: int) -> tuple[NodeId, ...]:
        """List the replicas of a signed token, first copy first; liveness never changes it."""

    def pull(self, peer: NodeId) -> None:
        """Ask a peer whose epoch differs for its view; called whichever side is behind."""


class Liveness(Protocol):
    """What membership believes."""

    def is_alive(self, node: NodeId) -> bool:
        """Tell whether a node is worth asking; True for this node."""

    def is_recovering(self, node: NodeId) -> bool:
        """Tell whether a node is being refilled after damage: it counts in no W and no R."""


class Hints(Protocol):
    """Mutations kept for replicas that could not take them."""

    def keep(
        self,
        node: NodeId,
        mutation: bytes,
        *,
        sole: bool,
        done: Callable[[bool], None] | None,
    ) -> None:
        """Keep a mutation for a node until it can take it.

        Args:
            node: Whom it is for.
            mutation: As it would have been sent.
            sole: The hint alone may satisfy the client (ANY): never dropped, synced at once.
            done: Called once with True when the hint is durable, False when it was dropped.
        """
