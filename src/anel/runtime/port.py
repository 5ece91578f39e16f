"""What the runtime asks of the node it carries."""

from typing import Protocol

from anel.env import Address, NodeId


class ClockPort(Protocol):
    """The part of `anel.data.timestamp.HybridClock` that links need."""

    @property
    def last_us(self) -> int:
        """The greatest timestamp given out or merged so far."""

    def merge(self, peer_us: int) -> bool:
        """Take in a peer's clock; False means it is too far ahead to be believed."""


class NodePort(Protocol):
    """A node, seen from its links. Everything is called on the node's one thread."""

    @property
    def clock(self) -> ClockPort:
        """The hybrid clock that every frame carries."""

    def receive(self, peer: NodeId, message: bytes) -> None:
        """Take one message from a peer."""

    def link_up(self, peer: NodeId, address: Address) -> None:
        """A peer can be sent to from now on; it says that it listens at this address."""

    def link_down(self, peer: NodeId) -> None:
        """A peer cannot be sent to any more; messages under way may be lost."""
