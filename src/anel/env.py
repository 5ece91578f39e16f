"""The port between a node and its world: time, chance, links and timers come through here.

A node never touches a clock, a socket, a thread or a source of chance by itself. `anel.runtime`
implements this port over the real world, `anel.simulation` over an imagined one.
"""

from collections.abc import Callable
from random import Random
from typing import NewType, Protocol, TypeAlias

NodeId = NewType("NodeId", bytes)
"""A node's name for life: 16 bytes (a UUID), never reused, unlike its address."""

Address: TypeAlias = tuple[str, int]
"""Host and port of a node's internode listener."""

Callback: TypeAlias = Callable[[], None]


def short(node: NodeId) -> str:
    """Write a node id as people see it in logs: its first eight hexadecimal digits."""
    return node[:4].hex()


class Timer(Protocol):
    """A callback that waits for its time."""

    def cancel(self) -> None:
        """Forget the callback; harmless when it has already run."""


class Env(Protocol):
    """What a node may ask of its world. All callbacks run on the node's one thread."""

    @property
    def random(self) -> Random:
        """The node's only source of chance."""

    def now_ns(self) -> int:
        """Tell the monotonic time in nanoseconds: good for intervals, meaningless as a date."""

    def wall_us(self) -> int:
        """Tell the wall clock in microseconds since the Unix epoch; it may jump."""

    def send(self, peer: NodeId, message: bytes) -> bool:
        """Queue one internode message for a peer, in order, coalesced per tick.

        Returns:
            False when nothing was queued: there is no link, or its queue is full. True promises
            nothing more than an attempt.
        """

    def learn(self, peer: NodeId, address: Address) -> None:
        """Remember where a peer listens and keep a link to it open from now on."""

    def forget(self, peer: NodeId) -> None:
        """Drop the link to a peer and stop dialling it."""

    def dial(self, address: Address) -> None:
        """Try once to reach an address whose node id is unknown (a seed).

        When it answers, the world calls the node's `link_up(peer, address)`.
        """

    def set_timer(self, delay_ms: int, callback: Callback) -> Timer:
        """Run a callback once, `delay_ms` from now."""

    def post(self, callback: Callback) -> None:
        """Run a callback soon, after what runs now has returned."""
