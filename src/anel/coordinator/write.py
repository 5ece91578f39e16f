"""Coordinate one write: send it to all replicas, answer once enough of them hold it durably.

::

    start, enough alive     send to the living, keep hints for the dead, wait
    start, too few alive    answer Unavailable; nothing was sent
    the W-th durable ack    answer; hidden by an older write: send again above it first
    link down, refused      keep a hint; too few left: answer at once
    wrong epoch             send all again under the new ring view, counting no earlier ack
    the deadline            keep hints for the silent; unanswered: answer WriteTimeout

All replicas of the token map count, whoever is alive (CORRECTNESS 10). A repeated ack counts
once; an ack of an earlier round counts not at all. Under ANY a durable hint counts as an ack.
After the answer the operation waits on for the other replicas, so that the silent get a hint.

Source: Dynamo (DeCandia et al., SOSP 2007), sections 4.5 and 4.6; CORRECTNESS 5, 9 and 10.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from anel.coordinator.services import REQUIRED, Failure, Services
from anel.data.consistency import ConsistencyLevel
from anel.data.mutation import restamp, token_of
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

Written: TypeAlias = Callable[[Failure | None], None]
"""Called once: None when the write is done, else why not."""

_OK = int(Status.OK)
_RECOVERING = int(Status.RECOVERING)
_WRONG_EPOCH = int(Status.WRONG_EPOCH)
_TOO_LARGE = int(Status.TOO_LARGE)


class SoleWrite:
    """A write whose only replica is this node: no message, no deadline, no hint.

    The only wait is for this node's own sync, which either ends or ends the process.
    """

    __slots__ = ("_done", "_keyspace", "_level", "_mutation", "_server_stamped", "_services")

    def __init__(  # noqa: PLR0917 - on the hot path, called from one place.
        self,
        services: Services,
        keyspace: Keyspace,
        mutation: bytes,
        level: ConsistencyLevel,
        done: Written,
        server_stamped: bool,  # noqa: FBT001 - likewise.
    ) -> None:
        self._services = services
        self._keyspace = keyspace
        self._mutation = mutation
        self._level = level
        self._done = done
        self._server_stamped = server_stamped

    def on_ack(self, status: Status, dominant: int | None) -> None:
        """Take what this node's replica answers."""
        services = self._services
        if status is Status.OK:
            if dominant is None or not self._server_stamped:
                services.in_flight -= 1
                self._done(None)
                return
            self._mutation = reissued(services, self._mutation, dominant)
            services.replica.mutate(
                services.ring.epoch, Origin.CLIENT, self._mutation, self.on_ack
            )
            return
        if status is Status.WRONG_EPOCH:
            self._wait_for_epoch()
            return
        services.in_flight -= 1
        services.counters.write_failures += 1
        self._done(WriteFailed(refusal_text([status])))

    def _wait_for_epoch(self) -> None:
        """Writes are locked while the ring changes: go on as a write with a deadline."""
        WriteOperation(
            self._services,
            self._keyspace,
            self._mutation,
            self._level,
            done=self._done,
            server_stamped=self._server_stamped,
        ).start()


