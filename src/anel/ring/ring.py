"""The node's present view of the ring: durable, replaced only by a view of a higher epoch.

    adopt      take a later view, from a join or from a peer that has it
    pull       ask a peer for its view, when a message showed that its epoch differs
    lock       hold back user writes while a join or a change of replication is decided

Two different views of one epoch cannot come about while joins need every member's promise
(`anel.ring.admission`); should they, neither node takes the other's, and both say so.
"""

import logging
from collections.abc import Callable

import msgspec

from anel.data.token import TOKEN_MAX, TOKEN_MIN
from anel.env import Env, NodeId, short
from anel.internode.messages import REPLY, MessageType, body_of, pack_control, request_of
from anel.internode.poll import Poll, Replies
from anel.internode.requests import Requests
from anel.ring.preference_list import successor_index
from anel.ring.ring_view import Location, Member, RingView, decode, encode, ring_view
from anel.ring.token_map import Replication, TokenMap, TokenRange
from anel.storage.store import Store

__all__ = [
    "Location",
    "Member",
    "Pull",
    "Pulled",
    "Ring",
    "RingView",
    "TokenMap",
    "TokenRange",
    "ring_view",
]

_log = logging.getLogger("anel.ring")

META = b"ring"
PULL_TIMEOUT_MS = 2_000
RETRY_MS = 1_000
NO_EPOCH = -1  # No message carries it.


class Pull(msgspec.Struct, frozen=True, array_like=True):
    """RING_PULL: give me your view; mine is of this epoch (0: none)."""

    epoch: int


class Pulled(msgspec.Struct, frozen=True, array_like=True):
    """The answer to RING_PULL: the encoded view, empty where there is none."""

    view: bytes


class Ring:
    """One node's ring.

    Attributes:
        self_id: This node.
        epoch: Of the present view; 0 before there is one. Requests carry it.
        write_epoch: The epoch at which user writes are taken, NO_EPOCH while they are locked:
            what a replica compares a mutation's epoch with.
        token_map: The present view's; only while `is_formed`.
        listeners: Called with each new view, after it has taken effect.
        conflicts: How many views were refused because they contradict the present one.
    """

    def __init__(self, env: Env, store: Store, self_id: NodeId, requests: Requests) -> None:
        self._env = env
        self._store = store
        self.self_id = self_id
        self._requests = requests
        self._view: RingView | None = None
        self._pulling: dict[NodeId, bool] = {}
        self._heard: dict[NodeId, int] = {}
        self._locks: dict[bytes, bool] = {}
        self.epoch = 0
        self.write_epoch = NO_EPOCH
        self.members: tuple[NodeId, ...] = ()
        self.listeners: list[Callable[[RingView], None]] = []
        self.conflicts = 0

    @property
    def is_formed(self) -> bool:
        """The node belongs to a ring."""
        return self._view is not None

    @property
    def view(self) -> RingView:
        """The present view; only while `is_formed`."""
        assert self._view is not None
        return self._view

    def load(self) -> bool:
        """Read the view kept on disk; tell whether there was one.

        Raises:
            UnknownFormat: A newer release wrote it.
            CorruptData: It cannot be read.
        """
        kept = self._store.get_meta(META)
        if kept is None:
            return False
        self._take(decode(kept))
        return True

    def replicas(self, token: int, replication: Replication) -> tuple[NodeId, ...]:
        """List the replicas of a token, the first copy first (`TokenMap.replicas`)."""
        return self.token_map.replicas(token, replication)

    def range_of(self, token: int) -> tuple[int, int]:
        """Give the first and last token of the range around a token, both included.

        The range that wraps is given as its two ends, so that first <= token <= last.
        """
        tokens = self.token_map.tokens
        index = successor_index(tokens, token)
        if index:
            return tokens[index - 1] + 1, tokens[index]
        if token <= tokens[0]:
            return TOKEN_MIN, tokens[0]
        return tokens[-1] + 1, TOKEN_MAX

    def adopt(self, view: RingView) -> bool:
        """Take a view if it is later than the present one; tell whether it is now the present.

        It is written at once and synced with the next fsync; who answers a peer waits for that.
        """
        present = self._view
        if present is not None and view.epoch <= present.epoch:
            if view.epoch == present.epoch and view != present:
                self._refuse(view, "it contradicts the present view of the same epoch")
            return view == present
        if present is not None and view.ring_id != present.ring_id:
            self._refuse(view, "it is of another ring")
            return False
        if view.member(self.self_id) is None:
            self._refuse(view, "this node is not in it")
            return False
        self._store.put_meta(META, encode(view))
        self._take(view)
        _log.info("ring epoch %d: %d nodes", view.epoch, len(view.members))
        for listener in list(self.listeners):
            listener(view)
        return True

    def on_ring_pull(self, peer: NodeId, message: bytes) -> None:
        """Serve RING_PULL; a peer that is ahead is asked in turn."""
        epoch = body_of(message, Pull).epoch
        view = b"" if self._view is None else encode(self._view)
        kind = MessageType.RING_PULL | REPLY
        self._env.send(peer, pack_control(kind, request_of(message), Pulled(view)))
        self.heard(peer, epoch)

    def heard(self, peer: NodeId, epoch: int) -> None:
        """Note a peer's epoch, as gossip tells it: one that is ahead is asked for its view.

        Gossip tells an epoch once: a pull without an answer is repeated for as long as the peer
        is in the ring.
        """
        self._heard[peer] = epoch
        if self.is_formed and epoch > self.epoch:
            self.pull(peer)

    def pull(self, peer: NodeId) -> None:
        """Ask a peer for its view and tell it ours: whichever side is behind catches up."""
        if self._pulling.get(peer):
            return
        self._pulling[peer] = True

        def done(replies: Replies) -> None:
            del self._pulling[peer]
            if peer in replies:
                found = pulled_view(replies[peer])
                if found is not None:
                    self.adopt(found)
            elif peer in self.members and self._heard.get(peer, 0) > self.epoch:
                self._env.set_timer(RETRY_MS, lambda: self.heard(peer, self._heard[peer]))

        question = (MessageType.RING_PULL, Pull(self.epoch))
        Poll(self._env, self._requests, [peer], question, timeout_ms=PULL_TIMEOUT_MS, done=done)

    def lock(self, holder: bytes) -> None:
        """Hold back user writes at this node until every holder has unlocked."""
        self._locks[holder] = True
        self.write_epoch = NO_EPOCH

    def unlock(self, holder: bytes) -> None:
        """Let go of a lock; harmless when it is not held."""
        self._locks.pop(holder, None)
        if not self._locks:
            self.write_epoch = self.epoch or NO_EPOCH

    @property
    def is_locked(self) -> bool:
        """User writes are held back."""
        return bool(self._locks)

    def _take(self, view: RingView) -> None:
        self._view = view
        self.epoch = view.epoch
        self.token_map = TokenMap(view)
        self.members = self.token_map.nodes
        self.replicas = self.token_map.replicas  # type: ignore[method-assign]  # One call less.
        if not self._locks:
            self.write_epoch = view.epoch

    def _refuse(self, view: RingView, reason: str) -> None:
        self.conflicts += 1
        _log.error(
            "refused ring view %s of epoch %d with %d nodes: %s (node %s, epoch %d)",
            view.ring_id.hex()[:8],
            view.epoch,
            len(view.members),
            reason,
            short(self.self_id),
            self.epoch,
        )


def pulled_view(reply: bytes) -> RingView | None:
    """Read the answer to RING_PULL; None where the peer has no ring yet."""
    view = body_of(reply, Pulled).view
    return decode(view) if view else None
