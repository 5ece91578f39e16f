"""The doors of a node as listeners: which session a connection gets, and how many may be."""

import asyncio
from dataclasses import dataclass

from anel import __version__
from anel.config import NodeConfig
from anel.data.consistency import ConsistencyLevel
from anel.doors.backend import Backend
from anel.doors.http.backend import AdminBackend
from anel.doors.http.session import HttpDoor, HttpSession
from anel.doors.resp.door import RespDoor
from anel.doors.resp.session import RespSession
from anel.env import Address
from anel.limits import HTTP_CONNECTIONS_MAX, HTTP_IDLE_S_MAX, RESP_CONNECTIONS_MAX
from anel.runtime.listener import Connection, Listener

_RESP_FULL = b"-ERR max number of clients reached\r\n"
_HTTP_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class DoorFacts:
    """What doors tell their clients: the settings, and where each door listens."""

    config: NodeConfig
    addresses: dict[str, Address]


def resp_door(loop: asyncio.AbstractEventLoop, backend: Backend, facts: DoorFacts) -> Listener:
    """Make the Redis door's listener."""
    door = RespDoor(
        backend,
        consistency=ConsistencyLevel[facts.config.resp.consistency],
        port=facts.addresses["resp"][1],
        version=__version__,
    )

    def session(connection: Connection) -> RespSession:
        return RespSession(door, connection.write, connection.close, address=connection.client)

    return Listener(
        loop, "resp", session, connections_max=RESP_CONNECTIONS_MAX, refusal=_RESP_FULL
    )


def http_door(
    loop: asyncio.AbstractEventLoop, backend: AdminBackend, facts: DoorFacts
) -> Listener:
    """Make the HTTP door's listener."""
    door = HttpDoor(backend, list(facts.addresses.values()))

    def session(connection: Connection) -> HttpSession:
        return HttpSession(door, connection.write, connection.close)

    return Listener(
        loop,
        "http",
        session,
        connections_max=HTTP_CONNECTIONS_MAX,
        refusal=_HTTP_FULL,
        idle_s_max=HTTP_IDLE_S_MAX,
    )
