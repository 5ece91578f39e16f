"""Hands hints over once their node is back: oldest first, a window at a time, until it has all.

    for each living node with hints:  read a window -> send each as MUTATE, origin HINT
        OK              durable there: delete the hint
        table dropped, or truncated since: delete it
        UNKNOWN_TABLE   the schema has not arrived there yet: keep it, go on with the next
        anything else, no answer, no link: keep it, stop here, begin again after a pause

Source: Dynamo (SOSP 2007), section 4.6; CORRECTNESS 5 and 12.
"""

import logging

from anel.data.mutation import issued_of, table_of
from anel.env import NodeId, Timer, short
from anel.errors import StorageError
from anel.flow import Flow, Signal
from anel.internode.messages import Origin, Status, pack_mutate
from anel.limits import (
    ANTI_ENTROPY_BYTES_PER_S,
    HINT_REPLAY_IN_FLIGHT,
    WRITE_TIMEOUT_MS,
)
from anel.repair.hint_store import Hint, HintStore
from anel.repair.pace import Pace
from anel.repair.services import RepairServices, mutate_status

_log = logging.getLogger("anel.repair")

PAUSE_MS = 1000  # Between looks for nodes that are back, and before a failed hint goes again.


class HintReplay:
    """Replays hints to every node that can take them.

    Attributes:
        replayed: Hints acked by their node since the start.
        discarded: Hints whose table was dropped or truncated.
        kept_back: Answers that left a hint where it was.
        complaint: Why hints could not be read, the last time; empty when that never happened.

    Args:
        services: The node's ports.
        hints: Where the hints lie.
        bytes_per_s: Bound on what is sent, all nodes together.
    """

    def __init__(
        self,
        services: RepairServices,
        hints: HintStore,
        *,
        bytes_per_s: int = ANTI_ENTROPY_BYTES_PER_S,
    ) -> None:
        self._services = services
        self._env = services.env
        self._hints = hints
        self._pace = Pace(services.env, bytes_per_s)
        self._flows: dict[NodeId, Flow] = {}
        self._timer: Timer | None = None
        self.replayed = 0
        self.discarded = 0
        self.kept_back = 0
        self.complaint = ""

    def start(self) -> None:
        """Look for work now and then, and at each `node_up`."""
        self._look()

    def stop(self) -> None:
        """End all replay; hints stay."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for flow in list(self._flows.values()):
            flow.close()
        self._flows.clear()

    def node_up(self, node: NodeId) -> None:
        """Begin at once with a node that came back."""
        if self._timer is not None:
            self._begin(node)

    def _look(self) -> None:
        self._timer = self._env.set_timer(PAUSE_MS, self._look)
        for node in self._hints.targets():
            self._begin(node)

    def _begin(self, node: NodeId) -> None:
        if (
            self._hints.is_loaded
            and self._hints.kept_for(node)
            and node not in self._flows
            and self._services.membership.is_alive(node)
            and not self._services.membership.is_recovering(node)  # Its acks would not count.
        ):
            self._flows[node] = Flow(self._env, self._replay(node), lambda: self._end(node))

    def _end(self, node: NodeId) -> None:
        del self._flows[node]

    async def _replay(self, node: NodeId) -> None:
        after = b""
        while True:
            hints = self._read(node, after)
            if not hints:
                return
            after = hints[-1].name
            wanted = self._without_void(node, hints)
            await self._pace.take(sum(len(hint.mutation) for hint in wanted))
            if not await self._send_window(node, wanted):
                return  # The next look begins again with the oldest.

    def _read(self, node: NodeId, after: bytes) -> list[Hint]:
        try:
            return self._hints.first(node, after, HINT_REPLAY_IN_FLIGHT)
        except StorageError as error:
            if str(error) != self.complaint:
                _log.error("hints for %s cannot be read: %s", short(node), error)
            self.complaint = str(error)
            return []

    def _without_void(self, node: NodeId, hints: list[Hint]) -> list[Hint]:
        wanted = []
        for hint in hints:
            if self._is_void(hint.mutation):
                self.discarded += 1
                self._remove(node, hint)
            else:
                wanted.append(hint)
        return wanted

    def _is_void(self, mutation: bytes) -> bool:
        """Whether a mutation's table was dropped, or truncated after it was issued."""
        tables = self._services.tables
        table = tables.get(table_of(mutation))
        if table is None:
            return tables.is_dropped(table_of(mutation))
        return bool(table.truncated_at and issued_of(mutation) <= table.truncated_at)

    async def _send_window(self, node: NodeId, hints: list[Hint]) -> bool:
        answers = [self._send(node, hint) for hint in hints]
        goes_on = True
        for hint, answer in zip(hints, answers, strict=True):
            status = await answer
            if status is Status.OK:
                self.replayed += 1
                self._remove(node, hint)
            else:
                self.kept_back += 1
                goes_on = goes_on and status is Status.UNKNOWN_TABLE
            if status is Status.WRONG_EPOCH:
                self._services.ring.pull(node)
        return goes_on

    def _send(self, node: NodeId, hint: Hint) -> Signal[Status | None]:
        epoch = self._services.ring.epoch
        return self._services.ask(
            node,
            lambda request: pack_mutate(request, epoch, Origin.HINT, hint.mutation),
            mutate_status,
            WRITE_TIMEOUT_MS,
        )

    def _remove(self, node: NodeId, hint: Hint) -> None:
        try:
            self._hints.remove(node, hint)
        except StorageError:
            self.kept_back += (
                1  # A disk that refuses the delete: the hint goes again, harmlessly.
            )
