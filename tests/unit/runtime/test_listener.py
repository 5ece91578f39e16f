"""The shell around sessions: one write per tick, back-pressure, bounds, draining."""

import asyncio
from collections.abc import Iterator

import pytest

from anel.env import Address
from anel.runtime.listener import OUTPUT_BYTES_HIGH, Connection, Listener
from anel.runtime.sockets import address_of, bind
from tests.unit.runtime.world import until


class Echo:
    """A session that answers what it is told to."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.paused = False
        self.is_idle = True
        self.is_held = False
        self.is_closed = False
        self.received = b""

    def receive(self, data: bytes) -> None:
        self.received += data
        for byte in data:
            self.connection.write(bytes([byte]))

    def pause(self) -> None:
        self.is_held = True

    def resume(self) -> None:
        self.is_held = False

    def closed(self) -> None:
        self.is_closed = True

    def was_held(self) -> bool:
        return self.is_held


class Door:
    """A listener and the sessions it made."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connections_max: int = 4) -> None:
        self.sessions: list[Echo] = []
        self.listener = Listener(
            loop,
            "echo",
            self._session,
            connections_max=connections_max,
            refusal=b"full\n",
        )
        self.address: Address = ("", 0)

    def _session(self, connection: Connection) -> Echo:
        session = Echo(connection)
        self.sessions.append(session)
        return session

    async def open(self) -> None:
        taken = bind("listen.echo", ("127.0.0.1", 0))
        self.address = address_of(taken)
        await self.listener.start(taken)

    async def call(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.address)


@pytest.fixture
def door(loop: asyncio.AbstractEventLoop) -> Iterator[Door]:
    door = Door(loop)
    loop.run_until_complete(door.open())
    yield door

    async def close() -> None:
        door.listener.abort()
        await asyncio.sleep(0.01)

    loop.run_until_complete(close())


def test_answers_given_at_once_leave_in_one_write(
    loop: asyncio.AbstractEventLoop, door: Door
) -> None:
    async def story() -> None:
        reader, writer = await door.call()
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        session = door.sessions[0]
        writes: list[bytes] = []
        transport = session.connection._transport
        assert transport is not None
        session.connection._transport = _Spy(transport, writes)  # type: ignore[assignment]
        writer.write(b"again")
        assert await reader.readexactly(5) == b"again"
        assert writes == [b"again"]
        writer.close()

    loop.run_until_complete(story())


class _Spy:
    """Notes the writes on their way to a transport."""

    def __init__(self, transport: asyncio.Transport, writes: list[bytes]) -> None:
        self._transport = transport
        self._writes = writes

    def write(self, data: bytes) -> None:
        self._writes.append(data)
        self._transport.write(data)

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)


def test_later_answers_of_one_tick_leave_together(
    loop: asyncio.AbstractEventLoop, door: Door
) -> None:
    async def story() -> None:
        reader, writer = await door.call()
        await until(lambda: door.sessions)
        for word in (b"one", b"two", b"three"):
            door.sessions[0].connection.write(word)
        assert len(door.listener._dirty) == 1
        assert await reader.readexactly(11) == b"onetwothree"
        writer.close()

    loop.run_until_complete(story())


def test_a_client_that_does_not_read_is_not_read_and_its_session_held(
    loop: asyncio.AbstractEventLoop, door: Door
) -> None:
    async def story() -> None:
        reader, writer = await door.call()
        await until(lambda: door.sessions)
        session = door.sessions[0]
        sent = 0
        for _ in range(100):  # Until the kernel's buffers are full too.
            session.connection.write(bytes(OUTPUT_BYTES_HIGH))
            sent += OUTPUT_BYTES_HIGH
            await asyncio.sleep(0.001)
        assert session.was_held()
        writer.write(b"x")
        await asyncio.sleep(0.05)
        assert session.received == b""
        await reader.readexactly(sent)
        await until(lambda: session.received == b"x")
        assert not session.is_held
        writer.close()

    loop.run_until_complete(story())


