"""Gather R answers of one kind from replicas, replacing those that fail or are late.

::

    start          enough alive: ask R of them, this node first; else Unavailable
    an answer      the R-th: `_resolve`
    a failure      (link down, recovering, damaged, overloaded) ask the next candidate;
                   none left: Unavailable or ReadFailed at once
    late           (SPECULATE_MS) ask one more, once
    wrong epoch    start again under the new ring view, counting no earlier answer
    the deadline   ReadTimeout

`ReadOperation` gathers one row, `PageOperation` a page of them; both then may have to bring R
replicas to hold what they merged (`ReadRepair`). In first-copy mode R is one and the order is
the ring's. Source: Dynamo, section 4.5; Cassandra's speculative retry; CORRECTNESS 10.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from anel.coordinator.read_repair import ReadRepair
from anel.coordinator.services import REQUIRED, Services
from anel.coordinator.write import refusal_text
from anel.data.consistency import ConsistencyLevel
from anel.data.schema import Keyspace, Table
from anel.env import NodeId
from anel.errors import ReadFailed, ReadTimeout, RequestFailed, Unavailable
from anel.internode.messages import REPLY, MessageType, Status, request_of

_MUTATE_REPLY = MessageType.MUTATE | REPLY


class Gathering(ABC):
    """One read that gathers answers from R replicas."""

    __slots__ = (
        "_candidates",
        "_deadline",
        "_ended",
        "_epoch",
        "_issued",
        "_keyspace",
        "_level",
        "_refusals",
        "_repair",
        "_required",
        "_round",
        "_services",
        "_table",
        "_waiting",
    )

    def __init__(
        self, services: Services, keyspace: Keyspace, table: Table, level: ConsistencyLevel
    ) -> None:
        self._services = services
        self._keyspace = keyspace
        self._table = table
        self._level = ConsistencyLevel.ONE if keyspace.first_copy else level
        self._required = REQUIRED[keyspace.replication_factor][self._level]
        self._epoch = services.ring.epoch
        # A repair is issued when its read began: a truncation in between drops it (rule 12).
        self._issued = services.clock.last_us + 1
        self._candidates: list[NodeId] = []
        self._waiting: list[NodeId] = []
        self._refusals: list[Status] = []
        self._repair: ReadRepair | None = None
        self._deadline = 0
        self._round = 0
        self._ended = False

    def start(self) -> None:
        """Ask R replicas, or answer Unavailable."""
        services = self._services
        replicas = services.ring.replicas(self._token(), self._keyspace.replication_factor)
        able = [node for node in replicas if services.counts(node)]
        if len(able) < self._required:
            recovering = services.recovering_of(replicas)
            self._fail_unavailable(len(able), recovering)
            return
        self_id = services.self_id
        if not self._keyspace.first_copy and able[0] != self_id and self_id in able:
            able.remove(self_id)
            able.insert(0, self_id)
        self._candidates = able
        if not self._round:
            self._round = self._deadline = services.requests.start(
                self, services.read_timeout_ms
            )
        self._ask_first()

    # ------------------------------------------------------------------ what a subclass adds

    @abstractmethod
    def _token(self) -> int:
        """Give the token whose replicas to ask."""

    @abstractmethod
    def _message(self, request: int) -> bytes:
        """Build the message that asks a replica."""

    @abstractmethod
    def _ask_here(self, this_round: int) -> None:
        """Ask this node's own replica."""

    @abstractmethod
    def _take_reply(self, peer: NodeId, message: bytes) -> None:
        """Take a replica's answer to `_message`, of the present round."""

    @abstractmethod
    def _answers(self) -> int:
        """Count the answers taken in this round."""

    @abstractmethod
    def _forget_answers(self) -> None:
        """Drop the answers taken: a new round begins."""

    @abstractmethod
    def _end_with(self, failure: RequestFailed) -> None:
        """Tell the client that the read failed."""

    # ------------------------------------------------------------------ asking

    def _ask_first(self) -> None:
        for _ in range(self._required):
            if not self._ask_next():
                self._check_hope()
                return
        if self._candidates and not self._ended and not self._keyspace.first_copy:
            self._services.late.add(self._speculate)

    def _ask_next(self) -> bool:
        """Ask the next candidate that can be reached; tell whether there was one."""
        services = self._services
        while self._candidates and not self._ended:
            node = self._candidates.pop(0)
            if node == services.self_id:
                self._waiting.append(node)
                self._ask_here(self._round)
                return True
            if services.env.send(node, self._message(self._round)):
                self._waiting.append(node)
                return True
        return self._ended

    def _speculate(self) -> None:
        if self._ended:
            return
        if self._repair is not None:
            self._repair.widen()
        elif self._candidates and self._answers() < self._required:
            self._services.counters.speculations += 1
            self._ask_next()

    def _restart(self, peer: NodeId) -> None:
        services = self._services
        services.counters.epoch_restarts += 1
        if peer != services.self_id:
            services.ring.pull(peer)
        if self._round != self._deadline:
            services.requests.finish(self._round)
        self._round = services.requests.again(self)
        self._candidates = []
        self._waiting = []
        self._refusals = []
        self._forget_answers()
        this_round = self._round

        def ask_again() -> None:
            if this_round == self._round and not self._ended:
                self._epoch = services.ring.epoch
                self.start()

        services.retry.add(ask_again)

    # ------------------------------------------------------------------ answers

    def on_reply(self, peer: NodeId, message: bytes) -> None:
        """Take a reply: an answer of this round, or an ack of the repair."""
        if message[0] == _MUTATE_REPLY:
            if self._repair is not None:
                self._repair.on_reply(message)
        elif self._repair is None and request_of(message) == self._round:
            self._take_reply(peer, message)

    def _refused(self, peer: NodeId, status: Status) -> None:
        """Take an answer that is no answer: another replica must take its place."""
        if status is Status.WRONG_EPOCH:
            self._restart(peer)
            return
        self._refusals.append(status)
        self._replace()

    def on_link_down(self, peer: NodeId) -> None:
        """Replace a replica whose answer will not come."""
        if self._repair is not None:
            self._repair.on_link_down(peer)
        elif peer in self._waiting:
            self._waiting.remove(peer)
            self._replace()

    def _replace(self) -> None:
        if self._answers() + len(self._waiting) < self._required and not self._ask_next():
            self._check_hope()

    def _check_hope(self) -> None:
        if self._ended or self._answers() + len(self._waiting) >= self._required:
            return
        refusals = [status for status in self._refusals if status is not Status.RECOVERING]
        if refusals:
            self._services.counters.read_failures += 1
            self._end(ReadFailed(refusal_text(refusals)))
        else:
            recovering = self._refusals.count(Status.RECOVERING)
            self._fail_unavailable(self._answers() + len(self._waiting), recovering)

    def on_deadline(self) -> None:
        """Answer ReadTimeout."""
        if not self._ended:
            self._services.counters.read_timeouts += 1
            repair = self._repair
            received = self._answers() if repair is None else self._required - repair.missing
            self._end(ReadTimeout(self._level, self._required, received))

    # ------------------------------------------------------------------ the end

    def _start_repair(
        self, holders: int, lacking: Sequence[tuple[NodeId, list[bytes]]], whole: list[bytes]
    ) -> None:
        """Bring R replicas to hold what was merged, then answer (rule 10)."""
        self._services.counters.differing_reads += 1
        self._repair = ReadRepair(
            self._services, self, self._epoch, self._required - holders, self._candidates, whole
        )
        self._repair.start(lacking)

    @abstractmethod
    def _end_repaired(self) -> None:
        """Answer what was merged: R replicas hold it now."""

    def on_repaired(self) -> None:
        """R replicas hold what was merged."""
        self._close()
        self._end_repaired()

    def on_repair_failed(self, refusals: list[Status]) -> None:
        """Too few replicas are left to hold what was merged."""
        self._refusals = refusals
        self._waiting = []
        self._forget_answers()
        self._check_hope()

    def on_repair_at_wrong_epoch(self, peer: NodeId) -> None:
        """Start again under the ring view to come: the answers gathered count no more."""
        assert self._repair is not None
        self._repair.close()
        self._repair = None
        self._restart(peer)

    def _fail_unavailable(self, able: int, recovering: int) -> None:
        self._services.counters.unavailable += 1
        self._end(Unavailable(self._level, self._required, able, recovering=recovering))

    def _end(self, failure: RequestFailed) -> None:
        self._close()
        self._end_with(failure)

    def _close(self) -> None:
        """Forget every id; the client's answer follows."""
        self._ended = True
        services = self._services
        services.in_flight -= 1
        requests = services.requests
        if self._round:
            requests.finish(self._deadline)
            if self._round != self._deadline:
                requests.finish(self._round)
        if self._repair is not None:
            self._repair.close()
