"""The node's schema: durable, changed here or by peers, spread to every node without a master.

    a change    applied and synced here, pushed to all living nodes, answered when all have
                synced it or time is up
    push, pull  carry the whole schema and merge it; a push is answered with what its sender
                did not know, so that of two clients creating one name at once one is told
    gossip      carries the digest: `heard` pulls from a node that knows something else, which
                is how a node that was away catches up

A node knows its schema from disk before anyone answers. What merging means is
`anel.data.schema`'s matter; the replication of a keyspace that holds rows is
`anel.node.replication_change`'s.
"""

import logging
from collections.abc import Callable
from typing import TypeAlias, TypeVar

import msgspec

from anel.data.schema import (
    RANK_CHOSEN,
    Keyspace,
    KeyspaceDefinition,
    Schema,
    Stamp,
    Table,
    TableDefinition,
    decode,
    encode,
    redis_schema,
)
from anel.env import Env, NodeId, short
from anel.errors import AlreadyExists, InvalidRequest, NotReady, RequestFailed, RequestRefused
from anel.internode.messages import REPLY, MessageType, body_of, pack_control, request_of
from anel.internode.poll import Poll, Replies
from anel.internode.requests import Requests
from anel.node.replication_change import ReplicationChange
from anel.ring.ring import Ring
from anel.ring.ring_view import RingView
from anel.storage.store import Store

_log = logging.getLogger("anel.schema")

META = b"schema"
PUSH_TIMEOUT_MS = 5_000
PULL_TIMEOUT_MS = 5_000
RETRY_MS = 1_000
REDIS_COPIES = 3

Done: TypeAlias = Callable[[RequestRefused | RequestFailed | None], None]
"""Gets None when every living node has the change on disk."""
Change: TypeAlias = Callable[[Schema, Stamp], Schema]


class Push(msgspec.Struct, frozen=True, array_like=True):
    """SCHEMA_PUSH: merge this encoded schema."""

    schema: bytes


class PullSchema(msgspec.Struct, frozen=True, array_like=True):
    """SCHEMA_PULL: give me your schema; mine has this digest."""

    digest: str


class Known(msgspec.Struct, frozen=True, array_like=True):
    """The answer to both: the encoded schema, empty where the asker knows as much."""

    schema: bytes


