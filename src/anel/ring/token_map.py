"""Which nodes hold a token: the ring of one view, ready to be asked on the hot path.

A token map is immutable; a new epoch makes a new one. For each replication asked for, the
replica list of every token range is worked out once; after that a look-up is a bisection and
an index.
"""

from bisect import bisect_left
from typing import NamedTuple, TypeAlias

from anel.data.token import TOKEN_MAX, TOKEN_MIN, leaf_of
from anel.env import NodeId
from anel.limits import LEAVES
from anel.ring.preference_list import preference_list
from anel.ring.ring_view import RingView

Replication: TypeAlias = int
"""How copies are placed: the number of them. Anything hashable may follow (per datacenter)."""


class TokenRange(NamedTuple):
    """The tokens after `start` up to and including `end`, and who holds them; never wraps.

    Attributes:
        start: Exclusive; TOKEN_MIN - 1 where the range begins with the smallest token.
        end: Inclusive.
        replicas: In preference order.
    """

    start: int
    end: int
    replicas: tuple[NodeId, ...]

    @property
    def leaves(self) -> range:
        """The indexes of the leaves that the range consists of."""
        return range(leaf_of(self.start + 1), leaf_of(self.end) + 1)


class TokenMap:
    """Replicas and ranges of one ring view."""

    def __init__(self, view: RingView) -> None:
        vnodes = sorted(
            (token, member.node) for member in view.members for token in member.tokens
        )
        self.tokens: tuple[int, ...] = tuple(token for token, _ in vnodes)
        self.owners: tuple[NodeId, ...] = tuple(node for _, node in vnodes)
        self.nodes: tuple[NodeId, ...] = tuple(member.node for member in view.members)
        self._racks = {member.node: member.location for member in view.members}
        self._lists: dict[Replication, list[tuple[NodeId, ...]]] = {}

    def replicas(self, token: int, replication: Replication) -> tuple[NodeId, ...]:
        """List the replicas of a token, the first copy first.

        There are min(replication, nodes) of them, all distinct, in clockwise order.
        """
        lists = self._lists.get(replication)
        if lists is None:
            lists = self._place(replication)
        return lists[bisect_left(self.tokens, token)]

    def ranges(self, replication: Replication) -> list[TokenRange]:
        """Cut all of token space into ranges with one replica list each, in token order.

        The range that wraps is given as its two ends. Neighbouring ranges may have equal lists.
        """
        lists = self._lists.get(replication)
        if lists is None:
            lists = self._place(replication)
        ends = (*self.tokens, TOKEN_MAX) if self.tokens[-1] < TOKEN_MAX else self.tokens
        starts = (TOKEN_MIN - 1, *ends)
        return [
            TokenRange(start, end, lists[index])
            for index, (start, end) in enumerate(zip(starts, ends, strict=False))
        ]

    def ranges_of(self, node: NodeId, replication: Replication) -> list[TokenRange]:
        """List the ranges that a node holds a copy of."""
        return [part for part in self.ranges(replication) if node in part.replicas]

    def share(self, node: NodeId, replication: Replication = 1) -> float:
        """Tell which part of all keys a node holds a copy of: 0 to 1."""
        return sum(len(part.leaves) for part in self.ranges_of(node, replication)) / LEAVES

    def _place(self, replication: Replication) -> list[tuple[NodeId, ...]]:
        assert replication >= 1
        assert self.tokens
        first_rack = self._racks[self.nodes[0]]
        spread = any(rack != first_rack for rack in self._racks.values())
        rack_of = self._racks.__getitem__ if spread else None
        lists = [
            preference_list(self.owners, index, replication, rack_of)
            for index in range(len(self.tokens))
        ]
        lists.append(lists[0])  # Past the greatest token comes the smallest.
        self._lists[replication] = lists
        return lists
