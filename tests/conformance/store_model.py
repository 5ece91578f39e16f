"""The model that every store must agree with, as a Hypothesis state machine.

The model is a plain dict, its whole history, and the knowledge of which moment is synced. A
`Disk` hides how a store is made, synced and crashed, so that both stores face the same machine.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import reduce
from operator import xor
from random import Random
from typing import Generic, NamedTuple, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from anel.data import mutation, row
from anel.data.row import Entry, Kind
from anel.limits import LEAVES
from anel.storage.records import RecordStore
from anel.storage.summary import leaf_of, record_hash

TABLES = (b"A" * 16, b"B" * 16)
LAST = b"\xff" * 16
# Two tokens in one leaf, and the last leaf.
TOKENS = (5, 6, (1 << 63) - 1)
LEAVES_USED = (LEAVES // 2, LEAVES - 1)


class Moment(NamedTuple):
    """Everything a store holds at one time."""

    records: dict[bytes, bytes]
    metas: dict[bytes, bytes]


S_co = TypeVar("S_co", bound=RecordStore, covariant=True)


class Disk(ABC, Generic[S_co]):
    """How one kind of store is made, synced and crashed.

    Attributes:
        jobs: What a sync under way still has to do, and the moment at which it began.
        moment: Tells the present moment's number; set by the machine.
    """

    store: S_co
    clock_ns = 0

    def __init__(self) -> None:
        self.jobs: list[tuple[Callable[[], None], int]] = []
        self.moment: Callable[[], int] = lambda: 0

    def begin(self, job: Callable[[], None]) -> None:
        """Keep a sync's work until the machine lets it happen."""
        self.jobs.append((job, self.moment()))

    def now_ns(self) -> int:
        """Tell the imagined time; it moves a little at each look."""
        self.clock_ns += 1_000
        return self.clock_ns

    @abstractmethod
    def crash(self, random: Random) -> None:
        """Replace `store` by what a process started after a power loss finds."""

    @abstractmethod
    def reopen(self) -> None:
        """Replace `store` after an orderly end."""

    @abstractmethod
    def discard(self) -> None:
        """End the store and remove its files."""


def _entries() -> st.SearchStrategy[Entry]:
    stamps = st.integers(1, 6)
    names = st.sampled_from([b"a", b"b"])
    values = st.sampled_from([b"", b"x", b"yy"])
    return st.one_of(
        st.builds(row.cell, names, values, stamps),
        st.builds(lambda n, v, t: row.cell(n, v, t, b"p"), names, values, stamps),
        st.builds(lambda n, t: row.tombstone(n, t, t), names, stamps),
        st.builds(lambda t: row.row_deletion(t, t), stamps),
        st.builds(row.liveness, stamps),
        st.builds(lambda n, t: Entry(Kind.EXPIRING, n, b"", t, b"z", 100, 1, t), names, stamps),
    )


def _rows() -> st.SearchStrategy[bytes]:
    unique = st.lists(_entries(), min_size=1, max_size=3, unique_by=lambda entry: entry.slot)
    plain = st.builds(
        lambda v, t: row.encode([row.cell(b"a", v, t), row.cell(b"b", v, t)]),
        st.sampled_from([b"1", b"22"]),
        st.integers(1, 6),
    )
    return st.one_of(plain, unique.map(row.encode))


_clusterings = st.sampled_from([b"", b"c", b"d"])
_deletions = st.integers(1, 6).map(
    lambda stamp: mutation.encode_deletion(mutation.Deletion(stamp, stamp))
)


def _records() -> st.SearchStrategy[tuple[bytes, bytes]]:
    row_records = st.tuples(_clusterings.map(lambda c: mutation.ROW + c), _rows())
    static = st.tuples(st.just(mutation.STATIC), _rows())
    partition = st.tuples(st.just(mutation.PARTITION_DELETION), _deletions)
    span = st.tuples(
        st.builds(mutation.range_deletion_sub, _clusterings, _clusterings), _deletions
    )
    return st.one_of(row_records, row_records, row_records, static, partition, span)


_prefixes = st.builds(
    mutation.prefix_of,
    st.sampled_from(TABLES),
    st.sampled_from(TOKENS),
    st.sampled_from([b"", b"k"]),
)
mutations = st.builds(
    mutation.encode,
    st.integers(1, 6),
    _prefixes,
    st.lists(_records(), min_size=1, max_size=3),
)
_plain = st.builds(
    mutation.one_row, st.integers(1, 6), _prefixes, st.just(mutation.ROW + b"c"), _rows()
)
_names = st.sampled_from([b"clock", b"h/1", b"h/2", b"ring"])
_bounds = st.one_of(
    st.just(TABLES[0]),
    st.just(LAST),
    _prefixes,
    st.builds(lambda p: p + mutation.ROW + b"c", _prefixes),
)


