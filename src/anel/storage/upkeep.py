"""The store's background work, in slices: re-reading dirty leaves, checkpoints, the scrub.

In this order of urgency; each step is short (about 0.1 ms), so that `work` can end on time::

    re-read      leaves that were dirty when the process died; until then summaries are partial
    checkpoint   each minute, the dirty leaves' values to disk; then a crash re-reads fewer
    scrub        all leaves again and again at a bounded rate: compares each with its records,
                 mends and counts what differs, and meets bytes that rotted on disk

Source: CORRECTNESS 7 and 23.
"""

from collections.abc import Sequence
from enum import Enum, auto
from typing import Protocol, TypeAlias

from anel.limits import LEAVES
from anel.storage.store import Page
from anel.storage.summary import (
    CHUNK_LEAVES,
    DIRTY,
    PENDING,
    SCANNING,
    TableSummary,
    chunk_name,
    leaf_bounds,
    mark_name,
)

CHECKPOINT_PERIOD_NS = 60_000_000_000  # A crash then re-reads what one minute touched.
SCAN_RECORDS = 100  # Records in one step: about 0.1 ms.
SCAN_BYTES = 256 * 1024
SCRUB_RECORDS_PER_S = 2_000  # 10**7 records in 83 minutes, at 0.3 % of a core. An empty leaf
# counts as one record.
SCRUB_BURST_NS = 200_000_000  # What was not used may be caught up with, this much at once.

Changes: TypeAlias = Sequence[tuple[bytes, bytes | None]]


class Step(Enum):
    """What a step was."""

    URGENT = auto()
    SCRUB = auto()
    IDLE = auto()  # Nothing was done.


class _Kept(Protocol):
    scrub_corrections: int

    def now_ns(self) -> int: ...
    def tables(self) -> list[bytes]: ...
    def summary(self, table: bytes) -> TableSummary: ...
    def scan(self, start: bytes, end: bytes, records_max: int, bytes_max: int) -> Page: ...
    def write(self, records: Changes, states: Changes) -> None: ...


class Upkeep:
    """Which background work a store does next.

    Args:
        store: Whose.
        scrub_records_per_s: The scrub's rate.
    """

    def __init__(self, store: _Kept, scrub_records_per_s: int) -> None:
        self._store = store
        self._scrub_record_ns = 1_000_000_000 // scrub_records_per_s
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
        while (step := self._step()) is not Step.IDLE:
            if self._store.now_ns() >= until_ns:
                break
        return step is Step.URGENT

    def stop_scan(self) -> None:
        """Leave off the leaf that is being read: its bytes are corrupt, or the store closes."""
        if self._scanned is not None:
            self._scanned.abandon_scan(self._scanned_leaf)
            self._scanned = None

    def checkpoint_all(self) -> None:
        """Write every dirty leaf, so that the next open re-reads none of them."""
        self.stop_scan()
        self._checkpoints = [self._store.summary(table) for table in self._store.tables()]
        self._checkpoint_leaf = 0
        while self._checkpoints:
            self._checkpoint_step()

    def _step(self) -> "Step":
        """Do the most urgent step."""
        if self._scanned is not None:
            is_scrub = not self._scanned.pending
            self._scan_step(self._scanned)
            return Step.SCRUB if is_scrub else Step.URGENT
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
            return Step.SCRUB if self._begin_scrub() else Step.IDLE
        return Step.URGENT

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
            self._store.write((), ((mark_name(summary.table, leaf), b""),))
            summary.mark(leaf)

    def _checkpoint_step(self) -> None:
        """Write one chunk of leaves and remove its dirty marks: about 0.1 ms."""
        summary = self._checkpoints[0]
        first = summary.next_in(DIRTY, self._checkpoint_leaf)
        if first < 0:
            del self._checkpoints[0]
            self._checkpoint_leaf = 0
            return
        chunk = first // CHUNK_LEAVES
        self._checkpoint_leaf = (chunk + 1) * CHUNK_LEAVES
        groups = summary.unmarkable(chunk)
        states: list[tuple[bytes, bytes | None]] = [
            (mark_name(summary.table, leaf), None) for leaf in groups
        ]
        states.append((chunk_name(summary.table, chunk), summary.checkpoint_of(chunk)))
        if groups:
            self._store.write((), states)
        for leaf in groups:
            summary.unmark(leaf)

    def _begin_scrub(self) -> bool:
        """Begin the next leaf's scrub if its time has come; tell whether it has."""
        now = self._store.now_ns()
        tables = self._store.tables()
        if now < self._scrub_due_ns or not tables:
            return False
        if self._scrub_leaf >= LEAVES or self._scrub_table not in tables:
            self._scrub_leaf = 0
            later = [table for table in tables if table > self._scrub_table]
            self._scrub_table = later[0] if later else tables[0]
        summary = self._store.summary(self._scrub_table)
        leaf = self._scrub_leaf
        self._scrub_leaf = leaf + 1
        cost_ns = max(1, summary.records[leaf]) * self._scrub_record_ns
        self._scrub_due_ns = max(self._scrub_due_ns, now - SCRUB_BURST_NS) + cost_ns
        self._begin_scan(summary, leaf)
        return True