class SchemaBook:
    """One node's schema.

    Args:
        env: The node's world.
        store: Where the schema is kept.
        requests: The node's requests under way.
        ring: Who the other nodes are.
        now: The node's hybrid logical clock.

    Attributes:
        schema: What this node knows now.
        digest: Of that, in hexadecimal; equal on nodes that know the same.
        is_alive: Tells who is worth asking; set by the node once it has a membership.
        keeps_hints: Tells whether hints wait on this node; set likewise.
        listeners: Called after each change, with nothing: read what is wanted.
    """

    def __init__(
        self,
        env: Env,
        store: Store,
        requests: Requests,
        ring: Ring,
        *,
        now: Callable[[], int],
    ) -> None:
        self._env = env
        self._store = store
        self._requests = requests
        self._ring = ring
        self._now = now
        self._pulling: dict[NodeId, bool] = {}
        self._heard: dict[NodeId, str] = {}
        self._chosen_redis: int | None = None
        self._replication = ReplicationChange(env, requests, ring=ring, book=self)
        self.schema = Schema()
        self.digest = self.schema.digest().hex()
        self.is_alive: Callable[[NodeId], bool] = lambda _: True
        self.keeps_hints: Callable[[], bool] = lambda: False
        self.listeners: list[Callable[[], None]] = []
        self._keyspaces: dict[str, Keyspace] = {}
        self._tables: dict[bytes, Table] = {}
        self._named: dict[tuple[str, str], Table] = {}
        self._dropped: dict[bytes, bool] = {}
        self.on_freeze = self._replication.on_freeze
        # Asked for every request: the dictionaries themselves answer.
        self.keyspace = self._keyspaces.get  # type: ignore[method-assign, assignment]
        self.table_by_id = self._tables.get  # type: ignore[method-assign, assignment]

    # ------------------------------------------------------------------ reading

    def keyspace(self, name: str) -> Keyspace | None:
        """Give a keyspace as it is now."""
        return self._keyspaces.get(name)

    def keyspaces(self) -> list[Keyspace]:
        """List the keyspaces in order of name."""
        return list(self._keyspaces.values())

    def table(self, keyspace: str, name: str) -> Table | None:
        """Give a table as it is now."""
        return self._named.get((keyspace, name))

    def table_by_id(self, table: bytes) -> Table | None:
        """Give a table by id: None for one unknown here and for one dropped."""
        return self._tables.get(table)

    def is_dropped(self, table: bytes) -> bool:
        """Tell whether a table is gone for good, so that hints for it can be thrown away."""
        return table in self._dropped

    def holds_data(self, keyspace: str = "") -> str:
        """Say what user data this node holds, of one keyspace or of all; empty for none.

        Hints, and a store not read to its end, count as data: better refused than lost.
        """
        if self._store.recovering:
            return "it is being refilled after damage"
        if self.keeps_hints():
            return "it keeps hints that have not been handed over"
        for table in self._tables.values():
            if keyspace in {"", table.keyspace}:
                summary = self._store.summary(table.id)
                if not summary.is_complete:
                    return "it is still reading its store"
                if summary.rows:
                    return f"it holds {summary.rows} records of {table.keyspace}.{table.name}"
        return ""

    # ------------------------------------------------------------------ starting

    def load(self) -> None:
        """Read the schema kept on disk, if any.

        Raises:
            UnknownFormat: A newer release wrote it.
            CorruptData: It cannot be read.
        """
        kept = self._store.get_meta(META)
        if kept is not None:
            self._index(decode(kept))

    def found_redis(self, replication: int | None) -> None:
        """Make keyspace `redis` as every node of the ring makes it.

        Args:
            replication: Its factor until an ALTER; None: as many as there are nodes, three at
                most, growing with each join (the ring is empty then).
        """
        self._chosen_redis = replication
        self._follow_ring(self._ring.view)
        self._ring.listeners.append(self._follow_ring)

    def _follow_ring(self, view: RingView) -> None:
        chosen = self._chosen_redis
        if chosen is None:
            given = redis_schema(min(REDIS_COPIES, len(view.members)), view.epoch)
        else:
            given = redis_schema(chosen, RANK_CHOSEN)
        self._take(self.schema.merge(given))

    # ------------------------------------------------------------------ changing

    def create_keyspace(
        self, name: str, replication_factor: int, *, first_copy: bool = False, done: Done
    ) -> None:
        """Make a keyspace; AlreadyExists also when another client made it just now."""
        definition = KeyspaceDefinition(replication_factor, first_copy)

        def check() -> RequestRefused | None:
            creation = self.schema.states[name].creation
            if creation is None or creation[1] == definition:
                return None
            return AlreadyExists(
                f"keyspace {name} was made by another client at the same time, with "
                f"replication {creation[1].replication_factor}"
            )

        refusal = self._too_many_copies(replication_factor)
        if refusal is not None:
            done(refusal)
            return
        self._change(
            lambda schema, stamp: schema.create_keyspace(name, definition, stamp), done, check
        )

    def alter_keyspace(
        self,
        name: str,
        replication_factor: int | None = None,
        *,
        first_copy: bool | None = None,
        done: Done,
    ) -> None:
        """Change what is not None; the replication factor only while the keyspace is empty."""

        def change(schema: Schema, stamp: Stamp) -> Schema:
            return schema.alter_keyspace(
                name, stamp, replication_factor=replication_factor, first_copy=first_copy
            )

        present = self.keyspace(name)
        if (
            present is None
            or replication_factor is None
            or replication_factor == present.replication_factor
        ):
            self._change(change, done)
            return
        refusal = self._too_many_copies(replication_factor)
        if refusal is not None:
            done(refusal)
            return
        self._replication.begin(present, lambda then: self._change(change, then), done)

    def drop_keyspace(self, name: str, *, done: Done) -> None:
        """Remove a keyspace, its tables and their rows."""
        self._change(lambda schema, _: schema.drop_keyspace(name), done)

    def create_table(
        self, keyspace: str, name: str, definition: TableDefinition, *, done: Done
    ) -> None:
        """Make a table; AlreadyExists also when another client made another one just now."""

        def check() -> RequestRefused | None:
            table = self.table(keyspace, name)
            same = table is None or table.columns == definition.columns
            if same and (table is None or table.serial == definition.serial):
                return None
            return AlreadyExists(
                f"table {keyspace}.{name} was made differently by another client just now"
            )

        self._change(
            lambda schema, stamp: schema.create_table(keyspace, name, definition, stamp),
            done,
            check,
        )

    def drop_table(self, keyspace: str, name: str, *, done: Done) -> None:
        """Remove a table and its rows."""
        self._change(lambda schema, _: schema.drop_table(keyspace, name), done)

    def truncated(self, table: bytes, at: int) -> None:
        """Record, durably with the next sync, that a table was emptied (CORRECTNESS 12)."""
        known = self._tables.get(table)
        if known is not None:
            self._take(self.schema.truncated(known, at))

    def _too_many_copies(self, factor: int) -> RequestRefused | None:
        nodes = len(self._ring.members)
        if factor <= nodes:
            return None
        return InvalidRequest(
            f"replication {factor} needs {factor} nodes and the ring has {nodes}: "
            "choose fewer copies or add nodes first"
        )

    def _change(
        self,
        change: Change,
        done: Done,
        check: Callable[[], RequestRefused | None] = lambda: None,
    ) -> None:
        if not self._ring.is_formed:
            done(NotReady("the node has no ring yet"))
            return
        stamp = Stamp(self._now(), self._ring.self_id)
        try:
            changed = change(self.schema, stamp)
        except RequestRefused as refusal:
            done(refusal)
            return
        self._take(changed)
        self._store.when_durable(lambda: self._push(done, check), forced=True)

    def _push(self, done: Done, check: Callable[[], RequestRefused | None]) -> None:
        others = [node for node in self._ring.members if node != self._ring.self_id]
        living = [node for node in others if self.is_alive(node)]

        def answered(replies: Replies) -> None:
            for peer in replies:
                self._learn(replies[peer])
            refusal = check()
            behind = [short(node) for node in living if node not in replies]
            if refusal is None and behind:
                done(
                    RequestFailed(
                        "the change holds and spreads by itself, but these nodes have not "
                        f"confirmed it: {', '.join(behind)} (anel status)"
                    )
                )
            else:
                done(refusal)

        question = (MessageType.SCHEMA_PUSH, Push(encode(self.schema)))
        Poll(
            self._env,
            self._requests,
            living,
            question,
            timeout_ms=PUSH_TIMEOUT_MS,
            done=answered,
        )

    # ------------------------------------------------------------------ between nodes

    def on_schema_push(self, peer: NodeId, message: bytes) -> None:
        """Serve SCHEMA_PUSH: merge, sync, then say what the sender did not know."""
        pushed = decode(body_of(message, Push).schema)
        self._take(self.schema.merge(pushed))
        request = request_of(message)

        def reply() -> None:
            known = b"" if self.schema == pushed else encode(self.schema)
            kind = MessageType.SCHEMA_PUSH | REPLY
            self._env.send(peer, pack_control(kind, request, Known(known)))

        self._store.when_durable(reply, forced=True)

    def on_schema_pull(self, peer: NodeId, message: bytes) -> None:
        """Serve SCHEMA_PULL."""
        knows_all = body_of(message, PullSchema).digest == self.digest
        body = Known(b"" if knows_all else encode(self.schema))
        kind = MessageType.SCHEMA_PULL | REPLY
        self._env.send(peer, pack_control(kind, request_of(message), body))

    def heard(self, peer: NodeId, digest: str) -> None:
        """Note a peer's digest, as gossip tells it; pull from one that knows something else.

        Gossip tells a digest once: a pull without an answer is repeated for as long as the peer
        is in the ring.
        """
        self._heard[peer] = digest
        if digest == self.digest or self._pulling.get(peer):
            return
        self._pulling[peer] = True

        def done(replies: Replies) -> None:
            del self._pulling[peer]
            if peer in replies:
                self._learn(replies[peer])
            elif peer in self._ring.members:
                self._env.set_timer(RETRY_MS, lambda: self.heard(peer, self._heard[peer]))

        question = (MessageType.SCHEMA_PULL, PullSchema(self.digest))
        Poll(self._env, self._requests, [peer], question, timeout_ms=PULL_TIMEOUT_MS, done=done)

    def _learn(self, reply: bytes) -> None:
        known = body_of(reply, Known).schema
        if known:
            self._take(self.schema.merge(decode(known)))

    # ------------------------------------------------------------------ keeping

    def _take(self, schema: Schema) -> None:
        if schema == self.schema:
            return
        before = dict(self._tables)
        self._store.put_meta(META, encode(schema))
        self._index(schema)
        for key, table in before.items():
            if key not in self._tables:
                _log.info("table %s.%s was dropped", table.keyspace, table.name)
                self._store.truncate(key)
        for listener in list(self.listeners):
            listener()

    def _index(self, schema: Schema) -> None:
        self.schema = schema
        self.digest = schema.digest().hex()
        tables = [table for keyspace in schema.keyspaces() for table in keyspace.tables]
        _refill(self._keyspaces, {keyspace.name: keyspace for keyspace in schema.keyspaces()})
        _refill(self._tables, {table.id: table for table in tables})
        _refill(self._named, {(table.keyspace, table.name): table for table in tables})
        self._dropped = dict.fromkeys(schema.dropped_tables(), True)


K = TypeVar("K")
V = TypeVar("V")


def _refill(index: dict[K, V], content: dict[K, V]) -> None:
    """Replace what a dictionary holds, for those that hold the dictionary."""
    index.clear()
    index.update(content)
