"""What repair asks of the ring, the schema and membership; each a small protocol."""

from collections.abc import Callable
from typing import Protocol, TypeAlias

from anel.data.schema import Schema
from anel.env import NodeId
from anel.ring.token_map import TokenMap

SchemaSource: TypeAlias = Callable[[], Schema]
"""Gives the node's present schema."""


class RingPort(Protocol):
    """The node's present view of the ring."""

    @property
    def epoch(self) -> int:
        """Grows with every change of ownership."""

    @property
    def token_map(self) -> TokenMap:
        """Who holds what in that epoch."""

    def pull(self, peer: NodeId) -> None:
        """Ask a peer whose epoch differs for its view; called whichever side is behind."""


class MembershipPort(Protocol):
    """What membership believes, and where this node's own states go."""

    def is_alive(self, node: NodeId) -> bool:
        """Tell whether a member is worth asking."""

    def is_recovering(self, node: NodeId) -> bool:
        """Tell whether a member is being refilled after damage."""

    def update(self, **states: str | int) -> None:
        """Set some of this node's own states."""
