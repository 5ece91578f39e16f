"""The one shell around every door's sessions: bytes in, bytes out, one write per tick.

A session does no I/O: the shell feeds it what a client sent and writes what it answers. Answers
given while a client's bytes are being taken in leave together at the end; later ones (a quorum
was reached) leave together at the end of the tick. No Task and no Future per request.

Back-pressure goes both ways: a session that is `paused` is not fed, and a client that does not
read its answers makes its session pause.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Protocol, TypeAlias, cast

from anel.runtime.complaints import Complaints

_log = logging.getLogger("anel.listener")

OUTPUT_BYTES_HIGH = 256 * 1024  # A client that reads slower than this piles up is not read.
BACKLOG = 1024  # Clients of a benchmark or a restarted service connect all at once.
_DRAIN_STEP_S = 0.02


class Session(Protocol):
    """One client connection of a door."""

    @property
    def paused(self) -> bool:
        """The session wants no more bytes until some of its answers have been written."""

    @property
    def is_idle(self) -> bool:
        """Nothing is under way: the connection may be closed without losing an answer."""

    def receive(self, data: bytes) -> None:
        """Take bytes from the client."""

    def pause(self) -> None:
        """The client does not read its answers: start nothing new."""

    def resume(self) -> None:
        """The client reads again."""

    def closed(self) -> None:
        """The connection is gone; answers of what is under way are dropped."""


class Connection(asyncio.Protocol):
    """The socket's side of one session. A session gets its `write` and `close`."""

    __slots__ = (
        "_is_feeding",
        "_is_reading",
        "_is_stalled",
        "_listener",
        "_output",
        "_transport",
        "beat",
        "session",
    )

    def __init__(self, listener: "Listener") -> None:
        self._listener = listener
        self._transport: asyncio.Transport | None = None
        self._output: list[bytes] = []
        self._is_feeding = False
        self._is_reading = True
        self._is_stalled = False
        self.beat = listener.beat
        self.session: Session | None = None

    # For the session.

    @property
    def client(self) -> str:
        """The client's address, as people write it."""
        name = self._transport.get_extra_info("peername") if self._transport else None
        return f"{name[0]}:{name[1]}" if name else "?"

    def write(self, data: bytes) -> None:
        """Answer; the bytes leave with all others of this tick."""
        output = self._output
        if not output and not self._is_feeding:
            self._listener.flush_soon(self)
        output.append(data)

    def close(self) -> None:
        """Close once everything written has left."""
        if self._transport is not None:
            self.flush()
            self._transport.close()

    # For the loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin a session, if there is room."""
        transport = cast("asyncio.Transport", transport)  # uvloop's inherit from nothing.
        self._transport = transport
        transport.set_write_buffer_limits(OUTPUT_BYTES_HIGH)
        self._listener.opened(self, transport)

    def data_received(self, data: bytes) -> None:
        """Feed the session and write what it answers at once."""
        session = self.session
        if session is None:
            return
        self.beat = self._listener.beat
        self._is_feeding = True
        session.receive(data)
        self._is_feeding = False
        if self._output:
            self.flush()
        elif session.paused:
            self._regulate()

    def pause_writing(self) -> None:
        """The client does not read."""
        self._is_stalled = True
        if self.session is not None:
            self.session.pause()
        self._regulate()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._is_stalled = False
        if self.session is not None:
            self.session.resume()
        self._regulate()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - Gone is gone.
        """End the session."""
        self._transport = None
        self._output.clear()
        self._listener.ended(self)
        session, self.session = self.session, None
        if session is not None:
            session.closed()

    # For the listener.

    def flush(self) -> None:
        """Write what the session has answered."""
        transport = self._transport
        output = self._output
        if transport is None or not output:
            return
        data = output[0] if len(output) == 1 else b"".join(output)
        output.clear()
        transport.write(data)
        session = self.session
        if session is not None and (session.paused or not self._is_reading):
            self._regulate()

    def abort(self) -> None:
        """Drop the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _regulate(self) -> None:
        """Read from the client exactly when the session can take it."""
        session = self.session
        wanted = not (
            self._is_stalled
            or self._listener.is_paused
            or (session is not None and session.paused)
        )
        if wanted == self._is_reading:
            return
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._is_reading = wanted
        if wanted:
            transport.resume_reading()
        else:
            transport.pause_reading()


class _Deaf:
    """The session of a client that connects while the door is paused.

    uvloop reads once from a new connection, whatever it was asked before: what came is kept.
    """

    paused = True
    is_idle = True

    def __init__(self) -> None:
        self.unheard = bytearray()

    def receive(self, data: bytes) -> None:
        self.unheard += data

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass

    def closed(self) -> None:
        pass


SessionFactory: TypeAlias = Callable[[Connection], Session]


class Listener:
    """One door's port.

    Args:
        loop: Where everything happens.
        name: The door, for the log.
        session: Makes the session of one connection.
        connections_max: Past it a client gets `refusal` and is closed.
        refusal: In the door's protocol: too many connections.
        idle_s_max: Connections that have nothing under way and were silent for this long, or
            up to half as long again, are closed; 0 keeps them.

    Attributes:
        beat: Counts halves of `idle_s_max`; a connection notes it when it hears its client.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        name: str,
        session: SessionFactory,
        *,
        connections_max: int,
        refusal: bytes = b"",
        idle_s_max: float = 0,
    ) -> None:
        self._loop = loop
        self._name = name
        self._session = session
        self._connections_max = connections_max
        self._refusal = refusal
        self._half_idle_s = idle_s_max / 2
        self._sweep: asyncio.TimerHandle | None = None
        self.beat = 0
        self._connections: dict[Connection, None] = {}
        self._dirty: list[Connection] = []
        self._server: asyncio.Server | None = None
        self._complaints = Complaints(_log)
        self.is_paused = False
        self.accepted = 0
        self.refused = 0

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    async def start(self, taken: socket.socket) -> None:
        """Open the door on a bound socket."""
        self._server = await self._loop.create_server(
            lambda: Connection(self), sock=taken, backlog=BACKLOG
        )
        if self._half_idle_s:
            self._sweep = self._loop.call_later(self._half_idle_s, self._close_idle)

    def stop_accepting(self) -> None:
        """Close the port; connections stay."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        if self._server is not None:
            self._server.close()
            self._server = None

    async def drain(self, timeout_s: float) -> bool:
        """Let requests under way end, then close every connection.

        Returns:
            True when nothing was cut off.
        """
        self.stop_accepting()
        deadline = self._loop.time() + timeout_s
        while self._loop.time() < deadline:
            for connection in list(self._connections):
                if connection.session is None or connection.session.is_idle:
                    connection.close()
            if not self._connections:
                return True
            await asyncio.sleep(_DRAIN_STEP_S)
        self.abort()
        return False

    def abort(self) -> None:
        """Close the port and drop every connection at once."""
        self.stop_accepting()
        for connection in list(self._connections):
            connection.abort()

    def pause(self) -> None:
        """Read from no client until `resume`, as a stopped process would."""
        self.is_paused = True
        for connection in self._connections:
            connection._regulate()  # noqa: SLF001 - Two halves of one shell.

    def resume(self) -> None:
        """Go on after `pause`."""
        self.is_paused = False
        for connection in list(self._connections):
            if isinstance(deaf := connection.session, _Deaf):
                connection.session = self._session(connection)
                connection.data_received(bytes(deaf.unheard))
            connection._regulate()  # noqa: SLF001 - Two halves of one shell.
        self._flush()

    # For connections.

    def opened(self, connection: Connection, transport: asyncio.Transport) -> None:
        """Give a new connection its session, or the refusal."""
        if len(self._connections) >= self._connections_max:
            self.refused += 1
            self._complaints.say(
                f"door={self._name} refused a client: {self._connections_max} are connected; "
                "close some"
            )
            transport.write(self._refusal)
            transport.close()
            return
        self.accepted += 1
        self._connections[connection] = None
        connection.session = _Deaf() if self.is_paused else self._session(connection)

    def ended(self, connection: Connection) -> None:
        """Forget a connection."""
        self._connections.pop(connection, None)

    def flush_soon(self, connection: Connection) -> None:
        """Flush a connection at the end of this tick."""
        if not self._dirty:
            self._loop.call_soon(self._flush)
        self._dirty.append(connection)

    def _close_idle(self) -> None:
        self.beat += 1
        self._sweep = self._loop.call_later(self._half_idle_s, self._close_idle)
        for connection in list(self._connections):
            session = connection.session
            if connection.beat < self.beat - 2 and session is not None and session.is_idle:
                connection.close()

    def _flush(self) -> None:
        if self.is_paused:
            return
        dirty, self._dirty = self._dirty, []
        for connection in dirty:
            connection.flush()
