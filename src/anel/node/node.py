"""One node: its parts wired together over an Env and a Store, and the dispatch of messages.

    start     clock ceiling -> ring -> schema -> membership, hints, repair -> ready
    receive   a reply goes to the request that waits for it, anything else to its handler

A node is ready once it has read its store, its clock's ceiling is durable and it belongs to a
ring; the doors open then. It neither knows nor cares which world it lives in.
"""

import logging
import struct
from collections.abc import Callable

import msgspec

from anel.coordinator.coordinator import Coordinator
from anel.coordinator.replica import Replica
from anel.data.timestamp import HybridClock
from anel.env import Address, Callback, Env, NodeId, Timer, short
from anel.errors import ConfigurationError, CorruptData, ProtocolError, UnknownFormat
from anel.internode.messages import REPLY, MessageType, request_of
from anel.internode.requests import Requests
from anel.membership.membership import Membership
from anel.node.schema_agreement import SchemaBook
from anel.node.settings import NodeSettings
from anel.repair.anti_entropy import AntiEntropy
from anel.repair.hint_replay import HintReplay
from anel.repair.hint_store import HintStore
from anel.repair.refill import Refill
from anel.repair.services import RepairServices
from anel.ring.admission import Admission, Newcomer
from anel.ring.ring import Ring
from anel.ring.ring_view import RingView
from anel.ring.sponsor import Sponsor
from anel.storage.store import Store

CEILING_META = b"clock"
BEAT_MS = 1_000  # How often a node looks at itself and tells the ring what changed.
MALFORMED = (
    UnknownFormat,
    CorruptData,
    ProtocolError,
    struct.error,
    msgspec.DecodeError,
    ValueError,
    IndexError,
)

log = logging.getLogger("anel.node")