class StoreMachine(RuleBasedStateMachine):
    """Drive a store and the model side by side. Subclasses say which `Disk`."""

    disk_of: Callable[[], Disk[RecordStore]]

    def __init__(self) -> None:
        super().__init__()
        self.disk: Disk[RecordStore] | None = None

    @property
    def store(self) -> RecordStore:
        assert self.disk is not None
        return self.disk.store

    @initialize()
    def start(self) -> None:
        self.disk = type(self).disk_of()
        self.history = [Moment({}, {})]
        self.changed_at: dict[bytes, int] = {}
        self.synced = 0
        self.disk.moment = lambda: len(self.history) - 1

    def teardown(self) -> None:
        if self.disk is not None:
            self.disk.discard()

    # Changes.

    @property
    def now(self) -> Moment:
        return self.history[-1]

    def _becomes(self, records: dict[bytes, bytes], metas: dict[bytes, bytes]) -> None:
        for key in sorted(records.keys() | self.now.records.keys()):
            if records.get(key) != self.now.records.get(key):
                self.changed_at[key] = len(self.history)
        self.history.append(Moment(records, metas))

    @rule(changes=st.lists(st.one_of(_plain, _plain, mutations), min_size=1, max_size=8))
    def apply(self, changes: list[bytes]) -> None:
        for change in changes:
            self._apply(change)

    def _apply(self, change: bytes) -> None:
        _, prefix, parts = mutation.decode(change)
        records = dict(self.now.records)
        hidden = [
            stamp for sub, new in parts for stamp in hiding(self.now.records, prefix, sub, new)
        ]
        for sub, new in parts:
            records[prefix + sub] = mutation.merge_record(
                sub, records.get(prefix + sub, b""), new
            )
        assert self.store.apply(change) == max(hidden, default=None)
        if records != self.now.records:
            self._becomes(records, self.now.metas)

    @rule(name=_names, value=st.sampled_from([None, b"", b"1", b"2"]))
    def put_meta(self, name: bytes, value: bytes | None) -> None:
        self.put_metas([(name, value)])

    @rule(changes=st.lists(st.tuples(_names, st.sampled_from([None, b"3", b"4"])), max_size=3))
    def put_metas(self, changes: list[tuple[bytes, bytes | None]]) -> None:
        metas = dict(self.now.metas)
        for name, value in changes:
            metas.pop(name, None)
            if value is not None:
                metas[name] = value
        if len(changes) == 1:
            self.store.put_meta(*changes[0])
        else:
            self.store.put_metas(changes)
        self._becomes(self.now.records, metas)

    @rule(table=st.sampled_from(TABLES))
    def truncate(self, table: bytes) -> None:
        self.store.truncate(table)
        kept = {key: value for key, value in self.now.records.items() if key[:16] != table}
        self._becomes(kept, self.now.metas)
        for key in self.changed_at:
            if key[:16] == table:
                self.changed_at[key] = len(self.history) - 1

    # Syncs, crashes, upkeep.

    @rule(forced=st.booleans())
    def wait(self, forced: bool) -> None:  # noqa: FBT001  # Drawn.
        covers = len(self.history) - 1

        def durable() -> None:
            assert covers <= self.synced, "acknowledged before it was synced"

        self.store.when_durable(durable, forced=forced)

    @rule()
    def finish_sync(self) -> None:
        assert self.disk is not None
        if self.disk.jobs:
            job, self.synced = self.disk.jobs.pop(0)
            job()

    @rule(seed=st.integers(0, 1 << 32))
    def crash(self, seed: int) -> None:
        assert self.disk is not None
        self.disk.jobs.clear()
        self.disk.crash(Random(seed))
        self._adopt(self.history[self.synced :])

    @rule()
    def reopen(self) -> None:
        assert self.disk is not None
        while self.disk.jobs:
            self.finish_sync()
        self.disk.reopen()
        self._adopt(self.history[-1:])

    def _adopt(self, allowed: list[Moment]) -> None:
        """Go on from what is found, which must be one of these moments."""
        assert not self.store.recovering, self.store.damage
        page = self.store.page(TABLES[0], LAST, 1 << 30, 1 << 30)
        found = Moment(dict(page.records), dict(self.store.metas(b"", b"", 1 << 30)))
        assert found in allowed, "what a sync covered is gone, or changes are out of order"
        self.history = [found]
        self.changed_at = {}
        self.synced = 0

    @rule(steps=st.integers(1, 40))
    def work(self, steps: int) -> None:
        assert self.disk is not None
        self.store.work(self.disk.now_ns() + steps * 1_000)

    @rule()
    def a_minute_passes(self) -> None:
        assert self.disk is not None
        self.disk.clock_ns += 61_000_000_000

    # Reads.

    @rule(key=_bounds)
    def get(self, key: bytes) -> None:
        assert self.store.get(key) == self.now.records.get(key)

    @rule(
        start=_bounds,
        end=_bounds,
        most=st.integers(1, 4),
        size=st.sampled_from([1, 60, 1 << 20]),
    )
    def page(self, start: bytes, end: bytes, most: int, size: int) -> None:
        for first, last in ((start, end), (TABLES[0], LAST)):
            inside = sorted(
                item for item in self.now.records.items() if first <= item[0] < last
            )
            check_page(self.store.page(first, last, most, size), inside, most, size)
            check_page(self.store.page_back(first, last, most, size), inside[::-1], most, size)

    @rule(
        prefix=st.sampled_from([b"", b"h", b"h/", b"x"]), start=_names, most=st.integers(1, 3)
    )
    def metas(self, prefix: bytes, start: bytes, most: int) -> None:
        wanted = sorted(
            item
            for item in self.now.metas.items()
            if item[0].startswith(prefix) and item[0] >= start
        )
        assert self.store.metas(prefix, start, most) == wanted[:most]
        assert self.store.get_meta(start) == self.now.metas.get(start)

    @rule()
    def spans(self) -> None:
        for table in TABLES:
            summary = self.store.summary(table)
            if summary.is_complete:
                hashes = [record_hash(*record) for record in self._records_of(table)]
                assert summary.span(0, LEAVES - 1) == reduce(xor, hashes, 0)

    @invariant()
    def summaries_equal_a_recomputation(self) -> None:
        if self.disk is None:
            return
        for table in TABLES:
            records = self._records_of(table)
            summary = self.store.summary(table)
            if summary.is_complete:
                assert summary.rows == len(records)
                leaves = dict.fromkeys(LEAVES_USED, 0)
                for key, value in records:
                    leaves[leaf_of(key)] ^= record_hash(key, value)
                for leaf, digest in leaves.items():
                    assert summary.leaf(leaf) == digest
            if any(key[26 + key[25] :] < mutation.STATIC for key, _ in records):
                assert self.store.has_fronts(table)
            if records:
                assert table in self.store.tables()
        assert not self.store.scrub_corrections

    def _records_of(self, table: bytes) -> list[tuple[bytes, bytes]]:
        return [record for record in self.now.records.items() if record[0][:16] == table]

    @invariant()
    def durability_is_told_exactly(self) -> None:
        if self.disk is not None:
            for key, moment in self.changed_at.items():
                assert self.store.is_durable(key) == (moment <= self.synced)


