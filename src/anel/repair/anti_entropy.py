"""Keeps replicas equal without anyone asking: compares leaves, moves the rows that differ.

    in turn, for each table and each living node that shares ranges of it:
        compare spans, then leaves                   equal: done, a few kilobytes
        look again at the leaves that differ         writes under way differ for an instant;
                                                     a difference that stays is real
        exchange the rows of those, both ways        bounded rate, in slices

After a start every own range is compared once with every living replica before the node says
`in_sync`; it serves from the start. A range none of whose other replicas lives cannot be
compared, so a node alone is not in sync. From then on the same goes on for ever, slowly.

Source: Dynamo (SOSP 2007), section 4.7; CORRECTNESS 7, 12 and 23.
"""

import logging
from typing import NamedTuple

from anel.env import NodeId, short
from anel.flow import Flow, pause
from anel.internode.messages import (
    REPLY,
    MessageType,
    body_of,
    pack_control,
    request_of,
)
from anel.limits import ANTI_ENTROPY_BYTES_PER_S
from anel.repair.exchange import Exchange, Totals
from anel.repair.leaves import (
    Comparison,
    LeafRun,
    Leaves,
    LeavesAnswer,
    Span,
    Verdict,
    compare,
    compare_with,
    runs_of,
    shared_spans,
)
from anel.repair.pace import Pace
from anel.repair.services import RepairServices, RepairTable
from anel.ring.token_map import TokenMap

START_MS = 500  # Links come up first, and hints begin to drain.
ROUND_MS = 2000  # Between two comparisons with one peer, over all tables.
PAUSE_MS_MIN = 100  # However many tables: comparing one costs about a millisecond at both.
RETRY_MS = 500  # While not in sync, after a turn that did not succeed.
LOOK_MS = 1000  # How long a difference must last; any write in flight is over or hinted.
SURELY_REAL = 1024  # So many differing leaves are no writes in flight.

_log = logging.getLogger("anel.repair")


class Turn(NamedTuple):
    """What to compare next: one table with one peer."""

    table: RepairTable
    peer: NodeId

    @property
    def key(self) -> tuple[bytes, NodeId]:
        """What is remembered of it."""
        return (self.table.id, self.peer)


