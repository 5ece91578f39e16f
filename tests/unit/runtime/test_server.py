"""Whole nodes with everything real around them: start, restart, kill, drain, damage."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from anel.config import InitialMember, Limits, Listen, NodeConfig
from anel.doors.http.metrics import METRICS
from anel.errors import ConfigurationError
from anel.node.node import CEILING_META
from anel.ring.allocation import initial_tokens
from anel.runtime.loop import new_event_loop
from anel.runtime.server import NodeServer
from anel.runtime.sockets import address_of, bind
from anel.storage.rocks import RocksStore
from tests.unit.runtime.world import until

SERVES_S = 20.0


class Ring:
    """Some node servers that know each other."""

    def __init__(self, loop: asyncio.AbstractEventLoop, folder: Path) -> None:
        self.loop = loop
        self.folder = folder
        self.servers: list[NodeServer] = []
        self.failures: list[BaseException] = []

    async def start(self, count: int, store: Literal["rocks", "memory"] = "rocks") -> None:
        taken = [bind("listen", ("127.0.0.1", 0)) for _ in range(count)]
        addresses = [address_of(socket) for socket in taken]
        for socket in taken:
            socket.close()
        tokens = initial_tokens(count, 16)
        members = [
            InitialMember(f"{index + 1:032x}", f"127.0.0.1:{address[1]}", tokens[index])
            for index, address in enumerate(addresses)
        ]
        for index, member in enumerate(members):
            config = NodeConfig(
                cluster_name="test",
                data=str(self.folder / f"node{index}"),
                node_id=member.node_id,
                initial_ring=members,
                listen=Listen("off", "127.0.0.1:0", "127.0.0.1:0", member.address),
                limits=Limits(),
            )
            server = NodeServer(config, self.loop, store=store, on_fatal=self.failures.append)
            self.servers.append(server)
        for server in self.servers:
            await server.start()
        for server in self.servers:
            await server.serving(SERVES_S)

    async def stop(self) -> None:
        for server in self.servers:
            server.stop()
        await asyncio.sleep(0.01)


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[Ring]:
    loop = new_event_loop()
    ring = Ring(loop, tmp_path)
    yield ring
    loop.run_until_complete(ring.stop())
    loop.close()


class Redis:
    """The least of a Redis client."""

    def __init__(self, server: NodeServer) -> None:
        self._address = server.addresses["resp"]

    async def __call__(self, *words: str) -> bytes:
        reader, writer = await asyncio.open_connection(*self._address)
        request = f"*{len(words)}\r\n" + "".join(f"${len(w)}\r\n{w}\r\n" for w in words)
        writer.write(request.encode())
        reply = await asyncio.wait_for(reader.readline(), 10)
        if reply[:1] == b"$" and reply != b"$-1\r\n":
            reply = await reader.readline()
        writer.close()
        return reply.strip()


async def http(server: NodeServer, path: str) -> bytes:
    reader, writer = await asyncio.open_connection(*server.addresses["http"])
    writer.write(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
    reply = await reader.read()
    writer.close()
    return reply.partition(b"\r\n\r\n")[2]


def test_three_nodes_serve_each_others_keys(ring: Ring) -> None:
    async def story() -> None:
        await ring.start(3, "memory")
        for number, server in enumerate(ring.servers):
            assert await Redis(server)("SET", f"key{number}", str(number)) == b"+OK"
        for number in range(3):
            for server in ring.servers:
                assert await Redis(server)("GET", f"key{number}") == str(number).encode()

    ring.loop.run_until_complete(story())


def test_status_and_metrics_tell_of_the_whole_ring(ring: Ring) -> None:
    async def story() -> None:
        await ring.start(3, "memory")
        status = json.loads(await http(ring.servers[0], "/status"))
        assert [node["state"] for node in status["nodes"]] == ["up"] * 3
        assert sum(node["share"] for node in status["nodes"]) == pytest.approx(1)
        assert status["keyspaces"][0]["levels"]["ALL"] == 1
        metrics = (await http(ring.servers[0], "/metrics")).decode()
        told = {line.split()[2] for line in metrics.splitlines() if line.startswith("# TYPE")}
        assert told == set(METRICS), "every metric is told, and none else"

    ring.loop.run_until_complete(story())


def test_what_was_acknowledged_outlives_a_kill_of_all(ring: Ring) -> None:
    async def story() -> None:
        await ring.start(2)
        assert await Redis(ring.servers[0])("SET", "key", "kept") == b"+OK"
        addresses = [dict(server.addresses) for server in ring.servers]
        for server in ring.servers:
            server.kill()
        for server in ring.servers:
            await server.start()
        for server in ring.servers:
            await server.serving(SERVES_S)
        assert [server.addresses for server in ring.servers] == addresses
        reply = b"-"
        while reply[:1] == b"-":  # The nodes have to find each other again.
            reply = await Redis(ring.servers[1])("GET", "key")
        assert reply == b"kept"
        assert ring.servers[0].node.settings.generation == 2

    ring.loop.run_until_complete(story())


def test_a_drained_node_finishes_and_goes(ring: Ring) -> None:
    async def story() -> None:
        await ring.start(1, "memory")
        server = ring.servers[0]
        assert await Redis(server)("SET", "key", "1") == b"+OK"
        assert await server.drain(2.0)
        with pytest.raises(ConnectionRefusedError):
            await Redis(server)("PING")
        server.stop()
        assert not server.is_running

    ring.loop.run_until_complete(story())


def test_a_paused_node_is_silent_and_goes_on(ring: Ring) -> None:
    async def story() -> None:
        await ring.start(1, "memory")
        server = ring.servers[0]
        server.pause()
        asking = ring.loop.create_task(Redis(server)("PING"))
        await asyncio.sleep(0.05)
        assert not asking.done()
        server.resume()
        assert await asking == b"+PONG"

    ring.loop.run_until_complete(story())


def test_damage_met_at_run_time_is_never_served_and_the_node_starts_over(
    ring: Ring, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        await ring.start(1)
        server = ring.servers[0]
        store = server._store
        assert store is not None
        store._fault(Exception("Corruption: block checksum mismatch"))
        first = server.node
        await until(lambda: server.is_running and server.node is not first, SERVES_S)
        status = server.node.store
        assert status.recovering
        assert "block checksum mismatch" in status.damage
        assert list((ring.folder / "node0" / "store").glob("damaged-*"))

    ring.loop.run_until_complete(story())
    assert "the node restarts and is refilled" in caplog.text


def test_damage_met_while_a_node_starts_is_set_aside_at_once(
    ring: Ring, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_state = RocksStore.read_state

    async def story() -> None:
        await ring.start(1)
        server = ring.servers[0]
        server.stop()

        def rotten(store: RocksStore, name: bytes) -> bytes | None:
            if not store.recovering and name.endswith(CEILING_META):
                raise store._fault(Exception("Corruption: block checksum mismatch"))
            return read_state(store, name)

        monkeypatch.setattr(RocksStore, "read_state", rotten)
        await server.start()
        await server.serving(SERVES_S)
        assert server.node.store.recovering
        assert "block checksum mismatch" in server.node.store.damage

    ring.loop.run_until_complete(story())


def test_a_failed_fsync_ends_the_node(
    ring: Ring, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        await ring.start(1)
        server = ring.servers[0]

        def fail() -> None:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(server._store, "_sync", fail)
        asking = ring.loop.create_task(Redis(server)("SET", "key", "1"))
        await until(lambda: ring.failures)
        assert not server.is_running
        assert b"OK" not in await asking

    ring.loop.run_until_complete(story())
    assert "node cannot go on" in caplog.text


def test_a_taken_port_and_a_folder_in_use_are_named(ring: Ring) -> None:
    async def story() -> None:
        await ring.start(1)
        first = ring.servers[0]
        again = NodeServer(first.config, ring.loop)
        with pytest.raises(ConfigurationError, match=r"listen\.internode: .*another program"):
            await again.start()
        elsewhere = Listen("off", "off", "off", "127.0.0.1:0")
        config = NodeConfig(cluster_name="test", data=first.config.data, listen=elsewhere)
        with pytest.raises(ConfigurationError, match="is open in another process"):
            await NodeServer(config, ring.loop).start()
        assert await Redis(first)("PING") == b"+PONG"

    ring.loop.run_until_complete(story())
