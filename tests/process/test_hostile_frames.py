"""A live node is sent wrong frames on each port, on many connections: it goes on serving.

Bound on memory: a node's resident memory grows by at most GROWTH_MIB_MAX, whatever a frame
claims. Nothing in its log may speak of a fault.
"""

import itertools
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from anel.internode.frame import encode_frame
from anel.internode.handshake import Hello, encode_hello
from tests.process import corpus
from tests.process.evidence import by_length, tell
from tests.process.live_ring import get, started
from tests.process.mutation_of_frames import mutated
from tests.process.up_process import UpProcess
from tests.process.waiting import wait_until
from tests.process.wire import Wire

FRAMES = by_length(15_000, 100_000)
SECONDS_MAX = by_length(15, 3_600)  # The short run stops here and says how far it got.
FRAMES_MIN = by_length(1_000, 100_000)
THREADS = 3
GROWTH_MIB_MAX = 64
PATIENCE_S = 30.0  # After it a connection counts as hung.
SEED = int(os.environ.get("ANEL_SEED", "1"))

Conversation = Callable[[Random, Iterator[bytes]], tuple[bytes, int]]


def memory_mib(pid: int, name: str) -> float:
    """Read VmRSS, what is resident now, or VmHWM, the most that ever was."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"no {name}")


class Attack:
    """Sends wrong frames to one port from several threads."""

    def __init__(self, port: int, messages: list[bytes], converse: Conversation) -> None:
        self.sent = 0
        self.connections = 0
        self.hung: list[str] = []
        self._port = port
        self._messages = messages
        self._converse = converse
        self._ends = time.monotonic() + SECONDS_MAX

    def run(self) -> None:
        """Send them all, or as many as there is time for."""
        threads = [threading.Thread(target=self._send, args=(k,)) for k in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS_MAX + 2 * PATIENCE_S)
            assert not thread.is_alive()
        assert not self.hung, self.hung

    def _send(self, number: int) -> None:
        random = Random(SEED * 1000 + number)
        frames = mutated(self._messages, random)
        sent = 0
        while sent < FRAMES // THREADS + 1 and time.monotonic() < self._ends and not self.hung:
            text, count = self._converse(random, frames)
            try:
                self._connect_and_send(text)
            except TimeoutError:
                self.hung.append(f"no end of the connection after {text[:300]!r}")
            sent += count
            self.sent += count
            self.connections += 1

    def _connect_and_send(self, text: bytes) -> None:
        """Send and read to the end: the node closes once it has seen ours."""
        connection = socket.create_connection(("127.0.0.1", self._port), PATIENCE_S)
        with connection, suppress(ConnectionError):
            # It may close as soon as it has seen enough.
            connection.sendall(text)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65_536):
                pass


def attack(up: UpProcess, door: str, messages: list[bytes], converse: Conversation) -> None:
    """Send wrong frames to node 0 and look how it is afterwards."""
    pid = up.pid(0)
    before = memory_mib(pid, "VmRSS")
    sending = Attack(up.port(0, door), messages, converse)
    began = time.monotonic()
    sending.run()
    assert up.pid(0) == pid
    with Wire(("127.0.0.1", up.port(0))) as wire:
        assert wire.ask(b"PING") == b"PONG"
    wait_until(lambda: get(up, 0, "/healthz") == {"ready": True})
    after, peak = memory_mib(pid, "VmRSS"), memory_mib(pid, "VmHWM")
    log = (up.data / "node0" / "anel.log").read_text()
    tell(
        f"{door}: {sending.sent} frames on {sending.connections} connections in "
        f"{time.monotonic() - began:.0f} s, resident {before:.0f} MiB before, {after:.0f} MiB "
        f"after, {peak:.0f} MiB at most; the node serves"
    )
    assert "fault of Anel" not in log, log[-3000:]
    assert "Traceback" not in log, log[-3000:]
    assert peak < before + GROWTH_MIB_MAX
    assert sending.sent >= FRAMES_MIN


def as_they_are(random: Random, frames: Iterator[bytes]) -> tuple[bytes, int]:
    """Some frames, one after another."""
    count = random.choice((1, 1, 2, 5))
    return b"".join(itertools.islice(frames, count)), count


def test_wrong_frames_at_the_redis_door_leave_the_node_serving(tmp_path: Path) -> None:
    with started(tmp_path / "data", 1) as up:
        attack(up, "resp", corpus.of_resp(), as_they_are)


def test_wrong_requests_at_the_http_door_leave_the_node_serving(tmp_path: Path) -> None:
    with started(tmp_path / "data", 1) as up:
        attack(up, "http", corpus.of_http(up.port(0, "http")), as_they_are)


class Impostor:
    """Speaks as node 2, which is stopped, to node 0; most of its frames are well framed."""

    def __init__(self, up: UpProcess) -> None:
        status = get(up, 0, "/status")
        self.hello = Hello(
            cluster_name=status["cluster_name"],
            ring_id=bytes.fromhex(status["ring_id"]),
            node_id=bytes.fromhex(up.ring()["nodes"][2]["node_id"]),
            generation=1000,
            process=b"impostor",
            host="127.0.0.1",
            port=up.port(2, "internode"),
            clock_us=corpus.now_us(),
            release="0",
        )

    def converse(self, random: Random, messages: Iterator[bytes]) -> tuple[bytes, int]:
        """A hello and some frames; now and then what is wrong is the frame, or the hello."""
        hello = encode_hello(self.hello)
        chance = random.random()
        count = random.choice((1, 2, 5, 10))
        kept = [message for message in itertools.islice(messages, count) if message]
        frames = b"".join(encode_frame(corpus.now_us(), [message]) for message in kept)
        if chance < 0.1:
            return next(mutated([hello], random)) + frames, count
        if chance < 0.3:
            return hello + next(mutated([frames], random)), count
        return hello + frames, count


def test_wrong_messages_at_the_port_between_nodes_leave_the_node_serving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages, ids = corpus.of_nodes(monkeypatch)
    assert len({message[0] for message in messages}) >= 15
    with started(tmp_path / "data", 3) as up:
        status = wait_until(lambda: get(up, 0, "/status"))
        os.kill(up.pid(2), signal.SIGKILL)
        wait_until(lambda: up.pid(2) == 0)
        own = [status["ring_id"], *(node["node_id"] for node in up.ring()["nodes"])]
        for mine, theirs in zip(ids, own, strict=True):
            messages = [m.replace(mine, bytes.fromhex(theirs)) for m in messages]
        attack(up, "internode", messages, Impostor(up).converse)
        with Wire(("127.0.0.1", up.port(1))) as wire:
            assert wire.ask(b"PING") == b"PONG"
