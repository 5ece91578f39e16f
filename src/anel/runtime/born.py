"""The ring that a node's settings say it is born into."""

from hashlib import blake2b

import msgspec

from anel.config import NodeConfig
from anel.ring.ring_view import RING_ID_SIZE, Location, Member, RingView, ring_view

_EPOCH = 1


def initial_ring(config: NodeConfig) -> RingView | None:
    """Give the first ring view, equal on every node whose settings list the same members.

    The ring's id is derived from them and the cluster's name: nobody is there yet to draw one.
    """
    if not config.initial_ring:
        return None
    members = tuple(
        Member(
            member.id,
            member.endpoint,
            Location(member.datacenter, member.rack),
            tuple(member.tokens),
        )
        for member in config.initial_ring
    )
    unnamed = ring_view(bytes(RING_ID_SIZE), _EPOCH, members)
    told = msgspec.msgpack.encode((config.cluster_name, unnamed))
    return ring_view(blake2b(told, digest_size=RING_ID_SIZE).digest(), _EPOCH, members)
