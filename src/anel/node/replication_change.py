"""Changing a keyspace's replication factor, which is only safe while it holds nothing.

    FREEZE to all nodes     each holds back user writes, then says whether it holds rows
    all answered, none did  the change is pushed, like any other
    RELEASE to all          or, where that is lost, FREEZE_MS later by itself

Rows would otherwise be looked for where they are not: at the replicas of the new factor. Moving
them comes with the elastic ring. A node that cannot be asked may hold rows: the change is
refused. One that dies between its answer and the push may take writes at the old factor until
gossip tells it, within a second or so of its return.
"""

from collections.abc import Callable
from typing import Protocol, TypeAlias

import msgspec

from anel.data.schema import Keyspace
from anel.env import Env, NodeId, short
from anel.errors import InvalidRequest, RequestFailed, RequestRefused
from anel.internode.messages import REPLY, MessageType, body_of, pack_control, request_of
from anel.internode.poll import Poll, Replies
from anel.internode.requests import Requests
from anel.ring.ring import Ring

FREEZE_MS = 10_000  # Longer than the push that follows may take.
ASK_TIMEOUT_MS = 3_000

Done: TypeAlias = Callable[[RequestRefused | RequestFailed | None], None]


class Freeze(msgspec.Struct, frozen=True, array_like=True):
    """FREEZE: hold back user writes; an empty keyspace name releases them."""

    change: bytes
    keyspace: str


class Frozen(msgspec.Struct, frozen=True, array_like=True):
    """The answer: why the keyspace cannot change; empty when it can."""

    reason: str


class Book(Protocol):
    """What a change needs of the schema (`anel.node.schema_agreement.SchemaBook`)."""

    def holds_data(self, keyspace: str) -> str:
        """Say what of a keyspace this node holds; empty for nothing."""


class ReplicationChange:
    """Both sides of the protocol on one node."""

    def __init__(self, env: Env, requests: Requests, *, ring: Ring, book: Book) -> None:
        self._env = env
        self._requests = requests
        self._ring = ring
        self._book = book

    def begin(self, keyspace: Keyspace, apply: Callable[[Done], None], done: Done) -> None:
        """Freeze all nodes, apply the change when all are empty, release them."""
        change = self._env.random.randbytes(16)
        others = [node for node in self._ring.members if node != self._ring.self_id]
        own_reason = self._freeze(change, keyspace.name)

        def release(outcome: RequestRefused | RequestFailed | None) -> None:
            self._ring.unlock(change)
            self._ask(others, Freeze(change, ""), lambda _: None)
            done(outcome)

        def answered(replies: Replies) -> None:
            refusal = self._refusal(keyspace.name, others, replies, own_reason)
            if refusal is None:
                apply(release)
            else:
                release(refusal)

        self._ask(others, Freeze(change, keyspace.name), answered)

    def on_freeze(self, peer: NodeId, message: bytes) -> None:
        """Serve FREEZE."""
        asked = body_of(message, Freeze)
        reason = ""
        if asked.keyspace:
            reason = self._freeze(asked.change, asked.keyspace)
        else:
            self._ring.unlock(asked.change)
        kind = MessageType.FREEZE | REPLY
        self._env.send(peer, pack_control(kind, request_of(message), Frozen(reason)))

    def _freeze(self, change: bytes, keyspace: str) -> str:
        if self._ring.is_locked:
            return "a node is joining, or another replication factor is changing: try again"
        self._ring.lock(change)
        self._env.set_timer(FREEZE_MS, lambda: self._ring.unlock(change))
        return self._book.holds_data(keyspace)

    def _refusal(
        self, name: str, others: list[NodeId], replies: Replies, own_reason: str
    ) -> RequestRefused | RequestFailed | None:
        silent = [short(node) for node in others if node not in replies]
        if silent:
            return RequestFailed(
                f"the replication of {name} was not changed: every node must say that it holds "
                f"no row of it, and {', '.join(silent)} did not answer; start it and try again"
            )
        reasons = {node: body_of(replies[node], Frozen).reason for node in others}
        reasons[self._ring.self_id] = own_reason
        for node, reason in sorted(reasons.items()):
            if reason:
                return InvalidRequest(
                    f"the replication of {name} was not changed, for node {short(node)}: "
                    f"{reason}. Moving rows comes with the elastic ring: until then empty the "
                    "keyspace first, or make another with the replication wanted"
                )
        return None

    def _ask(self, others: list[NodeId], body: Freeze, done: Callable[[Replies], None]) -> None:
        question = (MessageType.FREEZE, body)
        Poll(
            self._env,
            self._requests,
            others,
            question,
            timeout_ms=ASK_TIMEOUT_MS,
            done=done,
        )
