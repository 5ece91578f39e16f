"""The store's background work, in slices: re-reading dirty leaves, checkpoints, the scrub.

In this order of urgency; each step is short (about 0.1 ms), so that `work` can end on time::

    re-read      leaves that were dirty when the process died; until then summaries are partial
    checkpoint   each minute, the dirty leaves' values to disk; then a crash re-reads fewer
    scrub        all leaves again and again at a bounded rate: compares each with its records,
                 mends and counts what differs, and meets bytes that rotted on disk

Source: CORRECTNESS 7 and 23.
"""

from collections.abc import Sequence
from typing import Protocol, TypeAlias

from anel.limits import LEAVES
from anel.storage.store import Page
from anel.storage.summary import (
    CLEAN,
    DIRTY,
    DIRTY_STATE,
    LEAF_STATE,
    PENDING,
    SCANNING,
    TableSummary,
    leaf_bounds,
    state_name,
)

CHECKPOINT_PERIOD_NS = 60_000_000_000  # A full re-mark of all leaves costs 0.1 s: 0.2 % of it.
CHECKPOINT_LEAVES = 64  # Leaves in one step: about 0.2 ms.
SCAN_RECORDS = 100  # Records in one step: about 0.1 ms.
SCAN_BYTES = 256 * 1024
SCRUB_RECORDS_PER_S = 2_000  # 10**7 records in 83 minutes, at 0.3 % of a core.
"""Bounds of the upkeep; an empty leaf counts as one record."""

Changes: TypeAlias = Sequence[tuple[bytes, bytes | None]]


class _Kept(Protocol):
    scrub_corrections: int

    def now_ns(self) -> int: ...
    def tables(self) -> list[bytes]: ...
    def summary(self, table: bytes) -> TableSummary: ...
    def scan(self, start: bytes, end: bytes, records_max: int, bytes_max: int) -> Page: ...
    def write(self, records: Changes, states: Changes) -> None: ...


class Upkeep:
    """Which background work a store does next."""

    def __init__(self, store: _Kept) -> None:
        self._store = store
        self._scanned: TableSummary | None = None
        self._scanned_leaf = 0
        self._cursor = b""
        self._checkpoints: list[TableSummary] = []
        self._checkpoint_leaf = 0
        self._checkpoint_due_ns = store.now_ns() + CHECKPOINT_PERIOD_NS
        self._scrub_due_ns = 0
        self._scrub_table = b""
        self._scrub_leaf = 0

    def forget(self, summary: TableSummary) -> None:
        """Drop work under way on a table that was truncated."""
        if self._scanned is summary:
            self._scanned = None
        if summary in self._checkpoints:
            self._checkpoints.remove(summary)
            self._checkpoint_leaf = 0

    def work(self, until_ns: int) -> bool:
        """Do steps until this time; tell whether urgent ones are left."""
        while self._step():
            if self._store.now_ns() >= until_ns:
                return True
        return False

    def checkpoint_all(self) -> None:
        """Write every dirty leaf, so that the next open re-reads none of them."""
        if self._scanned is not None:
            self._scanned.abandon_scan(self._scanned_leaf)
            self._scanned = None
        self._checkpoints = [self._store.summary(table) for table in self._store.tables()]
        self._checkpoint_leaf = 0
        while self._checkpoints:
            self._checkpoint_step()

    def _step(self) -> bool:
        """Do the most urgent step; tell whether to go on now."""
        if self._scanned is not None:
            self._scan_step(self._scanned)
            return self._goes_on()
        pending = self._first_pending()
        if pending is not None:
            self._begin_scan(pending, pending.next_in(PENDING, 0))
        elif self._checkpoints:
            self._checkpoint_step()
        elif self._store.now_ns() >= self._checkpoint_due_ns:
            self._checkpoint_due_ns = self._store.now_ns() + CHECKPOINT_PERIOD_NS
            self._checkpoints = [self._store.summary(table) for table in self._store.tables()]
            self._checkpoint_leaf = 0
        else:
            self._begin_scrub()
            return False
        return True

    def _goes_on(self) -> bool:
        return self._scanned is None or self._scanned.pending > 0

    def _first_pending(self) -> TableSummary | None:
        for table in self._store.tables():
            summary = self._store.summary(table)
            if summary.pending:
                return summary
        return None

    def _begin_scan(self, summary: TableSummary, leaf: int) -> None:
        self._scanned = summary
        self._scanned_leaf = leaf
        self._cursor = summary.begin_scan(leaf)

    def _scan_step(self, summary: TableSummary) -> None:
        leaf = self._scanned_leaf
        end = leaf_bounds(summary.table, leaf)[1]
        page = self._store.scan(self._cursor, end, SCAN_RECORDS, SCAN_BYTES)
        self._cursor = summary.scanned(page.records)
        if page.more:
            return
        self._scanned = None
        is_scrub = summary.states[leaf] != SCANNING
        if not summary.end_scan(leaf) and is_scrub:
            self._store.scrub_corrections += 1
            self._store.write((), ((state_name(DIRTY_STATE, summary.table, leaf), b""),))
            summary.states[leaf] = DIRTY

    def _checkpoint_step(self) -> None:
        summary = self._checkpoints[0]
        states: list[tuple[bytes, bytes | None]] = []
        leaves: list[int] = []
        at = self._checkpoint_leaf
        while len(leaves) < CHECKPOINT_LEAVES and (at := summary.next_in(DIRTY, at)) >= 0:
            leaves.append(at)
            states += (
                (state_name(LEAF_STATE, summary.table, at), summary.checkpoint_of(at)),
                (state_name(DIRTY_STATE, summary.table, at), None),
            )
            at += 1
        self._checkpoint_leaf = at
        if at < 0:
            del self._checkpoints[0]
            self._checkpoint_leaf = 0
        if leaves:
            self._store.write((), states)
        for leaf in leaves:
            summary.states[leaf] = CLEAN

    def _begin_scrub(self) -> None:
        """Begin the next leaf's scrub when its time has come."""
        now = self._store.now_ns()
        tables = self._store.tables()
        if now < self._scrub_due_ns or not tables:
            return
        if self._scrub_leaf >= LEAVES or self._scrub_table not in tables:
            self._scrub_leaf = 0
            later = [table for table in tables if table > self._scrub_table]
            self._scrub_table = later[0] if later else tables[0]
        summary = self._store.summary(self._scrub_table)
        leaf = self._scrub_leaf
        self._scrub_leaf = leaf + 1
        records = max(1, summary.records[leaf])
        self._scrub_due_ns = now + records * 1_000_000_000 // SCRUB_RECORDS_PER_S
        self._begin_scan(summary, leaf)
