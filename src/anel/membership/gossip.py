"""Endpoint states spread by comparing digests: what I know, what you lack, what I lack.

    turn 0   A -> B   digests                        some of what A knows, its own first
    turn 1   B -> A   deltas A lacks, digests where A knows more
    turn 2   A -> B   deltas B lacks

Messages stand alone: none waits for another, and losing any costs one period. Full digests of a
ring are O(n) a message and O(n^2) a period, so a message carries a bounded number of them and
the rest take their turn in the next.

Source: van Renesse et al., "Efficient Reconciliation and Flow Control for Anti-Entropy
Protocols" (LADIS 2008), as in Cassandra.
"""

from typing import Annotated

from msgspec import Meta, Struct

from anel.env import NodeId
from anel.membership.endpoint import (
    STATES_MAX,
    Counter,
    Endpoint,
    News,
    NodeBytes,
    Standing,
    StateName,
    StateValue,
)

DIGESTS_MAX = 64  # About 35 bytes each: 2 kB a message whatever the size of the ring.
DELTAS_MAX = 64
DELTA_BYTES_TARGET = 64 * 1024  # Later deltas wait for the next message.
LAST_TURN = 2


class Digest(Struct, array_like=True, frozen=True, gc=False):
    """How much the sender knows of one node."""

    node: NodeBytes
    generation: Counter
    incarnation: Counter
    standing: Standing
    version: Counter

    @property
    def news(self) -> News:
        """The node's standing as hearsay."""
        return News(self.node, self.generation, self.incarnation, self.standing)


class Delta(Struct, array_like=True, frozen=True):
    """States of one node that changed after version `since`, up to `version`.

    With `since` 0 it holds all of them and replaces whatever was known.
    """

    node: NodeBytes
    generation: Counter
    since: Counter
    version: Counter
    states: Annotated[
        dict[StateName, tuple[Counter, StateValue]],
        Meta(max_length=STATES_MAX),
    ]


class Gossip(Struct, array_like=True, frozen=True):
    """One gossip message."""

    turn: Annotated[int, Meta(ge=0, le=LAST_TURN)]
    digests: Annotated[list[Digest], Meta(max_length=DIGESTS_MAX)]
    deltas: Annotated[list[Delta], Meta(max_length=DELTAS_MAX)]
    news: Annotated[list[News], Meta(max_length=DIGESTS_MAX)]


class DigestTurn:
    """Chooses whose digests go into the next message, so that everyone's turn comes."""

    __slots__ = ("_at",)

    def __init__(self) -> None:
        self._at = 0

    def choose(self, own: Endpoint, others: list[Endpoint]) -> list[Digest]:
        """List the node's own digest and as many others as fit, going round."""
        room = min(DIGESTS_MAX - 1, len(others))
        chosen = [digest_of(own)]
        chosen += [digest_of(others[(self._at + step) % len(others)]) for step in range(room)]
        if others:
            self._at = (self._at + room) % len(others)
        return chosen


def digest_of(endpoint: Endpoint) -> Digest:
    """Sum up what is known of one node."""
    return Digest(
        endpoint.node,
        endpoint.generation,
        endpoint.incarnation,
        endpoint.standing,
        endpoint.version,
    )


def answer(gossip: Gossip, known: dict[NodeId, Endpoint]) -> tuple[list[Digest], list[Delta]]:
    """Find what the sender of some digests lacks, and where it knows more.

    Args:
        gossip: What came.
        known: All members, this node too.

    Returns:
        Digests to send back, which ask for deltas or carry newer standing, and deltas to send.
        Both are empty when there is nothing to say.
    """
    digests = []
    deltas = []
    size = 0
    for digest in gossip.digests:
        endpoint = known.get(digest.node)
        if endpoint is None:
            continue
        ours = (endpoint.generation, endpoint.version)
        theirs = (digest.generation, digest.version)
        if theirs > ours or endpoint.rank > digest.news.rank:
            digests.append(digest_of(endpoint))
        if ours > theirs and size < DELTA_BYTES_TARGET and endpoint.version:
            delta = delta_since(endpoint, digest)
            size += _size_of(delta)
            deltas.append(delta)
    return digests, deltas


def delta_since(endpoint: Endpoint, digest: Digest) -> Delta:
    """List an endpoint's states that changed after what a digest knows."""
    since = digest.version if digest.generation == endpoint.generation else 0
    states = {
        name: (version, endpoint.states[name])
        for name, version in endpoint.versions.items()
        if version > since
    }
    return Delta(endpoint.node, endpoint.generation, since, endpoint.version, states)


def merge_delta(endpoint: Endpoint, delta: Delta) -> list[str]:
    """Take over states newer than those known; list the names of those that changed.

    A delta that builds on a version not yet known here is left for a later one, which will
    build on what is known.
    """
    is_newer = delta.generation == endpoint.generation and delta.version > endpoint.version
    if not is_newer or delta.since > endpoint.version:
        return []
    changed = []
    if delta.since == 0:
        changed = [name for name in endpoint.states if name not in delta.states]
        for name in changed:
            del endpoint.states[name]
            endpoint.versions.pop(name, None)
    for name, (version, value) in delta.states.items():
        if len(endpoint.states) >= STATES_MAX and name not in endpoint.states:
            continue  # Never from a well-behaved node, whose own bound is the same.
        if endpoint.states.get(name) != value:
            changed.append(name)
        endpoint.states[name] = value
        endpoint.versions[name] = version
    endpoint.version = delta.version
    return changed


def _size_of(delta: Delta) -> int:
    return 64 + sum(
        16 + len(name) + (len(value) if isinstance(value, str) else 8)
        for name, (_, value) in delta.states.items()
    )