def test_a_paused_session_is_not_fed_until_it_has_answered(
    loop: asyncio.AbstractEventLoop, door: Door
) -> None:
    async def story() -> None:
        reader, writer = await door.call()
        await until(lambda: door.sessions)
        session = door.sessions[0]
        session.paused = True
        writer.write(b"a")
        await reader.readexactly(1)
        writer.write(b"b")
        await asyncio.sleep(0.05)
        assert session.received == b"a"
        session.paused = False
        session.connection.write(b"!")
        assert await reader.readexactly(2) == b"!b"
        writer.close()

    loop.run_until_complete(story())


def test_connections_are_bounded_and_told_so(
    loop: asyncio.AbstractEventLoop, door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        calls = [await door.call() for _ in range(4)]
        await until(lambda: door.listener.connections == 4)
        reader, writer = await door.call()
        assert await reader.read() == b"full\n"
        assert door.listener.refused == 1
        writer.close()
        calls.pop()[1].close()
        await until(lambda: door.listener.connections == 3)
        reader, writer = await door.call()
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        for _, other in [*calls, (reader, writer)]:
            other.close()

    loop.run_until_complete(story())
    assert "door=echo refused a client: 4 are connected" in caplog.text


def test_a_session_learns_that_its_client_has_gone(
    loop: asyncio.AbstractEventLoop, door: Door
) -> None:
    async def story() -> None:
        _, writer = await door.call()
        await until(lambda: door.sessions)
        writer.close()
        await until(lambda: door.sessions[0].is_closed)
        door.sessions[0].connection.write(b"too late")
        await asyncio.sleep(0.01)
        assert door.listener.connections == 0

    loop.run_until_complete(story())


def test_silent_connections_are_closed_where_that_is_wanted(
    loop: asyncio.AbstractEventLoop,
) -> None:
    async def story() -> None:
        door = Door(loop)
        door.listener._half_idle_s = 0.03
        await door.open()
        silent, busy, talking = await door.call(), await door.call(), await door.call()
        await until(lambda: len(door.sessions) == 3)
        door.sessions[1].is_idle = False
        reading = loop.create_task(silent[0].read())
        while not reading.done():
            talking[1].write(b".")
            await asyncio.sleep(0.005)
        assert [session.is_closed for session in door.sessions] == [True, False, False]
        for _, writer in (silent, busy, talking):
            writer.close()
        door.listener.abort()
        await asyncio.sleep(0.01)

    loop.run_until_complete(story())


def test_what_was_written_leaves_before_a_close(
    loop: asyncio.AbstractEventLoop, door: Door
) -> None:
    async def story() -> None:
        reader, writer = await door.call()
        await until(lambda: door.sessions)
        door.sessions[0].connection.write(b"goodbye")
        door.sessions[0].connection.close()
        assert await reader.read() == b"goodbye"
        writer.close()

    loop.run_until_complete(story())


def test_draining_lets_requests_end_and_refuses_new_clients(
    loop: asyncio.AbstractEventLoop, door: Door
) -> None:
    async def story() -> None:
        idle, busy = await door.call(), await door.call()
        await until(lambda: len(door.sessions) == 2)
        door.sessions[1].is_idle = False
        draining = loop.create_task(door.listener.drain(2.0))
        assert await idle[0].read() == b""
        with pytest.raises(ConnectionRefusedError):
            await door.call()
        assert not draining.done()
        door.sessions[1].connection.write(b"answer")
        door.sessions[1].is_idle = True
        assert await busy[0].read() == b"answer"
        assert await draining
        idle[1].close()
        busy[1].close()

    loop.run_until_complete(story())


def test_draining_cuts_off_what_does_not_end(
    loop: asyncio.AbstractEventLoop, door: Door
) -> None:
    async def story() -> None:
        _, writer = await door.call()
        await until(lambda: door.sessions)
        door.sessions[0].is_idle = False
        assert not await door.listener.drain(0.05)
        await until(lambda: door.sessions[0].is_closed)
        writer.close()

    loop.run_until_complete(story())


def test_a_paused_door_neither_reads_nor_answers(
    loop: asyncio.AbstractEventLoop, door: Door
) -> None:
    async def story() -> None:
        reader, writer = await door.call()
        await until(lambda: door.sessions)
        door.listener.pause()
        writer.write(b"x")
        door.sessions[0].connection.write(b"held")
        await asyncio.sleep(0.05)
        assert door.sessions[0].received == b""
        door.listener.resume()
        assert await reader.readexactly(5) == b"heldx"
        writer.close()

    loop.run_until_complete(story())
