"""What all operations of one coordinator share: its ports, its bounds, its counters."""

from dataclasses import dataclass, field
from typing import TypeAlias

from anel.coordinator.later import Later
from anel.coordinator.ports import Hints, Liveness, RingPort, SchemaPort
from anel.coordinator.replica import Replica
from anel.coordinator.spans import Spans
from anel.data.consistency import ConsistencyLevel, required
from anel.data.timestamp import HybridClock
from anel.env import Env, NodeId
from anel.errors import RequestFailed, RequestRefused
from anel.internode.requests import Requests
from anel.limits import READ_TIMEOUT_MS, REQUESTS_IN_FLIGHT_MAX, WRITE_TIMEOUT_MS

Failure: TypeAlias = RequestRefused | RequestFailed
"""Why a request was not done, given to the client's callback as a value."""

SPECULATE_MS = 50  # Past it a read asks one more replica; well above a sync under load.
RETRY_MS = 20  # Time for one ring view to be pulled before a refused request goes out again.


@dataclass(slots=True)
class Counters:
    """How often each thing happened since start; plain integers, read by the metrics."""

    writes: int = 0
    reads: int = 0
    pages: int = 0
    truncates: int = 0
    unavailable: int = 0
    overloaded: int = 0
    write_timeouts: int = 0
    write_failures: int = 0
    read_timeouts: int = 0
    read_failures: int = 0
    hints: int = 0
    reissues: int = 0
    differing_reads: int = 0
    repairs_sent: int = 0
    speculations: int = 0
    epoch_restarts: int = 0
    overlaid_reads: int = 0


@dataclass(slots=True)
class Services:
    """The surroundings of a request on this node.

    Attributes:
        in_flight: Requests that have not been answered yet.
    """

    env: Env
    self_id: NodeId
    requests: Requests
    ring: RingPort
    schema: SchemaPort
    liveness: Liveness
    hints: Hints
    replica: Replica
    clock: HybridClock
    spans: Spans
    late: Later
    retry: Later
    in_flight: int = 0
    in_flight_max: int = REQUESTS_IN_FLIGHT_MAX
    write_timeout_ms: int = WRITE_TIMEOUT_MS
    read_timeout_ms: int = READ_TIMEOUT_MS
    counters: Counters = field(default_factory=Counters)

    def counts(self, node: NodeId) -> bool:
        """Tell whether an answer of this node counts: it is alive and not being refilled."""
        if node == self.self_id:
            return not self.replica.is_recovering
        return self.liveness.is_alive(node) and not self.liveness.is_recovering(node)

    def recovering_of(self, replicas: tuple[NodeId, ...]) -> int:
        """Count the replicas that are up but being refilled after damage."""
        return sum(
            self.replica.is_recovering
            if node == self.self_id
            else self.liveness.is_alive(node) and self.liveness.is_recovering(node)
            for node in replicas
        )


class _Required(dict[int, tuple[int, ...]]):
    """W or R by replication factor, then level: the same numbers as `consistency.required`."""

    def __missing__(self, factor: int) -> tuple[int, ...]:
        row = tuple(required(each, factor) for each in ConsistencyLevel)
        self[factor] = row
        return row


REQUIRED = _Required()
