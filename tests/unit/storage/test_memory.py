"""The memory store's own promises (anel.storage.memory, sorted_map): crash, rot, full disk."""

import contextlib
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anel.errors import CorruptData, DiskFailed, InvalidRequest
from anel.limits import ROW_BYTES_MAX
from anel.storage.memory import MemoryStore
from anel.storage.sorted_map import SortedMap
from tests.unit.storage.rows import END, TABLE, die, key_of, prefix, put


def numbers(store: MemoryStore) -> set[int]:
    page = store.page(TABLE, END, 1 << 30, 1 << 30)
    return {int(key[26 : 26 + key[25]]) for key, _ in page.records}


def new_store() -> tuple[MemoryStore, list[object]]:
    jobs: list[object] = []
    return MemoryStore(lambda: 0, sync=jobs.append), jobs


def test_a_crash_keeps_what_was_synced_and_a_prefix_of_the_rest() -> None:
    left = set()
    for seed in range(40):
        store, jobs = new_store()
        for number in range(3):
            store.apply(put(number))
        store.when_durable(lambda: None)
        for number in range(3, 7):
            store.apply(put(number))
        jobs.pop()()  # type: ignore[operator]
        store = store.crash(Random(seed))
        found = numbers(store)
        assert found == set(range(len(found)))
        left.add(len(found))
    assert left == {3, 4, 5, 6, 7}


def test_a_sync_that_ends_after_the_crash_is_ignored() -> None:
    store, jobs = new_store()
    store.apply(put(1))
    store.when_durable(lambda: pytest.fail("acknowledged by a dead process"))
    store.crash(Random(1))
    jobs.pop()()  # type: ignore[operator]


def test_rot_is_never_served_and_empties_the_next_start() -> None:
    store = MemoryStore(lambda: 0)
    for number in range(3):
        store.apply(put(number))
    store.rot(key_of(1))
    assert store.get(key_of(0))
    for read in (
        lambda: store.get(key_of(1)),
        lambda: store.page(TABLE, END, 9, 1 << 20),
        lambda: store.page_back(TABLE, END, 9, 1 << 20),
        lambda: store.apply(put(1, b"new", 2)),
    ):
        with pytest.raises(CorruptData):
            read()
    assert store.found_corrupt
    store = store.reopen()
    assert store.recovering
    assert "checksum" in store.damage
    assert not numbers(store)
    store.recovered()
    assert not store.reopen().recovering


def test_unread_rot_outlives_a_restart() -> None:
    store = MemoryStore(lambda: 0)
    assert store.rot_some(Random(1)) is None
    store.apply(put(1))
    assert store.rot_some(Random(1)) == key_of(1)
    store = store.reopen()
    with pytest.raises(CorruptData):
        store.get(key_of(1))


def test_a_full_disk_refuses_writes_and_changes_nothing() -> None:
    store = MemoryStore(lambda: 0)
    store.apply(put(1))
    store.is_full = True
    writes: list[Callable[[], object]] = [
        lambda: store.apply(put(1, b"new", 2)),
        lambda: store.apply(put(2)),
        lambda: store.put_meta(b"a", b"b"),
        lambda: store.truncate(TABLE),
    ]
    for write in writes:
        with pytest.raises(DiskFailed):
            write()
    assert numbers(store) == {1}
    assert store.summary(TABLE).rows == 1
    assert not store.work(1 << 62)  # A checkpoint is due, and waits.


def test_a_failing_sync_is_told_to_fatal() -> None:
    told: list[BaseException] = []
    store = MemoryStore(lambda: 0, fatal=told.append)
    store.fail_syncs = OSError("no")
    store.apply(put(1))
    store.when_durable(lambda: die(AssertionError("acknowledged")))
    assert told == [store.fail_syncs]


def test_a_row_that_would_grow_too_large_is_refused_and_nothing_changes() -> None:
    store = MemoryStore(lambda: 0)
    store.apply(put(1))
    before = store.get(key_of(1))
    with pytest.raises(InvalidRequest, match="is the most"):
        store.apply(put(1, bytes(ROW_BYTES_MAX), 2))
    assert store.get(key_of(1)) == before


@given(st.integers(0, 80))
def test_a_mutation_that_ends_early_is_refused(size: int) -> None:
    store = MemoryStore(lambda: 0)
    store.apply(put(1))
    whole = put(2)
    with pytest.raises(CorruptData):
        store.apply(whole[: min(size, len(whole) - 1)])
    assert numbers(store) == {1}


@given(st.integers(0, 200), st.integers(1, 255), st.booleans())
def test_a_mutation_with_a_wrong_byte_is_refused_or_is_another_one(
    at: int,
    change: int,
    known: bool,  # noqa: FBT001  # Drawn.
) -> None:
    store = MemoryStore(lambda: 0)
    if known:
        store.apply(put(2))
    mutation = bytearray(put(2, b"x", 2))
    mutation[at % len(mutation)] ^= change
    with contextlib.suppress(CorruptData):
        store.apply(bytes(mutation))
    assert not store.found_corrupt


def test_the_undo_log_is_bounded_without_syncs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anel.storage.memory.UNDO_MAX", 10)
    store = MemoryStore(lambda: 0, durability="none")
    for number in range(100):
        store.apply(put(number))
    assert len(store._undo) <= 11
    assert len(numbers(store.crash(Random(3)))) >= 89


def test_an_empty_prefix_of_meta_lists_everything() -> None:
    store = MemoryStore(lambda: 0)
    store.put_metas([(b"\xff", b"1"), (b"", b"2")])
    assert store.metas(b"", b"", 9) == [(b"", b"2"), (b"\xff", b"1")]
    assert store.metas(b"\xff", b"", 9) == [(b"\xff", b"1")]


def test_keys_of_different_partitions_do_not_mix() -> None:
    assert not key_of(1).startswith(prefix(11))


keys = st.binary(max_size=2)


@given(st.lists(st.tuples(st.booleans(), keys)), keys, keys, st.integers(1, 5))
def test_a_sorted_map_reads_as_a_sorted_dict(
    changes: list[tuple[bool, bytes]], start: bytes, end: bytes, count: int
) -> None:
    found, wanted = SortedMap(), {}
    for at, (is_put, key) in enumerate(changes):
        if is_put:
            found.put(key, b"")
            wanted[key] = b""
        else:
            found.remove(key)
            wanted.pop(key, None)
        if at % 7 == 0:
            found.keys(b"", None)  # Looking in between must not matter.
    inside = sorted(key for key in wanted if start <= key < end)
    assert found.keys(start, end) == inside
    assert found.keys(b"", None) == sorted(wanted)
    assert found.some_keys(start, end, count) == inside[:count]
    assert found.last_keys(start, end, count) == inside[::-1][:count]
    assert len(found) == len(wanted)
