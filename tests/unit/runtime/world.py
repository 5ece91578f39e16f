"""Two or more real transports on one loop, with the least of a node behind each."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import TypeAlias

from msgspec.structs import replace

from anel.env import Address, NodeId
from anel.internode.handshake import Hello
from anel.runtime.env import RuntimeEnv
from anel.runtime.sockets import address_of, bind
from anel.runtime.transport import Transport

WALL_US = 10**15


class FakeClock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.last_us = WALL_US
        self.merged: list[int] = []
        self.believes = True

    def merge(self, peer_us: int) -> bool:
        self.merged.append(peer_us)
        return self.believes


class Peer:
    """A transport and what it told its node."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, index: int, generation: int = 1
    ) -> None:
        self.id = NodeId(bytes([index]) * 16)
        self.clock = FakeClock()
        self.received: list[tuple[NodeId, bytes]] = []
        self.up: list[NodeId] = []
        self.down: list[NodeId] = []
        self.address: Address = ("127.0.0.1", 0)
        self.hello = Hello(
            cluster_name="anel",
            ring_id=b"",
            node_id=self.id,
            generation=generation,
            process=Random(index * 1000 + generation).randbytes(8),
            host="127.0.0.1",
            port=1,
            clock_us=WALL_US,
            release="test",
        )
        self.transport = Transport(loop, lambda: self.hello, Random(index))
        self.env = RuntimeEnv(loop, self.transport)

    async def start(self, port: int = 0, **changes: object) -> None:
        taken = bind("listen.internode", ("127.0.0.1", port))
        self.address = address_of(taken)
        await self.transport.start(self, taken)
        self.set_hello(port=self.address[1], **changes)

    def set_hello(self, **changes: object) -> None:
        self.hello = replace(self.hello, **changes)

    def receive(self, peer: NodeId, message: bytes) -> None:
        self.received.append((peer, message))

    def link_up(self, peer: NodeId, address: Address) -> None:
        assert address[1] > 1
        self.up.append(peer)

    def link_down(self, peer: NodeId) -> None:
        self.down.append(peer)


MakePeer: TypeAlias = Callable[..., Awaitable[Peer]]


async def until(condition: Callable[[], object], within_s: float = 5.0) -> None:
    """Wait for something that must happen soon."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while not condition():
        assert loop.time() < deadline, "it did not happen in time"
        await asyncio.sleep(0.001)
