"""Blocking read repair: R replicas durably hold the merged rows before a read answers.

Each mutation sent has a request id of its own, so that a repeated ack counts once. A replica
that fails is replaced by the next candidate, which is sent everything that differed; a late one
is joined by one more.

Source: CORRECTNESS 10; Cassandra's blocking read repair.
"""

from collections.abc import Sequence
from typing import Protocol

from anel.coordinator.services import Services
from anel.env import NodeId
from anel.internode.messages import MUTATE_REPLY, Origin, Status, pack_mutate
from anel.internode.requests import Pending


class Repaired(Pending, Protocol):
    """The read that waits for its repair."""

    def on_repaired(self) -> None:
        """Enough replicas hold what was merged."""

    def on_repair_failed(self, refusals: list[Status]) -> None:
        """Too few replicas are left that could hold it; `refusals` says what they answered."""

    def on_repair_at_wrong_epoch(self, peer: NodeId) -> None:
        """A replica has another ring view: everything starts again."""


class ReadRepair:
    """Mutations on their way to the replicas that lack what a read merged.

    Args:
        services: The coordinator's.
        parent: The read; replies come through it, and its deadline ends the repair.
        epoch: Of the ring view under which the read gathered.
        missing: How many more replicas must come to hold what was merged: 1 or more.
        spares: Candidates not asked yet, to replace those that fail; taken from.
        whole: All mutations, for a replica of which nothing is known.
    """

    __slots__ = (
        "_epoch",
        "_owed",
        "_parent",
        "_refusals",
        "_services",
        "_spares",
        "_targets",
        "_whole",
        "missing",
    )

    def __init__(  # noqa: PLR0917 - each is one thing the read knows.
        self,
        services: Services,
        parent: Repaired,
        epoch: int,
        missing: int,
        spares: list[NodeId],
        whole: list[bytes],
    ) -> None:
        self._services = services
        self._parent = parent
        self._epoch = epoch
        self.missing = missing
        self._spares = spares
        self._whole = whole
        self._targets: dict[int, NodeId] = {}
        self._owed: dict[NodeId, int] = {}
        self._refusals: list[Status] = []

    def start(self, lacking: Sequence[tuple[NodeId, list[bytes]]]) -> None:
        """Send each replica what it lacks."""
        for node, mutations in lacking:
            # All are counted before any is sent: an ack may come at once.
            self._owed[node] = len(mutations)
        for node, mutations in lacking:
            self._send(node, mutations)

    def widen(self) -> None:
        """Send everything to one more replica, because some are late or lost."""
        if self.missing > 0 and self._spares:
            node = self._spares.pop(0)
            self._owed[node] = len(self._whole)
            self._send(node, self._whole)

    def on_reply(self, message: bytes) -> None:
        """Take an ack or a refusal."""
        _, request, status, _ = MUTATE_REPLY.unpack_from(message)
        self._take(request, Status(status))

    def on_link_down(self, peer: NodeId) -> None:
        """Replace a replica whose acks will not come."""
        if peer in self._owed:
            self._lose(peer)

    def close(self) -> None:
        """Stop waiting; what was sent may still arrive, and does good."""
        for request in self._targets:
            self._services.requests.finish(request)
        self._targets = {}
        self._owed = {}
        self.missing = 0

    def _send(self, node: NodeId, mutations: list[bytes]) -> None:
        services = self._services
        for mutation in mutations:
            if node not in self._owed:
                return  # Lost meanwhile, or everything is over.
            request = services.requests.again(self._parent)
            self._targets[request] = node
            services.counters.repairs_sent += 1
            if node == services.self_id:
                self._write_here(request, mutation)
            elif not services.env.send(
                node, pack_mutate(request, self._epoch, Origin.REPAIR, mutation)
            ):
                self._lose(node)
                return

    def _write_here(self, request: int, mutation: bytes) -> None:
        def on_ack(status: Status, dominant: int | None) -> None:
            del dominant
            self._take(request, status)

        self._services.replica.mutate(self._epoch, Origin.REPAIR, mutation, on_ack)

    def _take(self, request: int, status: Status) -> None:
        node = self._targets.pop(request, None)
        if node is None:
            return
        self._services.requests.finish(request)
        if status is Status.WRONG_EPOCH:
            self._parent.on_repair_at_wrong_epoch(node)
            return
        if status is not Status.OK:
            self._refusals.append(status)
            self._lose(node)
            return
        self._owed[node] -= 1
        if not self._owed[node]:
            del self._owed[node]
            self.missing -= 1
            if self.missing == 0:
                self._parent.on_repaired()

    def _lose(self, node: NodeId) -> None:
        del self._owed[node]
        for request in [each for each, target in self._targets.items() if target == node]:
            del self._targets[request]
            self._services.requests.finish(request)
        if self.missing > len(self._owed):
            self.widen()
        if self.missing > len(self._owed):
            self.missing = 0
            self._parent.on_repair_failed(self._refusals)
