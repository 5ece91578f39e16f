"""Write in first-copy mode: the first living copy clockwise from the key, then the others.

::

    ask the first living copy -> its durable ack -> answer the client -> send to all the others
         | link down, refused: the next living copy takes its place
    a dead, silent or refusing one of the others gets a hint

The consistency level is ignored. This is the protocol of a plain DHT with r copies, kept so
that its stale read (the first copy fails before it has replicated) and its conflict can be
shown and measured; `WriteOperation` does without them. The read's half: `Gathering`, with R = 1
and the ring's order.

Source: the replication of Chord-based stores (DHash, CFS, SOSP 2001, section 4).
"""

from anel.coordinator.services import Services
from anel.coordinator.write import Written, refusal_text, reissued
from anel.data.consistency import ConsistencyLevel
from anel.data.mutation import token_of
from anel.data.schema import Keyspace
from anel.env import NodeId
from anel.errors import RequestFailed, Unavailable, WriteFailed, WriteTimeout
from anel.internode.messages import (
    MUTATE_REPLY,
    NO_DOMINANT,
    Origin,
    Status,
    pack_mutate,
)


class FirstCopyWrite:
    """One write in first-copy mode."""

    __slots__ = (
        "_answered",
        "_candidates",
        "_deadline",
        "_done",
        "_keyspace",
        "_mutation",
        "_others",
        "_refusals",
        "_round",
        "_server_stamped",
        "_services",
        "_waiting",
    )

    def __init__(
        self,
        services: Services,
        keyspace: Keyspace,
        mutation: bytes,
        done: Written,
        *,
        server_stamped: bool,
    ) -> None:
        self._services = services
        self._keyspace = keyspace
        self._mutation = mutation
        self._done = done
        self._server_stamped = server_stamped
        self._answered = False
        self._candidates: list[NodeId] = []
        self._others: list[NodeId] = []
        self._waiting: list[NodeId] = []
        self._refusals: list[Status] = []
        self._deadline = 0
        self._round = 0

    def start(self) -> None:
        """Ask the first living copy, or answer Unavailable."""
        services = self._services
        self._round = self._deadline = services.requests.start(self, services.write_timeout_ms)
        self._plan()
        if not self._ask_next():
            self._give_up()

    def _plan(self) -> None:
        services = self._services
        factor = self._keyspace.replication_factor
        replicas = services.ring.replicas(token_of(self._mutation), factor)
        self._others = list(replicas)
        self._candidates = [node for node in replicas if services.counts(node)]

    # ------------------------------------------------------------------ the first copy

    def _ask_next(self) -> bool:
        while self._candidates and not self._answered:
            if self._send(self._candidates.pop(0)):
                return True
        return self._answered

    def _send(self, node: NodeId) -> bool:
        services = self._services
        epoch = services.ring.epoch
        if node != services.self_id:
            message = pack_mutate(self._round, epoch, Origin.CLIENT, self._mutation)
            if not services.env.send(node, message):
                return False
            self._waiting.append(node)
            return True
        this_round = self._round

        def on_ack(status: Status, dominant: int | None) -> None:
            if this_round == self._round:
                self._take(node, status, NO_DOMINANT if dominant is None else dominant)

        self._waiting.append(node)
        services.replica.mutate(epoch, Origin.CLIENT, self._mutation, on_ack)
        return True

    def on_reply(self, peer: NodeId, message: bytes) -> None:
        """Take an ack or a refusal."""
        _, request, status, dominant = MUTATE_REPLY.unpack_from(message)
        if request == self._round:
            self._take(peer, Status(status), dominant)

    def _take(self, peer: NodeId, status: Status, dominant: int) -> None:
        if peer not in self._waiting:
            return  # A repeated ack.
        self._waiting.remove(peer)
        if self._answered:
            if status not in (Status.OK, Status.RECOVERING, Status.TOO_LARGE):
                self._hint(peer)
            self._finish_if_all()
        elif status is Status.OK:
            self._take_first(peer, dominant)
        elif status is Status.WRONG_EPOCH:
            self._restart(peer)
        else:
            self._refusals.append(status)
            self._fall_back()

    def _take_first(self, peer: NodeId, dominant: int) -> None:
        if self._server_stamped and dominant != NO_DOMINANT:
            self._mutation = reissued(self._services, self._mutation, dominant)
            self._new_round()
            if not self._send(peer):
                self._fall_back()
            return
        self._others.remove(peer)
        self._answer(None)
        self._replicate()

    def on_link_down(self, peer: NodeId) -> None:
        """Go on with the next copy; after the answer keep a hint."""
        if peer not in self._waiting:
            return
        self._waiting.remove(peer)
        if self._answered:
            self._hint(peer)
            self._finish_if_all()
        else:
            self._fall_back()

    def _fall_back(self) -> None:
        if not self._ask_next():
            self._give_up()

    def _new_round(self) -> None:
        requests = self._services.requests
        if self._round != self._deadline:
            requests.finish(self._round)
        self._round = requests.again(self)
        self._waiting = []

    def _restart(self, peer: NodeId) -> None:
        services = self._services
        services.counters.epoch_restarts += 1
        if peer != services.self_id:
            services.ring.pull(peer)
        self._new_round()
        this_round = self._round

        def ask_again() -> None:
            if this_round == self._round and not self._answered:
                self._plan()
                self._fall_back()

        services.retry.add(ask_again)

    # ------------------------------------------------------------------ the others

    def _replicate(self) -> None:
        """Send to the other copies; the client has its answer already."""
        self._new_round()
        services = self._services
        for node in self._others:
            is_alive = node == services.self_id or services.liveness.is_alive(node)
            if not (is_alive and self._send(node)):
                self._hint(node)
        self._finish_if_all()

    def on_deadline(self) -> None:
        """Keep hints for the silent, or answer WriteTimeout."""
        if self._answered:
            for node in self._waiting:
                if node != self._services.self_id:
                    self._hint(node)
            self._waiting = []
        else:
            self._services.counters.write_timeouts += 1
            self._answer(WriteTimeout(ConsistencyLevel.ONE, 1, 0))
        self._finish()

    def _hint(self, node: NodeId) -> None:
        if node != self._services.self_id:
            self._services.counters.hints += 1
            self._services.hints.keep(node, self._mutation, sole=False, done=None)

    # ------------------------------------------------------------------ the end

    def _give_up(self) -> None:
        services = self._services
        self._finish()
        if self._refusals:
            services.counters.write_failures += 1
            self._answer(WriteFailed(refusal_text(self._refusals)))
            return
        services.counters.unavailable += 1
        factor = self._keyspace.replication_factor
        replicas = services.ring.replicas(token_of(self._mutation), factor)
        recovering = services.recovering_of(replicas)
        self._answer(Unavailable(ConsistencyLevel.ONE, 1, 0, recovering=recovering))

    def _answer(self, outcome: RequestFailed | None) -> None:
        self._answered = True
        self._services.in_flight -= 1
        self._done(outcome)

    def _finish_if_all(self) -> None:
        if not self._waiting:
            self._finish()

    def _finish(self) -> None:
        requests = self._services.requests
        requests.finish(self._deadline)
        if self._round != self._deadline:
            requests.finish(self._round)
