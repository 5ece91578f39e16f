"""Valid frames of all three ports: what the mutated ones are made from."""

import itertools
import time
from collections.abc import Callable, Mapping

import pytest

import anel.testing
from anel.env import NodeId
from anel.internode.messages import REPLY, MessageType, pack_control
from anel.node.node import Node
from anel.node.replication_change import Freeze
from anel.ring.join_messages import Decision, Prepare, Step
from anel.ring.ring_view import Location, Member, encode
from anel.testing.local_ring import LocalRing
from tests.process.waiting import wait_until
from tests.process.wire import Wire
from tests.process.wire import encode as command

COMMANDS = (
    b"PING|HELLO 3|HELLO 2|ECHO x|SELECT 0|RESET|CLIENT ID|CLIENT SETNAME me|CLIENT LIST"
    b"|COMMAND|COMMAND COUNT|COMMAND DOCS get|COMMAND INFO get set|INFO|CONFIG GET *|SET k v"
    b"|GET k|SET k v EX 100|SET k v PX 5000|SETEX k 10 v|PSETEX k 10000 v|MGET a b {c}1 {c}2"
    b"|MSET a 1 b 2|DEL a b|UNLINK a|EXISTS a b|TYPE k|STRLEN k|EXPIRE k 100|PEXPIRE k 1000"
    b"|EXPIREAT k 2000000000|TTL k|PTTL k|KEYS *|KEYS [a-z]?*|SCAN 0|SCAN 0 MATCH k* COUNT 5"
    b"|DBSIZE|FLUSHDB|FLUSHALL|QUIT|INCR k|MULTI|EXEC|SET k v NX|POST / HTTP/1.1|NOSUCH a b c"
)


def of_resp() -> list[bytes]:
    """Commands as arrays, some inline, and one large value."""
    lines = COMMANDS.split(b"|")
    frames = [command(line.split()) for line in lines]
    frames += [line + b"\r\n" for line in lines[:12]] + [b'SET "a key" "v\\x00"\r\n']
    frames.append(command([b"SET", b"large", bytes(20_000)]))
    frames.append(b"".join(frames[:20]))
    return frames


def of_http(port: int) -> list[bytes]:
    """Requests of every endpoint, right and refused."""
    host = b"Host: 127.0.0.1:%d\r\n" % port
    paths = b"/|/healthz|/status|/ring|/lookup?key=a|/lookup?key=0x00ff|/metrics|/keyspaces|/no"
    frames = [b"GET %s HTTP/1.1\r\n%s\r\n" % (path, host) for path in paths.split(b"|")]
    frames.append(b"HEAD / HTTP/1.0\r\n%sConnection: keep-alive\r\n\r\n" % host)
    for body in (
        b'{"do":"create","name":"shop","replication":1}',
        b'{"do":"alter","name":"shop","first_copy":true}',
        b'{"do":"drop","name":"shop"}',
    ):
        head = host + b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body)
        frames.append(b"POST /keyspaces HTTP/1.1\r\n%s\r\n%s" % (head, body))
    chunked = b"Transfer-Encoding: chunked\r\n"
    frames.append(b"POST /keyspaces HTTP/1.1\r\n%s%s\r\n2\r\n{}\r\n0\r\n\r\n" % (host, chunked))
    frames.append(b"GET / HTTP/1.1\r\n%sUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n" % host)
    frames.append(b"".join(frames[:6]))
    return frames


def of_nodes(monkeypatch: pytest.MonkeyPatch) -> tuple[list[bytes], list[bytes]]:
    """Record what the nodes of a ring say to each other, some of every kind.

    Returns:
        The messages, and the ids in them (the ring's, then the nodes'), to be replaced.
    """
    recorded: dict[int, dict[bytes, None]] = {}
    receive = Node.receive

    def listen(self: Node, peer: NodeId, message: bytes) -> None:
        kept = recorded.setdefault(message[0], {})
        if len(kept) < 40:
            kept[message] = None
        receive(self, peer, message)

    with monkeypatch.context() as patched:
        patched.setattr(Node, "receive", listen)
        with anel.testing.cluster(3, store="memory") as ring:
            _have_them_talk(ring, lambda: recorded)
            view = ring.nodes[0].server.node.ring.view
    newcomer = Member(
        NodeId(bytes(range(16))), ("127.0.0.1", 7009), Location("dc1", "rack1"), (5 << 50,)
    )
    join = bytes(16)
    for kind, body in (
        (MessageType.RING_PREPARE, Prepare(join, view.ring_id, view.epoch, newcomer)),
        (MessageType.RING_COMMIT, Decision(join, Step.COMMIT, encode(view))),
        (MessageType.RING_COMMIT, Decision(join, Step.DOUBT)),
        (MessageType.FREEZE, Freeze(join, "redis")),
        (MessageType.RING_PULL, None),
    ):
        recorded.setdefault(kind, {})[pack_control(kind, 7, body)] = None
    messages = list(itertools.chain.from_iterable(recorded.values()))
    return messages, [view.ring_id, *(member.node for member in view.members)]


def _have_them_talk(ring: LocalRing, recorded: Callable[[], Mapping[int, object]]) -> None:
    with Wire(ring.nodes[0].address()) as wire:
        for k in range(60):
            wire.ask(b"SET", b"k%d" % k, b"v" * k)
            wire.ask(b"GET", b"k%d" % k)
        wire.ask(b"SCAN", b"0")
        wire.ask(b"DEL", b"k1")
        ring.create_keyspace("shop", replication=2)
        ring.nodes[1].kill()
        for k in range(20):
            wire.ask(b"SET", b"k%d" % k, b"w")
        ring.nodes[1].start()
        wanted = (MessageType.LEAVES, MessageType.LEAVES | REPLY, MessageType.PING)
        wait_until(lambda: all(kind in recorded() for kind in wanted), within_ms=30_000)
        ring.empty()


def now_us() -> int:
    """Give what a node's clock would say."""
    return time.time_ns() // 1000