class AntiEntropy:
    """Compares this node with its fellow replicas, and answers when they compare.

    Attributes:
        is_in_sync: Every own range was compared, or repaired, with its living replicas once.
        totals: What was moved.
        comparisons: How many times a table was compared with a peer.
        repaired_leaves: How many leaves' rows were exchanged.
        failures: How many turns ended early.
        differing: By peer, how many leaves differed when last compared.

    Args:
        services: The node's ports.
        bytes_per_s: Bound on what it moves.
    """

    def __init__(
        self, services: RepairServices, *, bytes_per_s: int = ANTI_ENTROPY_BYTES_PER_S
    ) -> None:
        self._services = services
        self._env = services.env
        self._pace = Pace(services.env, bytes_per_s)
        self._flow: Flow | None = None
        self._partner: NodeId | None = None
        self._compared: dict[tuple[bytes, NodeId], bool] = {}
        self._at = 0
        self._beyond: dict[tuple[bytes, NodeId], dict[int, int]] = {}
        self._spans: dict[int, dict[NodeId, list[Span]]] = {}
        self._spans_of: TokenMap | None = None
        self.is_in_sync = False
        self.totals = Totals()
        self.comparisons = 0
        self.repaired_leaves = 0
        self.failures = 0
        self.differing: dict[NodeId, int] = {}

    def start(self) -> None:
        """Begin; tells the ring `in_sync` 0, and 1 when it is."""
        self._services.membership.update(in_sync=0)
        self._flow = Flow(self._env, self._run())

    def stop(self) -> None:
        """End at the present step."""
        if self._flow is not None:
            self._flow.close()

    def on_leaves(self, peer: NodeId, message: bytes) -> None:
        """Handle LEAVES."""
        question = body_of(message, Leaves)
        verdict, compared, runs = self._answer(peer, question)
        answer = LeavesAnswer(verdict, self._services.tables.digest(), compared, runs)
        reply = pack_control(MessageType.LEAVES | REPLY, request_of(message), answer)
        self._env.send(peer, reply)

    def _answer(self, peer: NodeId, question: Leaves) -> tuple[Verdict, int, list[LeafRun]]:
        services = self._services
        verdict = Verdict.COMPARED
        if question.epoch != services.ring.epoch:
            verdict = Verdict.WRONG_EPOCH
            if question.epoch > services.ring.epoch:
                services.ring.pull(peer)
        elif services.store.recovering:
            verdict = Verdict.RECOVERING
        elif self._partner == peer and services.node < peer:
            verdict = Verdict.BUSY
        elif question.table:
            verdict = self._verdict_on(question)
        if verdict is not Verdict.COMPARED or not question.spans:
            return verdict, 0, []
        compared, runs = compare(services.store.summary(question.table), question.spans)
        return verdict, compared, runs

    def _verdict_on(self, question: Leaves) -> Verdict:
        table = self._services.tables.get(question.table)
        if table is None:
            return Verdict.UNKNOWN_TABLE
        if table.truncated_at != question.truncated_at:
            return Verdict.TRUNCATED
        if self._services.is_fenced(question.table):
            return Verdict.TRUNCATED  # It is about to be.
        if not self._services.store.summary(question.table).is_complete:
            return Verdict.INCOMPLETE
        return Verdict.COMPARED

    # The rounds.

    async def _run(self) -> None:
        await pause(self._env, START_MS)
        while True:
            self._judge_sync()
            turn = self._next_turn()
            if turn is None:
                await pause(self._env, RETRY_MS)
            elif await self._take(turn):
                if self.is_in_sync:
                    await pause(self._env, self._pause_ms())
                elif not self._new_turns():
                    await pause(self._env, RETRY_MS)  # What lacks has no living replica.
            else:
                self.failures += 1
                await pause(self._env, self._pause_ms() if self.is_in_sync else RETRY_MS)

    def _pause_ms(self) -> int:
        return max(PAUSE_MS_MIN, ROUND_MS // max(1, len(self._services.tables.all())))

    async def _take(self, turn: Turn) -> bool:
        self._partner = turn.peer
        try:
            is_equal = await self._settle(turn)
        finally:
            self._partner = None
        if is_equal:
            self._compared[turn.key] = True
        return is_equal

    async def _settle(self, turn: Turn) -> bool:
        if not self._services.store.summary(turn.table.id).is_complete:
            return False
        spans = self._spans_with(turn.table.replication).get(turn.peer, [])
        first = await self._compare(turn, spans)
        if first is None:
            return False
        beyond = self._beyond.get(turn.key, {})
        first = {leaf: delta for leaf, delta in first.items() if beyond.get(leaf) != delta}
        self.differing[turn.peer] = len(first)
        if not first:
            return True
        lasting = await self._look_again(turn, first)
        if lasting is None:
            return False
        refused = self.totals.refused
        settled = await self._exchange(turn, lasting)
        if self.totals.refused > refused:
            await self._leave_be(turn, lasting)
        return settled

    async def _leave_be(self, turn: Turn, leaves: list[int]) -> None:
        """Remember differences that no merge can end, or they would move for ever."""
        rest = await self._compare(turn, [(leaf, leaf) for leaf in leaves])
        if rest:
            self._beyond.setdefault(turn.key, {}).update(rest)

    async def _compare(self, turn: Turn, spans: list[Span]) -> dict[int, int] | None:
        services = self._services
        table = turn.table
        if services.tables.get(table.id) != table:
            return None  # Truncated, dropped or altered since the turn began.
        self.comparisons += 1
        found: Comparison = await compare_with(
            services,
            turn.peer,
            table=table.id,
            truncated_at=table.truncated_at,
            spans=spans,
        )
        return found.differing if found.verdict is Verdict.COMPARED else None

    async def _look_again(self, turn: Turn, first: dict[int, int]) -> list[int] | None:
        if len(first) > SURELY_REAL:
            return list(first)
        await pause(self._env, LOOK_MS)
        second = await self._compare(turn, [(leaf, leaf) for leaf in first])
        if second is None:
            return None
        lasting = [leaf for leaf, delta in second.items() if first[leaf] == delta]
        changing = [leaf for leaf, delta in second.items() if first[leaf] != delta]
        if changing:
            # A leaf written all the time never shows one difference twice.
            await pause(self._env, LOOK_MS)
            third = await self._compare(turn, [(leaf, leaf) for leaf in changing])
            if third is None:
                return None
            lasting += third
        self.differing[turn.peer] = len(lasting)
        return lasting

    async def _exchange(self, turn: Turn, leaves: list[int]) -> bool:
        exchange = Exchange(
            self._services,
            self._pace,
            self.totals,
            peer=turn.peer,
            table=turn.table,
            pushes=True,
        )
        for span in runs_of(leaves):
            if not await exchange.settle(span):
                _log.warning("repair with %s stopped: %s", short(turn.peer), exchange.failure)
                return False
            self.repaired_leaves += span[1] - span[0] + 1
        self.differing[turn.peer] = 0
        return True

    # Whose turn it is, and whether all had theirs.

    def _turns(self) -> list[Turn]:
        services = self._services
        if services.store.recovering:
            return []  # Refill comes first.
        return [
            Turn(table, peer)
            for table in services.tables.all()
            for peer in sorted(self._spans_with(table.replication))
            if services.membership.is_alive(peer)
            and not services.membership.is_recovering(peer)
        ]

    def _new_turns(self) -> list[Turn]:
        return [turn for turn in self._turns() if turn.key not in self._compared]

    def _next_turn(self) -> Turn | None:
        turns = self._turns()
        if not turns:
            return None
        new = self._new_turns()
        self._at += 1
        # Failing ones must not keep the others from their turn, so these go round too.
        chosen = new or turns
        return chosen[self._at % len(chosen)]

    def _judge_sync(self) -> None:
        if self.is_in_sync or self._services.store.recovering:
            return
        if all(turn.key in self._compared for turn in self._turns()) and all(
            self._was_compared(table.id, table.replication)
            for table in self._services.tables.all()
        ):
            self.is_in_sync = True
            self._services.membership.update(in_sync=1)

    def _was_compared(self, table: bytes, replication: int) -> bool:
        """Whether each own range that has other replicas was compared with one of them."""
        node = self._services.node
        return all(
            any((table, peer) in self._compared for peer in part.replicas if peer != node)
            for part in self._services.ring.token_map.ranges_of(node, replication)
            if len(part.replicas) > 1
        )

    def _spans_with(self, replication: int) -> dict[NodeId, list[Span]]:
        token_map = self._services.ring.token_map
        if token_map is not self._spans_of:
            self._spans_of = token_map
            self._spans.clear()
        spans = self._spans.get(replication)
        if spans is None:
            spans = shared_spans(token_map, self._services.node, replication)
            self._spans[replication] = spans
        return spans
