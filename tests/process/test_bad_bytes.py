"""Under test: every port of a node against random and mutated bytes: alive, bounded, honest.

100,000 frames in all, on the port between nodes mostly well-formed frames around messages that
are not, since those get furthest. The node must serve afterwards, what it kept must be there,
and its memory must not have grown past a bound.
"""

import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from anel.internode.frame import encode_frame
from anel.internode.handshake import Hello, encode_hello
from anel.internode.messages import (
    MessageType,
    Origin,
    PageRequest,
    pack_control,
    pack_mutate,
    pack_read_page,
    pack_read_row,
)
from tests.process.node_process import NodeProcess
from tests.process.redis_wire import ask

RESP_FRAMES = 40_000
HTTP_FRAMES = 10_000
INTERNODE_MESSAGES = 50_000
GROWTH_KB_MAX = 64 * 1024
Address = tuple[str, int]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    folder: Path = tmp_path_factory.mktemp("bad")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with NodeProcess(folder, internode=port, arguments=[]) as node:
        assert ask(node.address("resp"), b"SET", b"witness", b"1") == b"+OK\r\n"
        yield node


def resident_kb(node: NodeProcess) -> int:
    text = Path(f"/proc/{node.process.pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0])


def check(node: NodeProcess, before_kb: int) -> None:
    """Check that the node lives, keeps what it kept, stayed small, and met no fault of ours."""
    assert node.process.poll() is None, node.log[-2000:] + node.said[-2000:]
    assert ask(node.address("resp"), b"GET", b"witness") == b"$1\r\n1\r\n"
    assert resident_kb(node) - before_kb < GROWTH_KB_MAX
    assert "fault of Anel" not in node.log, node.log[-3000:]


def mutate(chance: Random, frame: bytes) -> bytes:
    """Change, cut, repeat or insert a few bytes."""
    stream = bytearray(frame)
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(stream) + 1)
        match chance.randrange(4):
            case 0 if at < len(stream):
                stream[at] = chance.randrange(256)
            case 1:
                del stream[at : at + chance.randrange(1, 12)]
            case 2:
                stream[at:at] = stream[at : at + chance.randrange(1, 12)]
            case _:
                stream[at:at] = chance.randbytes(chance.randrange(1, 12))
    return bytes(stream)


def throw(address: Address, pieces: list[bytes]) -> None:
    """Send pieces on one connection; the node may close it at any of them."""
    with socket.create_connection(address, timeout=10) as connection:
        with suppress(ConnectionError):
            connection.sendall(b"".join(pieces))
            connection.shutdown(socket.SHUT_WR)
        connection.settimeout(5)
        with suppress(ConnectionError, TimeoutError):
            while connection.recv(1 << 16):
                pass


def test_the_redis_port(node: NodeProcess) -> None:
    chance = Random(1)
    before_kb = resident_kb(node)
    good = [
        b"*1\r\n$4\r\nPING\r\n",
        b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n",
        b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n",
        b"*4\r\n$4\r\nSCAN\r\n$1\r\n0\r\n$5\r\nCOUNT\r\n$2\r\n10\r\n",
        b"*3\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n",
        b"*5\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n$2\r\nEX\r\n$2\r\n10\r\n",
        b"PING inline\r\n",
        b"*1000000000\r\n$1\r\n",
        b"POST / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    ]
    for _ in range(RESP_FRAMES // 40):
        pieces = [chance.choice(good) for _ in range(40)]
        for index in range(chance.randrange(1, 4)):
            pieces[chance.randrange(index, 40)] = mutate(chance, chance.choice(good))
        pieces = [piece for piece in pieces if b"witness" not in piece]
        throw(node.address("resp"), pieces)
    check(node, before_kb)


def test_the_http_port(node: NodeProcess) -> None:
    chance = Random(2)
    before_kb = resident_kb(node)
    body = b'{"do": "create", "name": "shop", "replication": 9}'
    good = [
        b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path
        for path in (b"", b"healthz", b"status", b"ring", b"lookup?key=a", b"keyspaces")
    ] + [
        b"POST /keyspaces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    ]
    for _ in range(HTTP_FRAMES // 20):
        pieces = [chance.choice(good[1:2]) for _ in range(18)]
        pieces += [chance.choice(good), mutate(chance, chance.choice(good))]
        throw(node.address("http"), pieces)
    check(node, before_kb)


def messages_of(chance: Random) -> list[bytes]:
    """Give one message of each kind, as good as a stranger can make them."""
    key = bytes(16) + struct.pack(">Q", 1 << 63) + b"\0\1a"
    page = PageRequest(1, chance.random() < 0.5, 10, 1000, bytes(16), b"\xff" * 16)
    hot = [
        pack_mutate(1, 1, Origin.CLIENT, bytes(16) + struct.pack(">Qq", 1, 5) + b"\0\1a" + key),
        pack_mutate(1, 1, Origin.REPAIR, chance.randbytes(chance.randrange(200))),
        pack_read_row(2, 1, key),
        pack_read_page(3, page),
    ]
    bodies: list[object] = [
        {}, [], None, 0, "", b"", [[1, 2, 3]], {"a": 1}, [b"x" * 16, 1, [b"y" * 16, 7]],
        [0, 0, [], []], [b"a" * 16, 1 << 60, {}],
    ]  # fmt: skip
    control = [pack_control(kind, 4, chance.choice(bodies)) for kind in MessageType]
    replies = [
        pack_control(kind | 0x80, chance.randrange(50), chance.choice(bodies))
        for kind in MessageType
    ]
    return hot + control + replies


def test_the_port_between_nodes(node: NodeProcess) -> None:
    chance = Random(3)
    before_kb = resident_kb(node)
    address = node.address("internode")
    sent = 0
    generation = 0
    while sent < INTERNODE_MESSAGES:
        generation += 1
        hello = Hello(
            "process", b"", b"f" * 16, generation, chance.randbytes(8), "127.0.0.1", 1, 0, "x"
        )
        pieces = [encode_hello(hello)]
        for _ in range(20):
            messages = messages_of(chance)
            messages = [
                mutate(chance, message) if chance.random() < 0.6 else message
                for message in messages
            ]
            sent += len(messages)
            pieces.append(
                encode_frame(1, [message for message in messages if len(message) > 8])
            )
        match chance.randrange(4):
            case 0:
                pieces[-1] = mutate(chance, pieces[-1])
            case 1:
                pieces[0] = mutate(chance, pieces[0])
            case _:
                pass
        throw(address, pieces)
    check(node, before_kb)
