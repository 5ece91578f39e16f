"""The replicas of a token in order: a walk around the ring from the token, clockwise.

    suc(k)     the first token at or after k; after the greatest comes the smallest
    copies     the first is at suc(k), the next at the tokens that follow, on distinct nodes

So r copies survive r - 1 failures. Where racks are given, a rack that holds a copy takes
another one only when there are more copies than racks. Pure functions of any key space:
signed 64 bits here, m = 5 or 8 in a book's figure, 160 bits in Chord. Liveness is no matter
of these functions.

Source: Chord (SIGCOMM 2001), section 4; Dynamo (SOSP 2007), section 4.3; racks as in
Cassandra's `NetworkTopologyStrategy`.
"""

from bisect import bisect_left
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

N = TypeVar("N", bound=Hashable)


def successor_index(tokens: Sequence[int], token: int) -> int:
    """Find suc(token) among sorted tokens: its index, 0 after the greatest."""
    index = bisect_left(tokens, token)
    return 0 if index == len(tokens) else index


def preference_list(
    owners: Sequence[N], first: int, count: int, rack_of: Callable[[N], Hashable] | None = None
) -> tuple[N, ...]:
    """List the replicas of the range that ends at the vnode with index `first`.

    Args:
        owners: The node of each vnode, in token order.
        first: Index of suc(k).
        count: Copies wanted, at least 1.
        rack_of: Gives a node's rack; None where racks do not matter.

    Returns:
        min(count, number of nodes) distinct nodes, in the order of the walk. The first is
        always the owner of vnode `first`.
    """
    if rack_of is None:
        return _distinct(owners, first, count)
    walk = _distinct(owners, first, len(owners))
    racks = dict.fromkeys(rack_of(node) for node in walk)
    repeats = max(0, min(count, len(walk)) - len(racks))
    chosen: list[N] = []
    used: dict[Hashable, bool] = {}
    for node in walk:
        if len(chosen) == count:
            break
        rack = rack_of(node)
        if rack in used:
            if repeats == 0:
                continue
            repeats -= 1
        used[rack] = True
        chosen.append(node)
    return tuple(chosen)


def _distinct(owners: Sequence[N], first: int, count: int) -> tuple[N, ...]:
    found: dict[N, bool] = {}
    size = len(owners)
    for step in range(size):
        found[owners[(first + step) % size]] = True
        if len(found) == count:
            break
    return tuple(found)
