"""One state of the ring: who its members are and which tokens they hold, under one epoch.

Every data message carries the sender's epoch, and a replica at another epoch does nothing. A
view is immutable; a join makes a new one with the next epoch. Equal views have equal bytes,
hence equal digests, on every node.
"""

from hashlib import blake2b
from typing import NamedTuple

import msgspec

from anel.env import Address, NodeId
from anel.errors import ConfigurationError, CorruptData, UnknownFormat
from anel.limits import NODES_MAX

FORMAT = 1  # On disk and between nodes since format 1: never renumber.
RING_ID_SIZE = 16


class Location(NamedTuple):
    """Where a node stands: replicas spread over racks of a datacenter."""

    datacenter: str = "datacenter1"
    rack: str = "rack1"


class Member(msgspec.Struct, frozen=True, array_like=True):
    """One node of the ring.

    Attributes:
        node: Its id.
        address: Where it listened when it joined; gossip knows where it listens now.
        location: Its datacenter and rack.
        tokens: The tokens at which its vnodes end, in order.
    """

    node: NodeId
    address: Address
    location: Location
    tokens: tuple[int, ...]


class RingView(msgspec.Struct, frozen=True, array_like=True):
    """The members of one epoch. Make it with `ring_view`, which puts members in order.

    Attributes:
        ring_id: Drawn when the ring was formed: tells two rings of one cluster name apart.
        epoch: Grows by one with each change of members; the first is 1.
        members: In order of node id.
    """

    ring_id: bytes
    epoch: int
    members: tuple[Member, ...]

    def member(self, node: NodeId) -> Member | None:
        """Find a member by node id."""
        return next((member for member in self.members if member.node == node), None)

    def holder(self, token: int) -> Member | None:
        """Find the member that holds exactly this token."""
        return next((member for member in self.members if token in member.tokens), None)

    def joined_by(self, newcomer: Member) -> "RingView":
        """Give the next epoch's view, with one member more."""
        return ring_view(self.ring_id, self.epoch + 1, (*self.members, newcomer))

    def digest(self) -> bytes:
        """Give 16 bytes that are equal exactly when two views are."""
        return blake2b(encode(self), digest_size=16).digest()


def ring_view(ring_id: bytes, epoch: int, members: tuple[Member, ...]) -> RingView:
    """Make a view, its members in order of node id and their tokens in order.

    Raises:
        ConfigurationError: Two members share an id or a token, one holds none, or there are
            more than NODES_MAX.
    """
    ordered = sorted(members, key=lambda member: member.node)
    view = RingView(
        ring_id,
        epoch,
        tuple(msgspec.structs.replace(m, tokens=tuple(sorted(m.tokens))) for m in ordered),
    )
    flaw = _flaw(view)
    if flaw:
        raise ConfigurationError(flaw)
    return view


def _flaw(view: RingView) -> str:
    if len(view.members) > NODES_MAX:
        return f"a ring has at most {NODES_MAX} nodes"
    ids = [member.node for member in view.members]
    if len(dict.fromkeys(ids)) < len(ids):
        return (
            "two nodes of the ring have one node id; each node needs a data folder of its own"
        )
    taken: dict[int, NodeId] = {}
    for member in view.members:
        if not member.tokens:
            return f"node {member.node.hex()} holds no token"
        for token in member.tokens:
            if token in taken:
                return f"token {token} is taken twice; change `tokens` of one of the nodes"
            taken[token] = member.node
    return ""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(RingView)


def encode(view: RingView) -> bytes:
    """Write a view as canonical bytes, the format number first."""
    return bytes((FORMAT,)) + _encoder.encode(view)


def decode(data: bytes) -> RingView:
    """Read a view.

    Raises:
        UnknownFormat: A newer release wrote it.
        CorruptData: The bytes are not a view, or not a consistent one.
    """
    if data[:1] != bytes((FORMAT,)):
        raise UnknownFormat(
            f"ring format {data[0] if data else 'none'} is unknown; this release reads format "
            f"{FORMAT}: start the release that wrote it"
        )
    try:
        view = _decoder.decode(data[1:])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptData(f"ring view cannot be read: {error}") from error
    flaw = _flaw(view)
    if flaw:
        raise CorruptData(f"ring view is not consistent: {flaw}")
    return view
