"""What only the store on RocksDB does (anel.storage.rocks): refuse rather than stall."""

from pathlib import Path

import pytest

from anel.errors import Overloaded
from anel.storage.syncer import Done
from tests.unit.storage.rows import TABLE, key_of, numbers_in, open_store, put


def test_a_write_that_would_stall_the_loop_is_refused(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store._database.set_options({"write_buffer_size": "65536", "max_write_buffer_number": "2"})
    applied = 0

    def write_faster_than_the_disk() -> None:
        nonlocal applied
        for number in range(3_000):
            store.apply(put(number, bytes(50_000)))
            applied += 1

    with pytest.raises(Overloaded, match="cannot keep up"):
        write_faster_than_the_disk()
    assert numbers_in(store) == list(range(applied))
    assert store.summary(TABLE).rows == applied
    store.close()


class LateSyncer:
    """A syncer whose work waits until told."""

    def __init__(self) -> None:
        self.jobs: list[Done] = []
        self.done: list[Done] = []

    def run(self, blocking: object, done: Done) -> None:
        del blocking
        self.done.append(done)


def test_a_failed_fsync_ends_the_process_and_acknowledges_nothing(tmp_path: Path) -> None:
    told: list[BaseException] = []
    syncer = LateSyncer()
    store = open_store(tmp_path, syncer=syncer, fatal=told.append)
    store.apply(put(1))
    store.when_durable(lambda: pytest.fail("acknowledged"))
    error = OSError("the disk is gone")
    syncer.done.pop()(error)
    assert told == [error]
    assert not store.is_durable(key_of(1))
    store.close(flush=False)


def test_disk_bytes_grow_with_the_data(tmp_path: Path) -> None:
    clock = [0]
    store = open_store(tmp_path, now_ns=lambda: clock[0])
    before = store.disk_bytes()
    store.apply(put(1, bytes(100_000)))
    assert store.disk_bytes() == before  # Looked up once a second.
    clock[0] += 2_000_000_000
    assert store.disk_bytes() >= before + 100_000
    store.close()
