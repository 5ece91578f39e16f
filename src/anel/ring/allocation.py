"""Which tokens a node takes, so that every node holds about the same share of the keys.

    all at once    as many equal pieces of token space as there are vnodes; the nodes take them
                   round by round, each round in another order and direction, so that a node has
                   different neighbours each time and its load spreads over many when it dies
    one joins      it cuts pieces off large ranges of the nodes that hold most, where the copies
                   end up spread most evenly

Tokens are ends of leaves (CORRECTNESS 7). Nothing is drawn at random: all nodes agree.

Source: Dynamo (SOSP 2007), section 6.2 (why equal pieces); Cassandra's
`allocate_tokens_for_local_replication_factor` has the same aim.
"""

from collections.abc import Sequence
from heapq import nlargest
from typing import TypeAlias

from anel.data.token import is_leaf_end, leaf_end, leaf_of, leaves_between
from anel.env import NodeId
from anel.errors import ConfigurationError
from anel.limits import LEAVES, NODES_MAX
from anel.ring.preference_list import preference_list
from anel.ring.ring_view import RingView

Vnode: TypeAlias = tuple[int, NodeId]
"""A token and the node whose vnode ends there."""

_CANDIDATES = 8  # Ranges weighed against each other for each vnode of a joiner.
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
    # A zigzag 0, 1, -1, 2, -2, ... turned by each shift in its turn: over an even number of
    # nodes no node then follows another twice before it has followed all (Williams's squares).
    zigzag = [(place + 1) // 2 if place % 2 else -(place // 2) for place in range(count)]
    owners: list[int] = []
    uses = [0] * count
    for round_number in range(vnodes):
        order = zigzag[::-1] if count % 2 and round_number % 2 else zigzag
        shift = _best_shift(owners[-_NEAR:], order, uses)
        uses[shift] += 1
        owners += [(place + shift) % count for place in order]
    return owners


def _best_shift(before: Sequence[int], order: Sequence[int], uses: Sequence[int]) -> int:
    # Of the shifts used least, the one where no node comes too soon after its last vnode.
    count = len(order)

    def closeness(shift: int) -> int:
        return sum(
            (_NEAR - place - distance) ** 2
            for place, node in enumerate(order[:_NEAR])
            for distance, other in enumerate(reversed(before))
            if place + distance < _NEAR and other == (node + shift) % count
        )

    return min(range(count), key=lambda shift: (uses[shift], closeness(shift)))


def tokens_for_joiner(view: RingView, vnodes: int) -> list[int]:
    """Choose the tokens of a node that joins a ring.

    Raises:
        ConfigurationError: The ring is so finely divided that no range can be cut.

    Cost:
        O(vnodes * V) for V vnodes in the ring: some 0.1 s for 20 nodes, 1 s for 500. Once.
    """
    ring = [(token, member.node) for member in view.members for token in member.tokens]
    ring.sort()
    held = _leaves_held(ring)
    target = LEAVES // (len(view.members) + 1)
    newcomer = NodeId(b"")
    tokens: list[int] = []
    for vnode in range(vnodes):
        size = max(1, (target - held.get(newcomer, 0)) // (vnodes - vnode))
        cuts = [_cut(ring, index, size) for index in _ranges_to_cut(ring, held, newcomer)]
        token = min(cuts, key=lambda cut: _unevenness(sorted([*ring, (cut, newcomer)])))
        tokens.append(token)
        ring = sorted([*ring, (token, newcomer)])
        held = _leaves_held(ring)
    return sorted(tokens)


def _leaves_held(ring: Sequence[Vnode]) -> dict[NodeId, int]:
    held: dict[NodeId, int] = {}
    for index, (token, node) in enumerate(ring):
        held[node] = held.get(node, 0) + leaves_between(ring[index - 1][0], token)
    return held


def _ranges_to_cut(
    ring: Sequence[Vnode], held: dict[NodeId, int], newcomer: NodeId
) -> list[int]:
    # The largest ranges of the nodes that hold most; the first to be considered first.
    def worth(index: int) -> tuple[int, int, int]:
        token, node = ring[index]
        return held[node], leaves_between(ring[index - 1][0], token), -index

    found = [
        index
        for index, (token, node) in enumerate(ring)
        if node != newcomer and leaves_between(ring[index - 1][0], token) > 1
    ]
    if not found:
        raise ConfigurationError("every range of the ring is one leaf: it takes no more vnodes")
    return nlargest(_CANDIDATES, found, key=worth)


def _cut(ring: Sequence[Vnode], index: int, size: int) -> int:
    # The token that gives the newcomer the first leaves of a range, and leaves its owner one.
    start, end = ring[index - 1][0], ring[index][0]
    return leaf_end((leaf_of(start) + min(size, leaves_between(start, end) - 1)) % LEAVES)


def _unevenness(ring: Sequence[Vnode]) -> int:
    # Squares of what each node holds, summed over one to three copies.
    owners = [node for _, node in ring]
    held: list[dict[NodeId, int]] = [{}, {}, {}]
    for index, (token, _) in enumerate(ring):
        size = leaves_between(ring[index - 1][0], token)
        walk = preference_list(owners, index, len(held))
        for copies, of_each in enumerate(held, 1):
            for node in walk[:copies]:
                of_each[node] = of_each.get(node, 0) + size
    return sum(leaves * leaves for of_each in held for leaves in of_each.values())


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
