"""Requests under way on this node: who waits for which reply, and until when.

One entry and no timer per request: requests of one timeout end in the order they began, so a
queue per timeout and one timer per queue find those that are late.
"""

from collections import deque
from typing import Protocol

from anel.env import Env, NodeId


class Pending(Protocol):
    """Something that waits for replies. Each may end it by calling `Requests.finish`."""

    def on_reply(self, peer: NodeId, message: bytes) -> None:
        """Take one reply: the whole message, its type first."""

    def on_link_down(self, peer: NodeId) -> None:
        """The link to a peer broke: its reply will not come."""

    def on_deadline(self) -> None:
        """Time is up. The request is already finished when this is called."""


class Requests:
    """Every request of this node that still waits."""

    def __init__(self, env: Env) -> None:
        self._env = env
        # A reply to this node's previous life may still be under way: were ids counted from 1
        # again, it would be taken for the ack of another request.
        self._next_id = 1 + env.random.getrandbits(62)
        self._waiting: dict[int, Pending] = {}
        self._queues: dict[int, deque[tuple[int, int]]] = {}

    def __len__(self) -> int:
        """Count the requests under way."""
        return len(self._waiting)

    def start(self, pending: Pending, timeout_ms: int) -> int:
        """Register a request; its id goes into the messages sent and comes back in replies."""
        request = self._next_id
        self._next_id = request + 1
        self._waiting[request] = pending
        queue = self._queues.get(timeout_ms)
        if queue is None:
            queue = self._queues[timeout_ms] = deque()
        deadline = self._env.now_ns() + timeout_ms * 1_000_000
        if not queue:
            self._env.set_timer(timeout_ms, lambda: self._expire(timeout_ms))
        queue.append((deadline, request))
        return request

    def again(self, pending: Pending) -> int:
        """Register a further id for something that waits under the deadline of another id.

        So that a request sent anew, or to several replicas for different things, tells their
        replies apart. Whoever takes the id must finish it.
        """
        request = self._next_id
        self._next_id = request + 1
        self._waiting[request] = pending
        return request

    def finish(self, request: int) -> None:
        """Forget a request; later replies to it are dropped."""
        self._waiting.pop(request, None)

    def reply(self, peer: NodeId, request: int, message: bytes) -> None:
        """Hand a reply to whoever waits for it."""
        pending = self._waiting.get(request)
        if pending is not None:
            pending.on_reply(peer, message)

    def link_down(self, peer: NodeId) -> None:
        """Tell every request that a peer will not answer."""
        for pending in list(self._waiting.values()):
            pending.on_link_down(peer)

    def _expire(self, timeout_ms: int) -> None:
        queue = self._queues[timeout_ms]
        now = self._env.now_ns()
        while queue and (queue[0][0] <= now or queue[0][1] not in self._waiting):
            pending = self._waiting.pop(queue.popleft()[1], None)
            if pending is not None:
                pending.on_deadline()
        if queue:
            delay_ms = max(1, -(-(queue[0][0] - now) // 1_000_000))
            self._env.set_timer(delay_ms, lambda: self._expire(timeout_ms))