class Node:
    """One node.

    Attributes:
        settings: What it was told before its start.
        clock: Its hybrid logical clock.
        requests: Its requests under way.
        ring: Its view of the ring.
        schema: Its schema.
        membership: What it believes of the others.
        replica: It as a replica.
        coordinator: It as a coordinator: what the doors talk to.
        hints: The mutations it keeps for others.
        is_ready: It serves clients.
        refused: Why its ring would not have it; None while all is well.
        when_refused: Called with that.
        malformed: Messages of peers that made no sense and were dropped.

    Args:
        env: Its world.
        store: Its store.
        settings: Who it is and how it finds its ring.
    """

    def __init__(self, env: Env, store: Store, settings: NodeSettings) -> None:
        self.env = env
        self.store = store
        self.settings = settings
        self.is_ready = False
        self.refused: ConfigurationError | None = None
        self.when_refused: list[Callable[[ConfigurationError], None]] = []
        self.malformed = 0
        self._is_stopped = False
        self._when_ready: list[Callback] = []
        self._beat: Timer | None = None
        kept = store.get_meta(CEILING_META)
        ceiling_us = int.from_bytes(kept, "big") if kept else 0
        self.clock = HybridClock(env.wall_us, ceiling_us, self._raise_ceiling)
        self.requests = Requests(env)
        self.ring = Ring(env, store, settings.node, self.requests)
        self.schema = SchemaBook(env, store, self.requests, self.ring, now=self.clock.now)
        self.membership = Membership(
            env,
            self.requests,
            node=settings.node,
            address=settings.address,
            generation=settings.generation,
            timing=settings.timing,
        )
        self.replica = Replica(env, store, self.ring, self.schema, clock=self.clock)
        self.hints = HintStore(
            env,
            store,
            generation=settings.generation,
            bytes_max=settings.hints_bytes_max,
        )
        self.coordinator = Coordinator(
            env=env,
            self_id=settings.node,
            requests=self.requests,
            ring=self.ring,
            schema=self.schema,
            liveness=self.membership,
            hints=self.hints,
            replica=self.replica,
            clock=self.clock,
        )
        self.coordinator.in_flight_max = settings.requests_in_flight_max
        self.coordinator.set_timeouts(
            write_ms=settings.write_timeout_ms, read_ms=settings.read_timeout_ms
        )
        repair = RepairServices(
            env,
            settings.node,
            self.requests,
            store,
            self.ring,
            lambda: self.schema.schema,
            self.membership,
            self.replica.fences.is_fenced,
        )
        pace = settings.repair_bytes_per_s
        self.hint_replay = HintReplay(repair, self.hints, bytes_per_s=pace)
        self.anti_entropy = AntiEntropy(repair, bytes_per_s=pace)
        self.refill = Refill(repair, bytes_per_s=pace)
        self.sponsor = Sponsor(
            env, store, self.requests, self.ring, holds_data=self.schema.holds_data
        )
        self.admission = Admission(
            env,
            store,
            self.requests,
            self.ring,
            newcomer=Newcomer(
                settings.node, settings.address, settings.location, settings.tokens
            ),
        )
        self._handlers: dict[int, Callable[[NodeId, bytes], None]] = {
            MessageType.MUTATE: self.replica.on_mutate,
            MessageType.READ_ROW: self.replica.on_read_row,
            MessageType.READ_PAGE: self.replica.on_read_page,
            MessageType.TRUNCATE: self.replica.on_truncate,
            MessageType.PING: self.membership.on_ping,
            MessageType.PING_REQUEST: self.membership.on_ping_request,
            MessageType.GOSSIP: self.membership.on_gossip,
            MessageType.SCHEMA_PUSH: self.schema.on_schema_push,
            MessageType.SCHEMA_PULL: self.schema.on_schema_pull,
            MessageType.FREEZE: self.schema.on_freeze,
            MessageType.RING_PULL: self.ring.on_ring_pull,
            MessageType.RING_PREPARE: self.sponsor.on_ring_prepare,
            MessageType.RING_COMMIT: self.sponsor.on_ring_commit,
            MessageType.LEAVES: self.anti_entropy.on_leaves,
        }
        self._wire()

    def _wire(self) -> None:
        self.schema.is_alive = self.membership.is_alive
        self.schema.keeps_hints = lambda: self.hints.count > 0
        self.schema.listeners.append(self._tell_schema)
        self.ring.listeners.append(self._ring_changed)
        self.membership.when_up.append(self.hint_replay.node_up)
        self.membership.when_up.append(lambda node: log.info("node %s is up", short(node)))
        self.membership.when_down.append(
            lambda node: log.warning("node %s is dead", short(node))
        )
        self.membership.when_changed.append(self._heard)

    # ------------------------------------------------------------------ life

    def start(self) -> None:
        """Begin: everything that follows happens in callbacks.

        Raises:
            CorruptData, UnknownFormat: What the store keeps of the ring or the schema cannot be
                read; the node must not start.
        """
        self.clock.now()  # Asks for the first ceiling.
        formed = self.ring.load()
        self.sponsor.load()
        self.schema.load()
        self.hints.load()
        if formed:
            self._ring_changed(self.ring.view)
        else:
            self._form()
        self.store.when_durable(self._serve_when_formed, forced=True)

    def _form(self) -> None:
        settings = self.settings
        if settings.initial_ring is not None:
            self.ring.adopt(settings.initial_ring)
        elif self.store.recovering or any(s != settings.address for s in settings.seeds):
            # A damaged store has lost the view as well: founding anew would split the ring.
            self.admission.join(settings.seeds, self._joined)
        else:
            self.admission.found()

    def _joined(self, refusal: ConfigurationError | None) -> None:
        if refusal is not None:
            log.error("cannot join the ring: %s", refusal)
            self.refused = refusal
            for callback in self.when_refused:
                callback(refusal)

    def _serve_when_formed(self) -> None:
        if self._is_stopped or self.is_ready or not self.ring.is_formed:
            return
        self.is_ready = True
        self.schema.found_redis(self.settings.replication)
        self._tell_self()
        self.membership.start()
        self.hint_replay.start()
        self.anti_entropy.start()
        self.refill.start()
        self._beat = self.env.set_timer(BEAT_MS, self._on_beat)
        waiting, self._when_ready = self._when_ready, []
        for callback in waiting:
            callback()

    def when_ready(self, callback: Callback) -> None:
        """Call back once the node serves (at once if it does)."""
        if self.is_ready:
            callback()
        else:
            self._when_ready.append(callback)

    def stop(self) -> None:
        """Stop all timers and flows; the store stays with the caller."""
        self._is_stopped = True
        self.is_ready = False
        if self._beat is not None:
            self._beat.cancel()
        for part in (
            self.admission,
            self.hint_replay,
            self.anti_entropy,
            self.refill,
            self.membership,
        ):
            part.stop()

    # ------------------------------------------------------------------ the world's calls

    def receive(self, peer: NodeId, message: bytes) -> None:
        """Take one message from a peer; one that makes no sense is counted and dropped."""
        try:
            kind = message[0]
            if kind & REPLY:
                self.requests.reply(peer, request_of(message), message)
            else:
                self._handlers[kind](peer, message)
        except (*MALFORMED, KeyError) as error:
            self.malformed += 1
            if (
                self.malformed & (self.malformed - 1) == 0
            ):  # Each time their number has doubled.
                log.warning(
                    "message of %s dropped (%d so far): %s", short(peer), self.malformed, error
                )

    def link_up(self, peer: NodeId, address: Address) -> None:
        """Messages can be sent to a peer from now on."""
        self.admission.link_up(peer, address)
        self.membership.link_up(peer, address)

    def link_down(self, peer: NodeId) -> None:
        """The link to a peer broke."""
        self.requests.link_down(peer)
        self.admission.link_down(peer)
        self.membership.link_down(peer)

    def merge_clock(self, peer_us: int) -> bool:
        """Take in the clock of a frame; False refuses the frame."""
        return self.clock.merge(peer_us)

    def clock_us(self) -> int:
        """Give the clock that a frame carries."""
        return self.clock.last_us

    # ------------------------------------------------------------------ its own affairs

    def _raise_ceiling(self, ceiling_us: int) -> None:
        self.store.put_meta(CEILING_META, ceiling_us.to_bytes(8, "big"))
        self.store.when_durable(lambda: self.clock.ceiling_is_durable(ceiling_us), forced=True)

    def _ring_changed(self, view: RingView) -> None:
        self.membership.ring_changed(view)
        self.membership.update(ring_epoch=view.epoch)
        self.store.when_durable(self._serve_when_formed, forced=True)

    def _tell_schema(self) -> None:
        self.membership.update(schema=self.schema.digest)

    def _heard(self, node: NodeId, names: list[str]) -> None:
        endpoint = self.membership.endpoint(node)
        if node == self.settings.node or endpoint is None:
            return
        if "ring_epoch" in names:
            self.ring.heard(node, int(endpoint.states.get("ring_epoch", 0)))
        if "schema" in names:
            self.schema.heard(node, str(endpoint.states.get("schema", "")))

    def _on_beat(self) -> None:
        self._beat = self.env.set_timer(BEAT_MS, self._on_beat)
        self._tell_self()

    def _tell_self(self) -> None:
        settings = self.settings
        store = self.store
        self.membership.update(
            release=settings.release,
            schema=self.schema.digest,
            ring_epoch=self.ring.epoch,
            rows=sum(store.summary(table).rows for table in store.tables()),
            disk_bytes=store.disk_bytes(),
            hints=self.hints.count,
            recovering=int(store.recovering),
            damage=store.damage[:500],
            **dict(settings.doors),
        )
