"""One question to one or several nodes, its replies gathered until all are in or time is up.

For control messages; hot paths have their own pending objects.
"""

from collections.abc import Callable, Iterable
from typing import TypeAlias

from anel.env import Env, NodeId
from anel.internode.messages import REPLY, MessageType, pack_control
from anel.internode.requests import Requests

Replies: TypeAlias = dict[NodeId, bytes]
"""The whole reply of each node that gave one; who is missing did not answer in time."""


class Poll:
    """A question under way.

    Args:
        env: The node's world.
        requests: The node's requests under way.
        peers: Whom to ask, each once; may be none.
        question: Type and body of the message.
        timeout_ms: How long to wait for the slowest.
        done: Called once, never before the constructor has returned.
    """

    def __init__(  # Its callers name what they pass.
        self,
        env: Env,
        requests: Requests,
        peers: Iterable[NodeId],
        question: tuple[MessageType, object],
        *,
        timeout_ms: int,
        done: Callable[[Replies], None],
    ) -> None:
        self._requests = requests
        self._done = done
        self._replies: Replies = {}
        self._is_over = False
        self._reply_type = question[0] | REPLY
        self._request = requests.start(self, timeout_ms)
        message = pack_control(question[0], self._request, question[1])
        self._missing = {peer: True for peer in peers if env.send(peer, message)}
        if not self._missing:
            env.post(self._end)

    def on_reply(self, peer: NodeId, message: bytes) -> None:
        """Take one node's reply; a repeated one counts once."""
        if message[0] == self._reply_type and self._missing.pop(peer, False):
            self._replies[peer] = message
            if not self._missing:
                self._end()

    def on_link_down(self, peer: NodeId) -> None:
        """Give up on a node."""
        if self._missing.pop(peer, False) and not self._missing:
            self._end()

    def on_deadline(self) -> None:
        """Give up on all that have not answered."""
        self._end()

    def _end(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._requests.finish(self._request)
            self._done(self._replies)
