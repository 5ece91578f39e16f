"""Spans of token space that one replica set holds, so that one page may cross them.

Neighbouring vnode ranges with the same replicas are one span: with three nodes and three copies
the whole ring is. In first-copy mode the order of the replicas matters too.
"""

from bisect import bisect_left
from typing import TypeAlias

from anel.coordinator.ports import RingPort
from anel.data.schema import Keyspace
from anel.data.token import TOKEN_MIN
from anel.env import NodeId
from anel.ring.token_map import TokenMap

Placement: TypeAlias = tuple[int, bool]
"""Replication factor, and whether the order of the replicas matters."""


class Spans:
    """Where replica sets change in the present ring, worked out once for each placement."""

    def __init__(self, ring: RingPort) -> None:
        self._ring = ring
        self._of: TokenMap | None = None
        self._ends: dict[Placement, list[int]] = {}

    def around(self, token: int, keyspace: Keyspace) -> tuple[int, int]:
        """Give the first and last token, both included, of the span that holds a token."""
        token_map = self._ring.token_map
        if self._of is not token_map:
            self._of = token_map
            self._ends = {}
        placement = (keyspace.replication_factor, keyspace.first_copy)
        ends = self._ends.get(placement)
        if ends is None:
            ends = self._ends[placement] = _ends(token_map, placement)
        index = bisect_left(ends, token)
        return (ends[index - 1] + 1 if index else TOKEN_MIN), ends[index]


def _ends(token_map: TokenMap, placement: Placement) -> list[int]:
    replication, is_ordered = placement
    ends: list[int] = []
    before: tuple[NodeId, ...] = ()
    for part in token_map.ranges(replication):
        replicas = part.replicas if is_ordered else tuple(sorted(part.replicas))
        if replicas == before:
            ends[-1] = part.end
        else:
            ends.append(part.end)
        before = replicas
    return ends