def hiding(records: dict[bytes, bytes], prefix: bytes, sub: bytes, new: bytes) -> list[int]:
    """List the stored timestamps that hide part of a new record, the slow and plain way."""
    partition = {
        key[len(prefix) :]: value for key, value in records.items() if key.startswith(prefix)
    }
    old = partition.get(sub, b"")
    if sub >= mutation.STATIC:
        fronts = [(s, v) for s, v in partition.items() if s < mutation.STATIC]
        covers = [mutation.covered_to(sub, [front]) for front in fronts]
        oldest = min(entry.timestamp for entry in row.decode(new))
        under = [stamp for stamp in covers if stamp is not None and stamp >= oldest]
        cells = row.dominant(old, new)
        return under if cells is None else [*under, cells]
    stamp = mutation.decode_deletion(new).timestamp
    rows = [
        row.stamp_of(value)
        for s, value in partition.items()
        if s >= mutation.STATIC and mutation.covered_to(s, [(sub, new)]) is not None
    ]
    if old:
        rows.append(mutation.decode_deletion(old).timestamp)
    return [other for other in rows if other > stamp]


def check_page(
    page: tuple[list[tuple[bytes, bytes]], bool],
    wanted: list[tuple[bytes, bytes]],
    most: int,
    size: int,
) -> None:
    """Check one page against all records of its range, in its order."""
    records, more = page
    assert records == wanted[: len(records)]
    assert more == (len(records) < len(wanted))
    if more:
        used = sum(len(key) + len(value) for key, value in records)
        assert len(records) == most or used >= size
    assert len(records) <= most
    assert bool(records) == bool(wanted)
