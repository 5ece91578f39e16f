"""The store's background work (anel.storage.upkeep): re-reading, checkpoints, the scrub."""

from functools import reduce
from operator import xor
from random import Random

import pytest

from anel.limits import LEAVES
from anel.storage.memory import MemoryStore
from anel.storage.summary import CLEAN, DIRTY, GROUP_LEAVES, PENDING, leaf_of, record_hash
from anel.storage.upkeep import CHECKPOINT_PERIOD_NS
from tests.unit.storage.rows import END, TABLE, put

S = 1_000_000_000


class Clock:
    """An imagined clock; each look takes as long as one wants."""

    def __init__(self) -> None:
        self.ns = 0
        self.look_ns = 0

    def __call__(self) -> int:
        self.ns += self.look_ns
        return self.ns


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> MemoryStore:
    return MemoryStore(clock)


def in_one_leaf(number: int, value: bytes = b"v", stamp: int = 1) -> bytes:
    """Make a row of the first leaf's token 0 + number."""
    mutation = bytearray(put(number, value, stamp))
    mutation[24:32] = number.to_bytes(8, "big")
    return bytes(mutation)


def recomputed(store: MemoryStore) -> int:
    """Hash every record, the slow way."""
    records = store.page(TABLE, END, 1 << 30, 1 << 30).records
    return reduce(xor, (record_hash(*record) for record in records), 0)


def is_exact(store: MemoryStore) -> bool:
    summary = store.summary(TABLE)
    return (
        summary.is_complete
        and summary.span(0, LEAVES - 1) == recomputed(store)
        and summary.rows == len(store.page(TABLE, END, 1 << 30, 1 << 30).records)
    )


def finish(store: MemoryStore, clock: Clock) -> None:
    while store.work(clock.ns + 1):
        pass


def test_after_a_crash_dirty_leaves_are_read_again(store: MemoryStore, clock: Clock) -> None:
    for number in range(50):
        store.apply(put(number))
    again = store.crash(Random(1))
    assert not again.summary(TABLE).is_complete
    finish(again, clock)
    assert is_exact(again)


@pytest.mark.parametrize("seed", range(8))
def test_writes_while_a_leaf_is_read_again_are_counted_once(
    store: MemoryStore, clock: Clock, seed: int
) -> None:
    random = Random(seed)
    for number in range(450):
        store.apply(in_one_leaf(number))
    store.when_durable(lambda: None)
    store = store.crash(random)
    clock.look_ns = 1  # So that each `work` does one step: 100 records of the leaf's 450.
    stamp = 2
    while store.work(clock.ns + 1):
        for _ in range(random.randrange(4)):
            stamp += 1
            store.apply(in_one_leaf(random.randrange(500), b"new", stamp))
    assert is_exact(store)


def test_a_checkpoint_leaves_nothing_to_read_again(store: MemoryStore, clock: Clock) -> None:
    for number in range(50):
        store.apply(put(number))
    clock.ns += CHECKPOINT_PERIOD_NS
    finish(store, clock)
    assert DIRTY not in store.summary(TABLE).states
    store.apply(put(7, b"later", 2))
    store.when_durable(lambda: None)
    store = store.crash(Random(1))
    assert store.summary(TABLE).pending == GROUP_LEAVES
    finish(store, clock)
    assert is_exact(store)


def test_an_orderly_end_in_the_middle_of_reading_again_loses_nothing(
    store: MemoryStore, clock: Clock
) -> None:
    for number in range(450):
        store.apply(in_one_leaf(number))
    store.when_durable(lambda: None)
    store = store.crash(Random(1))
    clock.look_ns = 1
    store.work(clock.ns + 1)
    store.work(clock.ns + 1)
    store = store.reopen()
    assert PENDING in store.summary(TABLE).states
    clock.look_ns = 0
    finish(store, clock)
    assert is_exact(store)


def scrub(store: MemoryStore, clock: Clock) -> None:
    """Let a whole pass happen at the scrub's own pace."""
    for _ in range(2 * LEAVES // store.SCRUB_RECORDS_PER_S):
        clock.ns += S
        for _ in range(10):
            clock.ns += S // 10
            store.work(clock.ns + 1)


def test_the_scrub_mends_and_counts_what_the_write_path_did_not_see(
    store: MemoryStore, clock: Clock
) -> None:
    for number in range(20):
        store.apply(put(number))
    key = store.page(TABLE, END, 1, 1).records[0][0]
    store.summary(TABLE).leaves[leaf_of(key)] ^= 1
    scrub(store, clock)
    assert store.scrub_corrections == 1
    assert is_exact(store)
    store.when_durable(lambda: None)
    store = store.crash(Random(1))  # The mended leaf was marked, so it stays mended.
    finish(store, clock)
    assert is_exact(store)


@pytest.mark.parametrize("seed", range(4))
def test_writes_during_a_scrub_are_not_taken_for_errors(
    store: MemoryStore, clock: Clock, seed: int
) -> None:
    random = Random(seed)
    for number in range(450):
        store.apply(in_one_leaf(number))
    clock.ns += CHECKPOINT_PERIOD_NS
    finish(store, clock)
    assert store.summary(TABLE).states[0] == CLEAN
    stamp = 2
    clock.look_ns = 1
    for _ in range(40):
        clock.ns += 20 * S
        store.work(clock.ns + 1)
        stamp += 1
        store.apply(in_one_leaf(random.randrange(500), b"new", stamp))
    assert store.scrub_corrections == 0
    assert is_exact(store)


def test_the_scrub_keeps_to_its_rate(store: MemoryStore, clock: Clock) -> None:
    store.apply(put(1))
    scanned = 0
    scan = store.scan

    def counted(*arguments: int) -> object:
        nonlocal scanned
        scanned += 1
        return scan(*arguments)  # type: ignore[arg-type]

    store.scan = counted  # type: ignore[method-assign, assignment]
    for _ in range(100):
        clock.ns += S // 10
        store.work(clock.ns + 1_000_000)
    assert 8 <= scanned / store.SCRUB_RECORDS_PER_S <= 11  # Ten seconds, one empty leaf each.
