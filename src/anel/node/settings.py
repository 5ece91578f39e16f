"""What a node must be told before its start: who it is and how it finds its ring."""

from dataclasses import dataclass, field

from anel.env import Address, NodeId
from anel.limits import (
    ANTI_ENTROPY_BYTES_PER_S,
    HINTS_BYTES_MAX_PER_NODE,
    READ_TIMEOUT_MS,
    REQUESTS_IN_FLIGHT_MAX,
    WRITE_TIMEOUT_MS,
)
from anel.membership.timing import Timing
from anel.ring.ring_view import Location, RingView


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """The settings of one life of a node.

    Attributes:
        node: Its id for life.
        generation: Which start of the node this is; greater than at any earlier start.
        address: Where its internode listener is, as peers reach it.
        location: Its datacenter and rack.
        initial_ring: The ring that it is born into, when its members were all known before
            their first start; None: it forms a ring of its own or joins through `seeds`.
        seeds: Internode addresses of a ring to join.
        tokens: The tokens to join with; empty leaves the choice to the allocation.
        replication: Replication factor of keyspace redis when the ring is formed; None: as many
            as there are nodes, three at most.
        doors: Door to "HOST:PORT", told to the ring.
        release: This program's release, told to the ring.
        timing: Periods of the failure detector.
    """

    node: NodeId
    generation: int
    address: Address
    location: Location = field(default_factory=Location)
    initial_ring: RingView | None = None
    seeds: tuple[Address, ...] = ()
    tokens: tuple[int, ...] = ()
    replication: int | None = None
    doors: tuple[tuple[str, str], ...] = ()
    release: str = ""
    timing: Timing = field(default_factory=Timing)
    requests_in_flight_max: int = REQUESTS_IN_FLIGHT_MAX
    write_timeout_ms: int = WRITE_TIMEOUT_MS
    read_timeout_ms: int = READ_TIMEOUT_MS
    hints_bytes_max: int = HINTS_BYTES_MAX_PER_NODE
    repair_bytes_per_s: int = ANTI_ENTROPY_BYTES_PER_S
