"""The first bytes of every link between nodes: who speaks, for which ring, in which format.

The node that dials says hello first; the other answers with its own hello or with a refusal
that says why, and closes. Only then do frames follow, one way, from the dialling node::

    greeting = "ANEL" format(1) kind(1) length(2) msgpack       kind: 0 hello, 1 refusal

The eight bytes before the msgpack never change, so that any release can read another's refusal.
"""

from enum import IntEnum
from struct import Struct

import msgspec

from anel.env import Address
from anel.errors import PeerRefused, RemoteProtocolError
from anel.limits import CLOCK_DRIFT_MS_MAX

MAGIC = b"ANEL"
FORMAT = 1  # Of frames, messages and hellos. On the wire between nodes.
GREETING_BYTES_MAX = 2048  # A hello has some 150 bytes; names are bounded by the configuration.
_HEAD = Struct(">4sBBH")
_REASON_CHARACTERS_MAX = 500


class _Kind(IntEnum):
    """On the wire between nodes since format 1: never renumber."""

    HELLO = 0
    REFUSAL = 1


class Hello(msgspec.Struct, frozen=True):
    """What a node says of itself.

    Attributes:
        cluster_name: Rings of different names never talk.
        ring_id: The ring it belongs to; empty before it has joined one.
        node_id: Its 16 bytes for life.
        generation: Which start of this node it is, counted from 1.
        process: Eight random bytes drawn at the start: tells a node from one that uses its id.
        host: Where others reach it.
        port: Where others reach it.
        clock_us: Its hybrid clock.
        release: Anel's version, for people.
    """

    cluster_name: str
    ring_id: bytes
    node_id: bytes
    generation: int
    process: bytes
    host: str
    port: int
    clock_us: int
    release: str

    @property
    def address(self) -> Address:
        """Where others reach it."""
        return (self.host, self.port)


class Refusal(msgspec.Struct, frozen=True):
    """Why a node will not talk.

    Attributes:
        reason: A sentence for people.
        own: The node has reached itself: nothing is wrong, and nothing is worth a log line.
    """

    reason: str
    own: bool = False


def encode_hello(hello: Hello) -> bytes:
    """Build a hello."""
    return _encode(_Kind.HELLO, msgspec.msgpack.encode(hello))


def encode_refusal(refusal: Refusal) -> bytes:
    """Build a refusal; a long reason is shortened."""
    short = Refusal(refusal.reason[:_REASON_CHARACTERS_MAX], refusal.own)
    return _encode(_Kind.REFUSAL, msgspec.msgpack.encode(short))


class GreetingDecoder:
    """Read one greeting from the bytes of a link, however they are cut."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = b""

    def receive(self, data: bytes) -> tuple[Hello | Refusal, bytes] | None:
        """Take what the socket gave.

        Returns:
            None while the greeting is not whole; then the greeting and the bytes after it.

        Raises:
            PeerRefused: It speaks another format.
            RemoteProtocolError: It is no node of Anel.
        """
        buffer = self._buffer + data
        self._buffer = buffer
        head = buffer[: _HEAD.size]
        if head[:4] != MAGIC[: len(head)]:
            raise RemoteProtocolError(f"not a node of Anel: it begins with {head[:4]!r}")
        if len(head) < _HEAD.size:
            return None
        _, version, kind, length = _HEAD.unpack(head)
        if kind == _Kind.HELLO and version != FORMAT:
            raise PeerRefused(
                f"the peer speaks format {version} between nodes, this release ({FORMAT}) does "
                "not; run releases that share a format, upgrading node by node"
            )
        if length > GREETING_BYTES_MAX:
            raise RemoteProtocolError(f"a greeting of {length} bytes is longer than any")
        end = _HEAD.size + length
        if len(buffer) < end:
            return None
        self._buffer = b""
        return _decode(kind, buffer[_HEAD.size : end]), buffer[end:]


def check_hello(own: Hello, peer: Hello) -> None:
    """Tell whether two nodes may talk; both sides ask.

    Raises:
        PeerRefused: They may not; the message says why and what to do.
    """
    if peer.cluster_name != own.cluster_name:
        raise PeerRefused(
            f"wrong cluster: this node belongs to {own.cluster_name!r}, the peer at "
            f"{_at(peer)} to {peer.cluster_name!r}; check cluster_name and seeds of both"
        )
    if peer.node_id == own.node_id:
        raise PeerRefused(
            f"duplicate id: another process at {_at(peer)} uses this node's id "
            f"{own.node_id.hex()}; give each node a data folder of its own, never a copy"
        )
    if own.ring_id and peer.ring_id and own.ring_id != peer.ring_id:
        raise PeerRefused(
            f"another ring: the peer at {_at(peer)} belongs to a ring of the same name that "
            "began separately; start one of them anew with the other's addresses as seeds"
        )
    ahead_ms = (peer.clock_us - own.clock_us) // 1000
    if ahead_ms > CLOCK_DRIFT_MS_MAX:
        raise PeerRefused(
            f"clocks differ: the peer at {_at(peer)} is {ahead_ms} ms ahead, allowed are "
            f"{CLOCK_DRIFT_MS_MAX}; set both machines' clocks (NTP)"
        )


def is_own(own: Hello, peer: Hello) -> bool:
    """Tell whether a node has dialled itself, as happens when it is its own seed."""
    return peer.node_id == own.node_id and peer.process == own.process


def _at(hello: Hello) -> str:
    return f"{hello.host}:{hello.port}"


def _encode(kind: _Kind, body: bytes) -> bytes:
    assert len(body) <= GREETING_BYTES_MAX, "the configuration bounds names"
    return _HEAD.pack(MAGIC, FORMAT, kind, len(body)) + body


def _decode(kind: int, body: bytes) -> Hello | Refusal:
    try:
        if kind == _Kind.HELLO:
            hello = msgspec.msgpack.decode(body, type=Hello)
            if len(hello.node_id) != 16 or not 0 < hello.port < 65536:
                raise RemoteProtocolError("a hello with an impossible node id or port")
            return hello
        if kind == _Kind.REFUSAL:
            return msgspec.msgpack.decode(body, type=Refusal)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RemoteProtocolError(f"a greeting that cannot be read: {error}") from error
    raise RemoteProtocolError(f"a greeting of unknown kind {kind}")
