"""One TCP connection between two nodes: `Dialled` carries our messages, `Accepted` a peer's.

Each side dials its own connection and sends only there; after the greetings nothing flows back.
Both report to `anel.runtime.transport.Transport`, which decides who may talk.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

from anel.env import Address, NodeId
from anel.errors import PeerRefused, RemoteProtocolError
from anel.internode.frame import FrameDecoder
from anel.internode.handshake import (
    GreetingDecoder,
    Hello,
    Refusal,
    encode_hello,
    encode_refusal,
)

GREETING_TIMEOUT_S = (
    3.0  # A greeting is two small packets: slower is a stranger or a dead node.
)
WRITE_BUFFER_BYTES = 1 << 20  # Past it messages wait in the peer's own, bounded queue.


class DialOwner(Protocol):
    """Who decides about connections that this node opened."""

    def own_hello(self) -> Hello:
        """Describe this node, as of now."""

    def connected(self, connection: "Dialled") -> None:
        """The other side's machine answers; the greetings begin."""

    def answered(self, connection: "Dialled", hello: Hello) -> None:
        """The other side said hello; raises PeerRefused to close the connection."""

    def refused(self, connection: "Dialled", reason: str, *, own: bool) -> None:
        """The greetings came to nothing; the connection is being closed."""

    def writable(self, connection: "Dialled") -> None:
        """The connection takes bytes again."""

    def lost(self, connection: "Dialled") -> None:
        """The connection is closed, whatever it had reached."""


class Dialled(asyncio.Protocol):
    """A connection that this node opened, to send."""

    def __init__(
        self, owner: DialOwner, loop: asyncio.AbstractEventLoop, address: Address
    ) -> None:
        self.address = address
        self.peer: NodeId | None = None
        self.process = b""
        self.transport: asyncio.Transport | None = None
        self._is_writable = True
        self._owner = owner
        self._loop = loop
        self._greeting: GreetingDecoder | None = GreetingDecoder()
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say hello."""
        transport = cast("asyncio.Transport", transport)  # uvloop's inherit from nothing.
        self.transport = transport
        transport.set_write_buffer_limits(WRITE_BUFFER_BYTES)
        self._owner.connected(self)
        transport.write(encode_hello(self._owner.own_hello()))
        self._deadline = self._loop.call_later(GREETING_TIMEOUT_S, self._give_up)

    def data_received(self, data: bytes) -> None:
        """Take the answer; nothing may follow it."""
        if self._greeting is None:
            self.abort()
            return
        try:
            found = self._greeting.receive(data)
            if found is None:
                return
            greeting, rest = found
            if isinstance(greeting, Refusal):
                self._refuse(greeting.reason, own=greeting.own)
                return
            if rest:
                self._refuse("bytes after the greeting", own=False)
                return
            self._cancel_deadline()
            self._greeting = None
            self._owner.answered(self, greeting)
        except (RemoteProtocolError, PeerRefused) as error:
            self._refuse(str(error), own=False)

    def pause_writing(self) -> None:
        """Let messages wait in the peer's queue."""
        self._is_writable = False

    def resume_writing(self) -> None:
        """Go on."""
        self._is_writable = True
        self._owner.writable(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - The reason is the peer's death or ours.
        """Tell the owner, once."""
        self._cancel_deadline()
        self._owner.lost(self)

    def can_write(self) -> bool:
        """Tell whether the socket takes more bytes now."""
        return self._is_writable

    def abort(self) -> None:
        """Close at once; `lost` follows."""
        if self.transport is not None:
            self.transport.abort()

    def _give_up(self) -> None:
        self._refuse("no greeting came in time", own=False)

    def _refuse(self, reason: str, *, own: bool) -> None:
        self._owner.refused(self, reason, own=own)
        self.abort()

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class AcceptOwner(Protocol):
    """Who decides about connections that others opened."""

    def own_hello(self) -> Hello:
        """Describe this node, as of now."""

    def opened(self, connection: "Accepted") -> bool:
        """Tell whether there is room for one more connection."""

    def greeted(self, connection: "Accepted", hello: Hello) -> Refusal | None:
        """Tell whether the peer may talk."""

    def broke(self, connection: "Accepted", reason: str) -> None:
        """The peer broke the rules; the connection is being closed."""

    def closed(self, connection: "Accepted") -> None:
        """The connection is closed."""


class Accepted(asyncio.Protocol):
    """A connection that a peer opened, to send to this node."""

    def __init__(
        self,
        owner: AcceptOwner,
        loop: asyncio.AbstractEventLoop,
        merge: Callable[[int], bool],
        receive: Callable[[NodeId, bytes], None],
    ) -> None:
        self.hello: Hello | None = None
        self.peer: NodeId | None = None
        self.transport: asyncio.Transport | None = None
        self._owner = owner
        self._loop = loop
        self._merge = merge
        self._receive = receive
        self._greeting = GreetingDecoder()
        self._frames = FrameDecoder()
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def address(self) -> str:
        """Where the connection comes from, for the log."""
        name = self.transport.get_extra_info("peername") if self.transport else None
        return f"{name[0]}:{name[1]}" if name else "?"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the hello."""
        transport = cast("asyncio.Transport", transport)  # uvloop's inherit from nothing.
        self.transport = transport
        if not self._owner.opened(self):
            transport.abort()
            return
        self._deadline = self._loop.call_later(GREETING_TIMEOUT_S, self.abort)

    def data_received(self, data: bytes) -> None:
        """Hand every message to the node."""
        try:
            if self.peer is None:
                data = self._greet(data)
                if not data:
                    return
            for clock_us, messages in self._frames.receive(data):
                if not self._merge(clock_us):
                    self._break("its clock is too far ahead; set both machines' clocks (NTP)")
                    return
                for message in messages:
                    peer = self.peer
                    if peer is None:  # Closed by what an earlier message led to.
                        return
                    self._receive(peer, message)
        except (RemoteProtocolError, PeerRefused) as error:
            self._break(str(error))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - The owner cares only that.
        """Tell the owner, once."""
        self._cancel_deadline()
        self._owner.closed(self)
        self.peer = None

    def abort(self) -> None:
        """Close at once; `closed` follows."""
        self.peer = None
        if self.transport is not None:
            self.transport.abort()

    def _greet(self, data: bytes) -> bytes:
        if self.transport is None or self.transport.is_closing():
            return b""
        found = self._greeting.receive(data)
        if found is None:
            return b""
        greeting, rest = found
        if isinstance(greeting, Refusal):
            raise RemoteProtocolError("a refusal where a hello belongs")
        refusal = self._owner.greeted(self, greeting)
        if refusal is not None:
            self._close_with(refusal)
            return b""
        self._cancel_deadline()
        self.hello = greeting
        self.peer = NodeId(greeting.node_id)
        self.transport.write(encode_hello(self._owner.own_hello()))
        return rest

    def _break(self, reason: str) -> None:
        self._owner.broke(self, reason)
        self._close_with(None if self.peer else Refusal(reason))

    def _close_with(self, refusal: Refusal | None) -> None:
        if self.transport is None:
            return
        if refusal is None:
            self.abort()
        else:
            self.transport.write(encode_refusal(refusal))
            self.transport.close()

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
