"""What all Redis connections of one node share: its clients, its settings, its counters."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from anel.data.consistency import ConsistencyLevel
from anel.doors.backend import Backend

if TYPE_CHECKING:
    from anel.doors.resp.client import Client

REDIS_VERSION = "7.0.15"  # What clients decide by; the texts and errors follow it.


class NoTable(NamedTuple):
    """Stands for `redis.data` until the schema has it; commands are refused meanwhile."""

    id: bytes = bytes(16)
    keyspace: str = "redis"
    name: str = "data"
    truncated_at: int = 0


class RespDoor:
    """The Redis door of one node.

    Args:
        backend: The node.
        consistency: Of reads and writes (setting `resp.consistency`).
        port: Where it listens, for INFO and CONFIG GET.
        version: Anel's own.
        facts: More lines for INFO's section `anel`, asked for each time.

    Attributes:
        commands: How many were run since start.
        protocol_errors: How many connections were closed because framing was lost.
    """

    no_table = NoTable()

    def __init__(
        self,
        backend: Backend,
        *,
        consistency: ConsistencyLevel = ConsistencyLevel.QUORUM,
        port: int = 0,
        version: str = "",
        facts: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self.backend = backend
        self.write_level = consistency
        # ANY is a promise about writes only; a read asks at least one replica.
        is_any = consistency is ConsistencyLevel.ANY
        self.read_level = ConsistencyLevel.ONE if is_any else consistency
        self.port = port
        self.version = version
        self.facts = facts
        self.started_ms = backend.now_ms()
        self.clients: dict[int, Client] = {}
        self.connections = 0
        self.commands = 0
        self.protocol_errors = 0

    def enter(self, client: "Client") -> int:
        """Register a connection and give it its id."""
        self.connections += 1
        self.clients[self.connections] = client
        return self.connections

    def leave(self, client: "Client") -> None:
        """Forget a connection."""
        self.clients.pop(client.id, None)