class WriteOperation:
    """One write, from the client's request to the last ack worth waiting for."""

    __slots__ = (
        "_acks",
        "_answered",
        "_counted_hints",
        "_deadline",
        "_dominant",
        "_done",
        "_is_paused",
        "_keyspace",
        "_level",
        "_mutation",
        "_refusals",
        "_required",
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
        level: ConsistencyLevel,
        *,
        done: Written,
        server_stamped: bool,
    ) -> None:
        self._services = services
        self._keyspace = keyspace
        self._mutation = mutation
        self._level = level
        self._done = done
        self._server_stamped = server_stamped
        self._required = REQUIRED[keyspace.replication_factor][level]
        self._answered = False
        self._is_paused = False
        self._acks = 0
        self._dominant = NO_DOMINANT
        self._counted_hints = 0
        self._waiting: list[NodeId] = []
        self._refusals: list[Status] = []
        self._deadline = 0
        self._round = 0

    def start(self) -> None:
        """Send the mutation to the living replicas, or answer Unavailable."""
        services = self._services
        replicas = self._replicas()
        able = [node for node in replicas if services.counts(node)]
        if len(able) < self._required and self._level is not ConsistencyLevel.ANY:
            self._refuse_unavailable(replicas, len(able))
            return
        self._round = self._deadline = services.requests.start(self, services.write_timeout_ms)
        self._send(replicas, able)

    # ------------------------------------------------------------------ rounds

    def _replicas(self) -> tuple[NodeId, ...]:
        factor = self._keyspace.replication_factor
        return self._services.ring.replicas(token_of(self._mutation), factor)

    def _send(self, replicas: tuple[NodeId, ...], able: Sequence[NodeId] = ()) -> None:
        """Send to everyone who can be reached, hint for the others, then write here.

        Args:
            replicas: All of them.
            able: Those known to be alive, so that membership is not asked again.
        """
        services = self._services
        self_id = services.self_id
        is_alive = services.liveness.is_alive
        send = services.env.send
        epoch = services.ring.epoch
        message = pack_mutate(self._round, epoch, Origin.CLIENT, self._mutation)
        waiting = self._waiting = []
        unreached = []
        for node in replicas:
            if node == self_id or ((node in able or is_alive(node)) and send(node, message)):
                waiting.append(node)
            else:
                unreached.append(node)
        if not waiting and self._level is not ConsistencyLevel.ANY:
            self._finish()
            if self._round == self._deadline:
                self._refuse_unavailable(replicas, 0)
            else:
                self._answer(self._failure())  # An earlier round may have been applied.
            return
        for node in unreached:
            self._hint(node)
        if self_id in waiting:
            self._write_here(epoch)
        self._give_up_if_hopeless()

    def _write_here(self, epoch: int) -> None:
        services = self._services
        self_id = services.self_id
        this_round = self._round

        def on_ack(status: Status, dominant: int | None) -> None:
            if this_round == self._round:
                self._take(self_id, status, NO_DOMINANT if dominant is None else dominant)

        services.replica.mutate(epoch, Origin.CLIENT, self._mutation, on_ack)

    def _new_round(self) -> None:
        """Take a new request id, so that no reply to an earlier one is counted."""
        requests = self._services.requests
        if self._round != self._deadline:
            requests.finish(self._round)
        self._round = requests.again(self)
        self._waiting = []
        self._acks = 0
        self._counted_hints = 0
        self._dominant = NO_DOMINANT
        self._refusals = []

    def _restart(self, peer: NodeId) -> None:
        """The ring views differ: wait for them to meet, then send all again."""
        services = self._services
        services.counters.epoch_restarts += 1
        if peer != services.self_id:
            services.ring.pull(peer)
        self._new_round()
        self._is_paused = True
        this_round = self._round

        def send_again() -> None:
            if this_round == self._round and not self._answered:
                self._is_paused = False
                self._send(self._replicas())

        services.retry.add(send_again)

    def _reissue(self) -> None:
        """Write again above what hides this write (CORRECTNESS 9)."""
        self._mutation = reissued(self._services, self._mutation, self._dominant)
        self._new_round()
        self._send(self._replicas())

    # ------------------------------------------------------------------ answers of replicas

    def on_reply(self, peer: NodeId, message: bytes) -> None:
        """Take a replica's ack or refusal."""
        _, request, status, dominant = MUTATE_REPLY.unpack_from(message)
        if request == self._round:
            self._take(peer, status, dominant)

    def _take(self, peer: NodeId, status: int, dominant: int) -> None:
        waiting = self._waiting
        if peer not in waiting:
            return  # A repeated ack.
        if status == _OK:
            waiting.remove(peer)
            self._acks += 1
            self._dominant = max(self._dominant, dominant)
            self._check_acks()
        elif status == _WRONG_EPOCH and not self._answered:
            self._restart(peer)
        else:
            waiting.remove(peer)
            self._take_refusal(peer, Status(status))

    def _take_refusal(self, peer: NodeId, status: Status) -> None:
        self._refusals.append(status)
        # A recovering replica holds it durably; one where the row grew too large never will.
        if status not in (_RECOVERING, _TOO_LARGE) and peer != self._services.self_id:
            self._hint(peer)
        self._give_up_if_hopeless()

    def on_link_down(self, peer: NodeId) -> None:
        """Count a replica whose answer will not come as silent, at once."""
        if peer in self._waiting:
            self._waiting.remove(peer)
            self._hint(peer)
            self._give_up_if_hopeless()

    def on_deadline(self) -> None:
        """Keep hints for the silent, and answer if that has not happened."""
        self._hint_silent()
        self._finish()
        if not self._answered:
            self._answer(self._failure())

    # ------------------------------------------------------------------ the client's answer

    def _check_acks(self) -> None:
        if not self._answered and self._acks + self._counted_hints >= self._required:
            if self._server_stamped and self._dominant != NO_DOMINANT:
                self._reissue()
                return
            self._answer(None)
        if not self._waiting:
            self._finish()

    def _give_up_if_hopeless(self) -> None:
        if self._is_paused:
            return
        if not self._answered and self._level is not ConsistencyLevel.ANY:
            possible = self._acks + len(self._waiting)
            if possible < self._required:
                self._answer(self._failure())
        if not self._waiting and self._answered:
            self._finish()

    def _failure(self) -> RequestFailed:
        refusals = [status for status in self._refusals if status != _RECOVERING]
        if refusals:
            self._services.counters.write_failures += 1
            return WriteFailed(refusal_text(refusals))
        self._services.counters.write_timeouts += 1
        return WriteTimeout(self._level, self._required, self._acks)

    def _refuse_unavailable(self, replicas: tuple[NodeId, ...], able: int) -> None:
        services = self._services
        services.counters.unavailable += 1
        recovering = services.recovering_of(replicas)
        self._answer(Unavailable(self._level, self._required, able, recovering=recovering))

    def _answer(self, outcome: RequestFailed | None) -> None:
        self._answered = True
        services = self._services
        services.in_flight -= 1
        self._done(outcome)
        if self._waiting and len(services.requests) > services.in_flight_max:
            # Too many wait for the silent: their hints are kept now, not at the deadline.
            self._hint_silent()
            self._finish()

    # ------------------------------------------------------------------ hints

    def _hint(self, node: NodeId) -> None:
        services = self._services
        services.counters.hints += 1
        if self._level is ConsistencyLevel.ANY and not self._answered:
            this_round = self._round

            def on_kept(kept: bool) -> None:  # noqa: FBT001
                if kept and this_round == self._round and not self._answered:
                    self._counted_hints += 1
                    self._check_acks()

            services.hints.keep(node, self._mutation, sole=True, done=on_kept)
        else:
            services.hints.keep(node, self._mutation, sole=False, done=None)

    def _hint_silent(self) -> None:
        silent, self._waiting = self._waiting, []
        for node in silent:
            if node != self._services.self_id:
                self._hint(node)

    def _finish(self) -> None:
        requests = self._services.requests
        requests.finish(self._deadline)
        if self._round != self._deadline:
            requests.finish(self._round)


def reissued(services: Services, mutation: bytes, dominant: int) -> bytes:
    """Stamp a server-stamped mutation above the timestamp that hides it.

    The clock itself never takes in a client's timestamp: only this mutation goes above it.
    """
    services.counters.reissues += 1
    return restamp(mutation, max(services.clock.now(), dominant + 1))


_REFUSALS = {
    Status.UNKNOWN_TABLE: "the table is not known there (yet)",
    Status.OVERLOADED: "overloaded, try again after a pause",
    Status.TOO_LARGE: "the row would pass 16 MiB, write less into one row",
    Status.DAMAGED: "what is stored there is damaged, see anel status",
    Status.DISK_FAILED: "the disk refuses writes, see anel status and free some space",
    Status.TOO_MANY_TOMBSTONES: "too many tombstones lie over this partition",
    Status.RECOVERING: "being refilled after damage, see anel status",
}


def refusal_text(refusals: Sequence[Status]) -> str:
    """Say how many replicas refused and why, for WriteFailed and ReadFailed."""
    reasons = sorted({_REFUSALS.get(status, status.name) for status in refusals})
    return f"{len(refusals)} replicas refused: " + "; ".join(reasons)
