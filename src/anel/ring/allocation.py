"""Which tokens a node takes, so that every node holds about the same share of the keys.

    all at once    as many equal pieces of token space as there are vnodes; the nodes take them
                   round by round, each round in another order and direction, so that a node has
                   different neighbours each time and its load spreads over many when it dies
    one joins      it cuts a piece off the largest ranges of the nodes that hold most

Tokens are ends of leaves (CORRECTNESS 7). Nothing is drawn at random: all nodes agree.

Source: Dynamo (SOSP 2007), section 6.2 (why equal pieces); Cassandra's
`allocate_tokens_for_local_replication_factor` has the same aim.
"""

from collections.abc import Sequence
from math import gcd

from anel.data.token import is_leaf_end, leaf_end, leaf_of, leaves_between
from anel.env import NodeId
from anel.errors import ConfigurationError
from anel.limits import LEAVES, NODES_MAX
from anel.ring.ring_view import RingView

_NEAR = 4  # Owners this close before a place count: replica lists are seldom longer.


def initial_tokens(count: int, vnodes: int) -> list[list[int]]:
    """Give each of `count` nodes its tokens when all are placed together.

    Raises:
        ConfigurationError: There would be more vnodes than leaves to divide.
    """
    pieces = count * vnodes
    if not 1 <= count <= NODES_MAX or vnodes < 1 or pieces > LEAVES:
        raise ConfigurationError(
            f"{count} nodes of {vnodes} vnodes cannot be placed: 1 to {NODES_MAX} nodes and at "
            f"most {LEAVES} vnodes in all"
        )
    tokens: list[list[int]] = [[] for _ in range(count)]
    for piece, node in enumerate(_rounds(count, vnodes)):
        tokens[node].append(leaf_end((piece + 1) * LEAVES // pieces - 1))
    return tokens


def _rounds(count: int, vnodes: int) -> list[int]:
    strides = [stride for stride in range(1, count) if gcd(stride, count) == 1] or [1]
    owners: list[int] = []
    for round_number in range(vnodes):
        # Alternating from both ends of the list, strides differ most from round to round.
        half, odd = divmod(round_number % len(strides), 2)
        stride = strides[-1 - half if odd else half]
        first = _best_first(owners[-_NEAR:], count, stride)
        owners += [(first + place * stride) % count for place in range(count)]
    return owners


def _best_first(before: Sequence[int], count: int, stride: int) -> int:
    # Where a round begins such that no node comes too soon after its last vnode.
    def closeness(first: int) -> int:
        return sum(
            (_NEAR - place - distance) ** 2
            for place in range(min(_NEAR, count))
            for distance, node in enumerate(reversed(before))
            if place + distance < _NEAR and node == (first + place * stride) % count
        )

    return min(range(count), key=closeness)


def tokens_for_joiner(view: RingView, vnodes: int) -> list[int]:
    """Choose the tokens of a node that joins a ring.

    Raises:
        ConfigurationError: The ring is so finely divided that no range can be cut.
    """
    ring = [(token, member.node) for member in view.members for token in member.tokens]
    ring.sort()
    held = _leaves_held(ring)
    target = LEAVES // (len(view.members) + 1)
    tokens: list[int] = []
    newcomer = NodeId(b"")
    for vnode in range(vnodes):
        wanted = max(1, (target - held.get(newcomer, 0)) // (vnodes - vnode))
        index = _range_to_cut(ring, held, newcomer)
        start, (end, giver) = ring[index - 1][0], ring[index]
        size = min(wanted, leaves_between(start, end) - 1)
        token = leaf_end((leaf_of(start) + size) % LEAVES)
        tokens.append(token)
        ring.insert(index, (token, newcomer))
        ring.sort()
        held[giver] -= size
        held[newcomer] = held.get(newcomer, 0) + size
    return sorted(tokens)


def _leaves_held(ring: Sequence[tuple[int, NodeId]]) -> dict[NodeId, int]:
    held: dict[NodeId, int] = {}
    for index, (token, node) in enumerate(ring):
        held[node] = held.get(node, 0) + leaves_between(ring[index - 1][0], token)
    return held


def _range_to_cut(
    ring: Sequence[tuple[int, NodeId]], held: dict[NodeId, int], newcomer: NodeId
) -> int:
    # Of the node that holds most, the largest range, rather not beside the newcomer's own.
    def worth(index: int) -> tuple[bool, int, bool, int, int]:
        token, node = ring[index]
        size = leaves_between(ring[index - 1][0], token)
        beside = newcomer in (ring[index - 1][1], ring[(index + 1) % len(ring)][1])
        return (size > 1, held[node], not beside, size, -index)

    candidates = [index for index in range(len(ring)) if ring[index][1] != newcomer]
    best = max(candidates, key=worth)
    if leaves_between(ring[best - 1][0], ring[best][0]) < 2:
        raise ConfigurationError("every range of the ring is one leaf: it takes no more vnodes")
    return best


def check_tokens(tokens: Sequence[int]) -> None:
    """Refuse tokens of a configuration that cannot be a node's.

    Raises:
        ConfigurationError: One is repeated or is not the end of a leaf.
    """
    if len(dict.fromkeys(tokens)) < len(tokens):
        raise ConfigurationError("tokens: one is given twice")
    for token in tokens:
        if not is_leaf_end(token):
            near = leaf_end(min(max(leaf_of(token), 0), LEAVES - 1))
            raise ConfigurationError(
                f"tokens: {token} is not the end of a leaf; the nearest above is {near}"
            )
