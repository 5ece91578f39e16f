"""News that still spreads by riding on other messages.

Each piece of news is sent a number of times that grows with the logarithm of the ring, fewest
sent first, then forgotten: digests carry it to whoever missed it.

Source: SWIM (DSN 2002), section 4.1; the retransmission factor is Lifeguard's implementation's.
"""

from anel.env import NodeId
from anel.membership.endpoint import News

SENDS_PER_LOG2 = 3  # SWIM's lambda: three rounds of log2(n) reach all but about 1 in n**3.
NEWS_PER_MESSAGE = 8  # Some 50 bytes each: a ping stays within one small packet.


class Rumours:
    """News to pass on, at most one piece per node: newer news replaces older."""

    __slots__ = ("_by_node",)

    def __init__(self) -> None:
        self._by_node: dict[NodeId, tuple[int, News]] = {}

    def __len__(self) -> int:
        """Count the news that still spreads."""
        return len(self._by_node)

    def spread(self, news: News) -> None:
        """Pass this on from now on."""
        self._by_node[news.node] = (0, news)

    def forget(self, node: NodeId) -> None:
        """Stop passing on news of a node."""
        self._by_node.pop(node, None)

    def take(self, members: int, count_max: int = NEWS_PER_MESSAGE) -> list[News]:
        """Choose what rides on the next message and count it as sent.

        Args:
            members: The size of the ring.
            count_max: How many pieces fit.
        """
        if not self._by_node:
            return []
        sends_max = SENDS_PER_LOG2 * members.bit_length()
        chosen = sorted(self._by_node.values(), key=lambda entry: (entry[0], entry[1].node))
        for sends, news in chosen[:count_max]:
            if sends + 1 >= sends_max:
                del self._by_node[news.node]
            else:
                self._by_node[news.node] = (sends + 1, news)
        return [news for _, news in chosen[:count_max]]
