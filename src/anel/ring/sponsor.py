"""A member's side of a join: it promises, then takes the new view or finds out that none comes.

    free --PREPARE--> promised --COMMIT--> free, at the next epoch
                         |  `-----ABORT--> free
                         | PROMISE_MS passed, a restart, or a DOUBT from another member
                         v
                      doubting: refuses COMMIT, asks all other members
                         |-- one has committed: take its view
                         `-- none has, and none will any more: free

User writes are held back from the promise until the end, so that no row is written at the old
epoch that the new one would look for elsewhere. The promise is on disk before it is given. A
doubting member needs an answer of ALL others, for a silent one may have committed: the ring has
no rows at this moment, and waiting for that node beats losing the first ones.
"""

import logging
from collections.abc import Callable

import msgspec

from anel.data.token import is_leaf_end
from anel.env import Env, NodeId, short
from anel.errors import UnknownFormat
from anel.internode.messages import REPLY, MessageType, body_of, pack_control, request_of
from anel.internode.poll import Poll, Replies
from anel.internode.requests import Requests
from anel.limits import NODES_MAX
from anel.ring.join_messages import Decided, Decision, Prepare, Prepared, Step, Verdict
from anel.ring.ring import Ring
from anel.ring.ring_view import RingView, decode, encode
from anel.storage.store import Store

_log = logging.getLogger("anel.ring")

META = b"ring_promise"
FORMAT = 1  # On disk since format 1: never renumber.
PROMISE_MS = 5_000  # A join takes two round trips; past this the joiner is doubted.
DOUBT_RETRY_MS = 1_000
ASK_TIMEOUT_MS = 2_000
GIVEN_UP_MAX = 64  # Joins whose PREPARE may still be under way to this node.


class Promise(msgspec.Struct, frozen=True, array_like=True):
    """What a member has promised: the epoch may be followed by this join's view, no other."""

    join: bytes
    epoch: int


