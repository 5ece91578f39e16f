"""Both stores keep the promises of `anel.storage.store`; the model sees when one does not."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from anel.storage.memory import MemoryStore
from anel.storage.records import Changes, RecordStore
from anel.storage.rocks import RocksStore
from anel.storage.store import Page
from anel.storage.summary import DIRTY_STATE, leaf_of, record_hash
from anel.storage.syncer import Done
from tests.conformance.store_model import Disk, StoreMachine

# Fsyncs mean nothing here, for crashes are imagined: spare the disk where that is easy.
IN_MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108, PTH112
Hook: TypeAlias = Any  # Handed on as it is.


class MemoryDisk(Disk[MemoryStore]):
    """The memory store with syncs that end when the machine says so."""

    kind: type[MemoryStore] = MemoryStore

    def __init__(self) -> None:
        super().__init__()
        self.store = self.kind(self.now_ns, sync=self.begin)

    def crash(self, random: Random) -> None:
        self.store = self.store.crash(random, sync=self.begin)

    def reopen(self) -> None:
        self.store = self.store.reopen(sync=self.begin)

    def discard(self) -> None:
        pass


class RocksDisk(Disk[RocksStore]):
    """RocksDB in a folder; a crash cuts the commit log anywhere past what was synced."""

    def __init__(self) -> None:
        super().__init__()
        self.path = Path(tempfile.mkdtemp(prefix="anel-store-", dir=IN_MEMORY))
        self.synced_sizes: dict[str, int] = {}
        self.folder = self.path / "store"
        self.store = self._open()

    def run(self, blocking: Callable[[], None], done: Done) -> None:
        def job() -> None:
            sizes = self._synced()
            blocking()
            self.synced_sizes = sizes
            done(None)

        self.begin(job)

    def crash(self, random: Random) -> None:
        crashed = self.path / f"store-{random.getrandbits(64)}"
        shutil.copytree(self.folder, crashed)  # For rocksdict writes everything when it closes.
        for log, size in self._sizes().items():
            kept = random.randint(self.synced_sizes.get(log.name, 0), size)
            os.truncate(crashed / "live/db" / log.name, kept)
        self.store.close(flush=False)
        shutil.rmtree(self.folder)
        self.folder = crashed
        self.store = self._open()

    def reopen(self) -> None:
        self.store.close()
        self.store = self._open()

    def discard(self) -> None:
        self.store.close(flush=False)
        shutil.rmtree(self.path)

    def _open(self) -> RocksStore:
        store = RocksStore.open(self.folder, syncer=self, now_ns=self.now_ns, fatal=_never)
        self.synced_sizes = self._synced()
        return store

    def _sizes(self) -> dict[Path, int]:
        logs = (self.folder / "live/db").glob("*.log")
        return {log: log.stat().st_size for log in sorted(logs)}

    def _synced(self) -> dict[str, int]:
        return {log.name: size for log, size in self._sizes().items()}


def _never(error: BaseException) -> None:
    raise AssertionError(error)


def check(disk: Callable[[], Disk[RecordStore]], examples: int) -> None:
    """Run the machine on a kind of disk. Shrinking would take longer than all the rest."""

    class Machine(StoreMachine):
        disk_of = staticmethod(disk)

    phases = [Phase.generate, Phase.shrink] if os.environ.get("SHRINK") else [Phase.generate]
    chosen = settings(
        max_examples=examples,
        stateful_step_count=40,
        phases=phases,
        suppress_health_check=[HealthCheck.too_slow],  # A busy machine is no reason to fail.
    )
    run_state_machine_as_test(Machine, settings=chosen)


def test_the_memory_store_agrees_with_the_model() -> None:
    check(MemoryDisk, examples=50)


def test_the_store_on_rocksdb_agrees_with_the_model() -> None:
    check(RocksDisk, examples=12)


class ForgetsTheOldHash(MemoryStore):
    def apply(self, mutation: bytes) -> int | None:
        before = dict(self._records.values)
        hidden = super().apply(mutation)
        for key, value in self._records.values.items():
            if key in before and before[key] != value:
                leaves = self.summary(key[:16]).leaves
                leaves[leaf_of(key)] ^= record_hash(key, before[key])
        return hidden


class ForgetsToMarkLeaves(MemoryStore):
    def write(self, records: Changes, states: Changes) -> None:
        super().write(records, [change for change in states if change[0][:1] != DIRTY_STATE])


class AcksBeforeTheSync(MemoryStore):
    def when_durable(self, callback: Callable[[], None], *, forced: bool = False) -> None:
        super().when_durable(callback, forced=forced)
        callback()


class AcksWhatTheSyncDidNotCover(MemoryStore):
    def when_durable(self, callback: Callable[[], None], *, forced: bool = False) -> None:
        waiting = self.commit._syncing
        if waiting:
            waiting.append(callback)
        else:
            super().when_durable(callback, forced=forced)


class TellsDurableTooSoon(MemoryStore):
    def is_durable(self, key: bytes) -> bool:
        return key not in self.commit.fresh


class LosesWhatWasSynced(MemoryStore):
    def crash(self, random: Random, **hooks: Hook) -> MemoryStore:
        for key in self._records.keys(b"", None)[:1]:
            self._records.remove(key)
        return super().crash(random, **hooks)


class LosesTheMiddle(MemoryStore):
    def crash(self, random: Random, **hooks: Hook) -> MemoryStore:
        if len(self._undo) > 2:
            for where, key, old in self._undo.pop(0):
                where.remove(key) if old is None else where.put(key, old)
        return super().crash(random, **hooks)


class EndsPagesEarly(MemoryStore):
    def page(self, start: bytes, end: bytes, records_max: int, bytes_max: int) -> Page:
        return super().page(start, end, records_max, bytes_max)._replace(more=False)


class AppliesHalf(MemoryStore):
    def write(self, records: Changes, states: Changes) -> None:
        super().write(records[:1], states)


class HidesNothing(MemoryStore):
    def apply(self, mutation: bytes) -> int | None:
        super().apply(mutation)
        return None


@pytest.mark.parametrize(
    "planted",
    [
        AcksBeforeTheSync,
        AcksWhatTheSyncDidNotCover,
        AppliesHalf,
        EndsPagesEarly,
        ForgetsTheOldHash,
        ForgetsToMarkLeaves,
        HidesNothing,
        LosesTheMiddle,
        LosesWhatWasSynced,
        TellsDurableTooSoon,
    ],
)
def test_a_planted_bug_is_caught(planted: type[MemoryStore]) -> None:
    class PlantedDisk(MemoryDisk):
        kind = planted

        def crash(self, random: Random) -> None:
            super().crash(random)
            self._plant()

        def reopen(self) -> None:
            super().reopen()
            self._plant()

        def _plant(self) -> None:
            self.store.__class__ = planted

    with pytest.raises(AssertionError):
        check(PlantedDisk, examples=200)
