"""Refills a store that was found damaged, from ALL other replicas, before it counts again.

A damaged store is set aside whole (CORRECTNESS 6). What it had acked together with one other
replica may be on any of them, so each must be read; a missing one is waited for, by name:

    1  every other member answers and has the same schema as this node
    2  for each table, from each node that shares ranges of it: the leaves that differ
    3  everything is synced; the store counts again, and gossip says so

Meanwhile the node takes new writes, which count in no W. A range of replication 1 has no other
replica: the node stays recovering and says what to do.
"""

import logging

from anel.env import NodeId, short
from anel.flow import Flow, Signal, pause
from anel.limits import ANTI_ENTROPY_BYTES_PER_S
from anel.repair.exchange import Exchange, Totals
from anel.repair.leaves import Verdict, compare_with, runs_of, shared_spans
from anel.repair.pace import Pace
from anel.repair.services import RepairServices, RepairTable

RETRY_MS = 1000  # Between two attempts while someone is missing.
_WAYS_OUT = "restore a backup of it, or accept the loss"

_log = logging.getLogger("anel.repair")


class Refill:
    """The way back of a damaged store.

    Attributes:
        waiting_for: What keeps it from going on, in words; empty while it goes on or is done.
        totals: What was pulled.

    Args:
        services: The node's ports.
        bytes_per_s: Bound on what it pulls.
    """

    def __init__(
        self, services: RepairServices, *, bytes_per_s: int = ANTI_ENTROPY_BYTES_PER_S
    ) -> None:
        self._services = services
        self._env = services.env
        self._pace = Pace(services.env, bytes_per_s)
        self._flow: Flow | None = None
        self._pulled: dict[tuple[bytes, int, NodeId], bool] = {}
        self.waiting_for = ""
        self.totals = Totals()

    def start(self) -> None:
        """Begin if the store is recovering; tells the ring either way."""
        is_needed = self._services.store.recovering
        self._services.membership.update(recovering=int(is_needed))
        if is_needed:
            self._flow = Flow(self._env, self._run())

    def stop(self) -> None:
        """End at the present step; the store stays recovering."""
        if self._flow is not None:
            self._flow.close()

    def accept_loss(self) -> None:
        """Let the store count as it is: what only the damaged one held is gone."""
        self.stop()
        if self._services.store.recovering:
            self._finish()

    async def _run(self) -> None:
        while self._services.store.recovering:
            waiting_for = await self._attempt()
            if not waiting_for:
                await self._sync()
                self._finish()
                return
            if waiting_for != self.waiting_for:
                _log.warning("refill waits for %s", waiting_for)
            self.waiting_for = waiting_for
            await pause(self._env, RETRY_MS)

    async def _sync(self) -> None:
        synced: Signal[None] = Signal()
        self._services.store.when_durable(lambda: synced.fire(None), forced=True)
        await synced

    def _finish(self) -> None:
        store = self._services.store
        store.recovered()
        # A crash before this sync refills once more, which is harmless.
        store.when_durable(lambda: None, forced=True)
        self.waiting_for = ""
        self._services.membership.update(recovering=0)
        _log.info("refilled: %d records pulled", self.totals.pulled)

    async def _attempt(self) -> str:
        """Pull what can be pulled; say in words what is missing, "" for nothing."""
        missing = await self._missing_members()
        if missing:
            return missing
        lonely = []
        services = self._services
        for table in services.tables.all():
            ranges = services.ring.token_map.ranges_of(services.node, table.replication)
            if any(len(part.replicas) < 2 for part in ranges):
                lonely.append(table.keyspace)
                continue
            missing = await self._pull_table(table)
            if missing:
                return missing
        if lonely:
            names = ", ".join(dict.fromkeys(lonely))
            return f"keyspace {names}, of which no other node holds a copy: {_WAYS_OUT}"
        return ""

    async def _missing_members(self) -> str:
        services = self._services
        others = [node for node in services.ring.token_map.nodes if node != services.node]
        if not others:
            return f"another replica, and this ring has none: {_WAYS_OUT}"
        for peer in others:
            objection = await self._objection(peer)
            if objection:
                return objection
        return ""

    async def _objection(self, peer: NodeId) -> str:
        services = self._services
        name = short(peer)
        if not services.membership.is_alive(peer):
            return f"node {name}, which is down: start it"
        found = await compare_with(services, peer, table=b"", truncated_at=0, spans=[])
        if found.verdict is Verdict.COMPARED:
            if found.schema == services.tables.digest():
                return ""
            return f"the schema of node {name} and of this node to be the same"
        if found.verdict is None:
            return f"node {name}, which does not answer: start it"
        if found.verdict is Verdict.RECOVERING:
            return f"node {name}, which is recovering itself: {_WAYS_OUT}"
        return f"node {name} ({found.verdict.name})"

    async def _pull_table(self, table: RepairTable) -> str:
        services = self._services
        shared = shared_spans(services.ring.token_map, services.node, table.replication)
        for peer, spans in sorted(shared.items()):
            if (table.id, table.truncated_at, peer) in self._pulled:
                continue
            found = await compare_with(
                services, peer, table=table.id, truncated_at=table.truncated_at, spans=spans
            )
            if found.verdict is not Verdict.COMPARED:
                verdict = found.verdict.name if found.verdict is not None else "no answer"
                return f"node {short(peer)} to compare its rows ({verdict})"
            exchange = Exchange(
                services, self._pace, self.totals, peer=peer, table=table, pushes=False
            )
            for span in runs_of(list(found.differing)):
                if not await exchange.settle(span):
                    return f"node {short(peer)} to give its rows ({exchange.failure})"
            self._pulled[table.id, table.truncated_at, peer] = True
        return ""
