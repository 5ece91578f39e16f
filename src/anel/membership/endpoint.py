"""What one node knows of another: is it there, and what does it say of itself.

    standing    ALIVE -> SUSPECT -> DEAD     news of it is ordered by (generation, incarnation,
                                             standing): the greater wins, whoever brings it
    states      name -> small string or int  written only by the node itself; each carries the
                                             version at which it last changed

A node answers a suspicion with a higher incarnation, and a restart with a higher generation, so
that only the node itself can overrule what others say of it.

Source: Das et al., "SWIM" (DSN 2002), section 4.2; Cassandra's endpoint states.
"""

from enum import IntEnum
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from anel.env import Address, NodeId

STATES_MAX = 32  # A node's states are a page of facts for people, not a place for data.
STATE_NAME_CHARS_MAX = 64
STATE_VALUE_CHARS_MAX = 1024

NodeBytes: TypeAlias = Annotated[NodeId, Meta(min_length=16, max_length=16)]
Counter: TypeAlias = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
StateName: TypeAlias = Annotated[str, Meta(min_length=1, max_length=STATE_NAME_CHARS_MAX)]
StateValue: TypeAlias = Annotated[str, Meta(max_length=STATE_VALUE_CHARS_MAX)] | int

NOBODY = NodeId(bytes(16))


class Standing(IntEnum):
    """What is thought of a node. Between nodes since format 1: never renumber."""

    ALIVE = 0
    SUSPECT = 1
    DEAD = 2


class News(Struct, array_like=True, frozen=True, gc=False):
    """One node's standing, as it travels.

    Attributes:
        node: Whose.
        generation: Which start of it is meant; 0 when it has never been heard.
        incarnation: How often it has refuted since that start.
        standing: What is thought of it.
        by: Who suspects it at first hand (counts as one confirmation); NOBODY for hearsay.
    """

    node: NodeBytes
    generation: Counter
    incarnation: Counter
    standing: Standing
    by: NodeBytes = NOBODY

    @property
    def rank(self) -> tuple[int, int, int]:
        """Order among news of one node: the greatest is the newest."""
        return (self.generation, self.incarnation, self.standing)


class Endpoint:
    """One member of the ring, as this node knows it. Read freely; written by membership only.

    Attributes:
        node: Its id for life.
        address: Where its internode listener is.
        generation: Its latest start known here; 0 before anything was heard of it.
        incarnation: How often it has refuted since.
        standing: What is thought of it.
        version: Up to which version its states are known.
        states: What it says of itself.
        versions: The version at which each state last changed.
    """

    __slots__ = (
        "address",
        "generation",
        "incarnation",
        "node",
        "standing",
        "states",
        "version",
        "versions",
    )

    def __init__(self, node: NodeId, address: Address, generation: int = 0) -> None:
        self.node = node
        self.address = address
        self.generation = generation
        self.incarnation = 0
        self.standing = Standing.ALIVE
        self.version = 0
        self.states: dict[str, str | int] = {}
        self.versions: dict[str, int] = {}

    @property
    def rank(self) -> tuple[int, int, int]:
        """Order among news of this node."""
        return (self.generation, self.incarnation, self.standing)

    @property
    def is_alive(self) -> bool:
        """Whether it is worth asking; a suspect still is."""
        return self.standing is not Standing.DEAD

    def news(self, by: NodeId = NOBODY) -> News:
        """Write down its standing for others."""
        return News(self.node, self.generation, self.incarnation, self.standing, by)

    def adopt(self, news: News) -> None:
        """Take over news that outrank what is known.

        After a restart the old states stay readable until the new ones arrive: the version
        known here restarts at 0, so that the next digest asks for all of them.
        """
        assert news.rank > self.rank
        if news.generation > self.generation:
            self.version = 0
        self.generation = news.generation
        self.incarnation = news.incarnation
        self.standing = news.standing

    def write(self, name: str, value: str | int) -> bool:
        """Set one of this node's own states; tell whether that changed it."""
        assert 0 < len(name) <= STATE_NAME_CHARS_MAX
        assert not isinstance(value, str) or len(value) <= STATE_VALUE_CHARS_MAX
        if self.states.get(name) == value:
            return False
        assert name in self.states or len(self.states) < STATES_MAX
        self.version += 1
        self.states[name] = value
        self.versions[name] = self.version
        return True