class Sponsor:
    """The promises of one member.

    Args:
        env: The node's world.
        store: Where a promise is kept.
        requests: The node's requests under way.
        ring: The node's ring.
        holds_data: Says what user data the node holds; empty for none.
    """

    def __init__(
        self,
        env: Env,
        store: Store,
        requests: Requests,
        ring: Ring,
        *,
        holds_data: Callable[[], str],
    ) -> None:
        self._env = env
        self._store = store
        self._requests = requests
        self._ring = ring
        self._holds_data = holds_data
        self._promise: Promise | None = None
        self._is_doubting = False
        self._given_up: dict[bytes, bool] = {}
        ring.listeners.append(self._ring_changed)

    @property
    def is_undecided(self) -> bool:
        """A join is under way or in doubt; user writes are held back."""
        return self._promise is not None

    def load(self) -> None:
        """Take up a promise that an earlier process gave; the ring has been loaded.

        Raises:
            UnknownFormat: A newer release wrote it.
        """
        kept = self._store.get_meta(META)
        if kept is None:
            return
        if kept[0] != FORMAT:
            raise UnknownFormat(f"ring promise format {kept[0]} is unknown: upgrade this node")
        promise = msgspec.msgpack.decode(kept[1:], type=Promise)
        if promise.epoch == self._ring.epoch:
            self._promise = promise
            self._ring.lock(promise.join)
            self._doubt(promise.join)
        else:
            self._store.put_meta(META, None)

    def on_ring_prepare(self, peer: NodeId, message: bytes) -> None:
        """Serve RING_PREPARE; a promise is on disk before it is given."""
        asked = body_of(message, Prepare)
        verdict, reason = self._judge(asked)
        kind = MessageType.RING_PREPARE | REPLY
        reply = pack_control(kind, request_of(message), Prepared(verdict, reason))
        if verdict is not Verdict.PROMISED:
            self._env.send(peer, reply)
            return
        if self._promise is None:
            self._promise = Promise(asked.join, asked.epoch)
            self._ring.lock(asked.join)
            kept = bytes((FORMAT,)) + msgspec.msgpack.encode(self._promise)
            self._store.put_meta(META, kept)
            self._env.set_timer(PROMISE_MS, lambda: self._doubt(asked.join))
        self._send_when_durable(peer, reply)

    def _judge(self, asked: Prepare) -> tuple[Verdict, str]:
        ring = self._ring
        if not ring.is_formed:
            return Verdict.BUSY, "it has no ring yet"
        view = ring.view
        promise = self._promise
        if asked.ring_id != view.ring_id:
            return Verdict.REFUSED, "it is in another ring; check `seeds` and `cluster_name`"
        if asked.epoch != view.epoch:
            return Verdict.BUSY, f"its ring is at epoch {view.epoch}"
        if promise is not None and promise.join == asked.join and not self._is_doubting:
            return Verdict.PROMISED, ""
        if ring.is_locked or asked.join in self._given_up:
            return Verdict.BUSY, "another node is joining, or a replication factor is changing"
        flaw = _flaw(asked, view) or self._occupied()
        return (Verdict.REFUSED, flaw) if flaw else (Verdict.PROMISED, "")

    def _occupied(self) -> str:
        held = self._holds_data()
        if not held:
            return ""
        return (
            f"{held}. A join would move rows between nodes, which comes with the elastic ring: "
            "until then empty the keyspaces first (FLUSHALL), or start all nodes before the "
            "first write"
        )

    def on_ring_commit(self, peer: NodeId, message: bytes) -> None:
        """Serve RING_COMMIT."""
        asked = body_of(message, Decision)
        promise = self._promise
        is_ours = promise is not None and promise.join == asked.join
        is_done = True
        if asked.step is Step.COMMIT:
            may = is_ours and not self._is_doubting
            is_done = self._commit(decode(asked.view), may=may)
        elif is_ours and asked.step is Step.ABORT:
            self._release()
        elif is_ours:
            self._doubt(asked.join)
        else:
            self._give_up(asked.join)
        self._answer(peer, request_of(message), is_done=is_done)

    def _give_up(self, join: bytes) -> None:
        # Its PREPARE may still be on its way here: what was told to a doubter must stay true.
        self._given_up[join] = True
        if len(self._given_up) > GIVEN_UP_MAX:
            del self._given_up[next(iter(self._given_up))]

    def _commit(self, view: RingView, *, may: bool) -> bool:
        if self._ring.is_formed and self._ring.view == view:
            return True  # A repeated message, or another member told this one already.
        return may and self._ring.adopt(view)

    def _answer(self, peer: NodeId, request: int, *, is_done: bool) -> None:
        view = encode(self._ring.view) if self._ring.is_formed else b""
        kind = MessageType.RING_COMMIT | REPLY
        reply = pack_control(kind, request, Decided(is_done, view))
        self._send_when_durable(peer, reply)

    def _send_when_durable(self, peer: NodeId, reply: bytes) -> None:
        def send() -> None:
            self._env.send(peer, reply)

        self._store.when_durable(send, forced=True)

    def _ring_changed(self, view: RingView) -> None:
        if self._promise is not None and self._promise.epoch < view.epoch:
            self._release()

    def _release(self) -> None:
        assert self._promise is not None
        self._ring.unlock(self._promise.join)
        self._promise = None
        self._is_doubting = False
        self._store.put_meta(META, None)

    def _doubt(self, join: bytes) -> None:
        if self._promise is None or self._promise.join != join or self._is_doubting:
            return
        self._is_doubting = True
        _log.warning("a node that was joining is silent: asking the members what became of it")
        self._ask(join)

    def _ask(self, join: bytes) -> None:
        others = [node for node in self._ring.members if node != self._ring.self_id]
        question = (MessageType.RING_COMMIT, Decision(join, Step.DOUBT))
        Poll(
            self._env,
            self._requests,
            others,
            question,
            timeout_ms=ASK_TIMEOUT_MS,
            done=lambda replies: self._resolve(join, others, replies),
        )

    def _resolve(self, join: bytes, others: list[NodeId], replies: Replies) -> None:
        views = {peer: body_of(reply, Decided).view for peer, reply in replies.items()}
        for view in views.values():
            if view:
                self._ring.adopt(decode(view))
        if self._promise is None or self._promise.join != join:
            return  # One of them had committed, or the joiner has aborted meanwhile.
        # One without a ring is starting again and may find that it has the later view.
        silent = [short(node) for node in others if not views.get(node)]
        if not silent:
            _log.info("the join came to nothing")
            self._release()
            return
        _log.warning(
            "writes wait: a join is undecided until these nodes answer: %s", ", ".join(silent)
        )
        self._env.set_timer(DOUBT_RETRY_MS, lambda: self._ask_again(join))

    def _ask_again(self, join: bytes) -> None:
        if self._promise is not None and self._promise.join == join:
            self._ask(join)


def _flaw(asked: Prepare, view: RingView) -> str:
    newcomer = asked.newcomer
    if view.member(newcomer.node) is not None:
        return (
            f"node id {newcomer.node.hex()} is in the ring already: was its data folder "
            "copied? Delete the copy, and the node draws an id of its own"
        )
    if len(view.members) >= NODES_MAX:
        return f"a ring has at most {NODES_MAX} nodes"
    if not newcomer.tokens:
        return "a node needs at least one token"
    for token in newcomer.tokens:
        holder = view.holder(token)
        if holder is not None:
            return (
                f"token {token} belongs to node {short(holder.node)}: change `tokens`, or "
                "leave it out and the ring chooses"
            )
        if not is_leaf_end(token):
            return f"token {token} is not the end of a leaf: leave `tokens` to the ring"
    return ""
