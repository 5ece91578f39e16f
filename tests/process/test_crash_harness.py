"""The store on RocksDB through kill -9, power loss and damage: no acknowledged row is lost.

A power loss is a kill after which each commit log is cut anywhere at or past its synced size. A
store may lose what it never promised; else it holds every acknowledged row or reports damage.

Source: CORRECTNESS 25.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from anel.data import row
from anel.errors import CorruptData
from anel.storage import opening
from anel.storage.ledger import Mark
from anel.storage.rocks import RocksStore
from anel.storage.syncer import ImmediateSyncer
from tests.process import crash_writer
from tests.process.crash_writer import TABLE

KILLS = 6
END = b"U" + bytes(15)


class Promises(NamedTuple):
    """What a writer's log says."""

    written: set[int]
    acked: set[int]
    synced: dict[str, int]
    refused: list[str]


def promises(log: Path) -> Promises:
    """Read a log; its last line may be torn."""
    found = Promises(set(), set(), {}, [])
    for line in log.read_text().splitlines(keepends=True):
        if line.endswith("\n"):
            kind, _, rest = line.strip().partition(" ")
            if kind == "F":
                found.refused.append(rest)
            elif kind == "S":
                found.synced.update(
                    {name: int(size) for name, size in (p.split("=") for p in rest.split())}
                )
            else:
                (found.acked if kind == "A" else found.written).add(int(rest))
    return found


def kill_one(home: Path, mode: str, random: Random) -> Promises:
    """Let a writer run for a while, kill it with -9, and tell what it had promised."""
    log = home / "log"
    value_bytes = random.choice([100, 4_000, 20_000])  # The last fills memtables meanwhile.
    arguments = [str(home / "store"), str(log), mode, str(random.getrandbits(32))]
    writer = subprocess.Popen(
        [sys.executable, crash_writer.__file__, *arguments, str(value_bytes), "1000000"]
    )
    enough = random.randint(20, 900)
    deadline = time.monotonic() + 20
    try:
        while time.monotonic() < deadline:
            if log.exists() and log.read_bytes().count(b"A ") >= enough:
                break
            assert writer.poll() is None, "the writer ended by itself"
            time.sleep(0.002)
    finally:
        writer.kill()
        writer.wait()
    found = promises(log)
    assert found.acked, "nothing was acknowledged in time"
    return found


def lose_power(store: Path, synced: dict[str, int], random: Random) -> None:
    for log in sorted((store / "live/db").glob("*.log")):
        size = log.stat().st_size
        os.truncate(log, random.randint(min(synced.get(log.name, 0), size), size))


def cut_a_log(store: Path, _: dict[str, int], random: Random) -> None:
    log = random.choice(sorted((store / "live/db").glob("*.log")))
    os.truncate(log, random.randint(0, log.stat().st_size))


def flip_a_bit(store: Path, _: dict[str, int], random: Random) -> None:
    file = random.choice(_files(store))
    data = bytearray(file.read_bytes())
    if data:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
        file.write_bytes(data)


def remove_a_file(store: Path, _: dict[str, int], random: Random) -> None:
    random.choice(_files(store)).unlink()


def do_nothing(store: Path, synced: dict[str, int], random: Random) -> None:
    pass


def _files(store: Path) -> list[Path]:
    return sorted(file for file in (store / "live").rglob("*") if file.is_file())


def open_store(path: Path) -> RocksStore:
    return RocksStore.open(
        path, syncer=ImmediateSyncer(), now_ns=time.monotonic_ns, fatal=crash_writer.die
    )


def numbers_in(store: RocksStore) -> set[int]:
    """List the rows of a store, having looked that each holds its own value."""
    numbers = set()
    for key, value in store.page(TABLE, END, 1 << 30, 1 << 40).records:
        number = int(key[26 + 4 : 26 + key[25]])
        (entry,) = row.decode(value)
        assert entry.value.startswith(b"%d:" % number)
        numbers.add(number)
    return numbers


def is_damaged(store: RocksStore, acked: set[int]) -> bool:
    """Tell whether the store reports damage; if not, it must hold every acknowledged row."""
    if store.recovering:
        assert store.damage
        return True
    try:
        found = numbers_in(store)
    except CorruptData:
        assert store.found_corrupt
        return True
    missing = sorted(acked - found)
    assert not missing, f"{len(missing)} acknowledged rows are gone, first {missing[0]}"
    return False


def check(
    home: Path,
    harm: Callable[[Path, dict[str, int], Random], None],
    random: Random,
    promised: Promises,
) -> bool:
    """Harm a copy of what the kill left and check what opens; tell whether it was damage."""
    copy = shutil.copytree(home / "store", home / "copy")
    harm(copy, promised.synced, random)
    store = open_store(copy)
    try:
        return is_damaged(store, promised.acked)
    finally:
        store.close()
        shutil.rmtree(copy)


@pytest.mark.parametrize("seed", range(KILLS))
def test_every_acknowledged_row_survives_or_damage_is_reported(
    tmp_path: Path, seed: int
) -> None:
    random = Random(seed)
    promised = kill_one(tmp_path, "honest", random)
    assert not check(tmp_path, do_nothing, random, promised)
    one_log = len(list((tmp_path / "store/live/db").glob("*.log"))) == 1
    # With several, RocksDB itself has synced more of the earlier ones than the writer logged.
    assert check(tmp_path, lose_power, random, promised) <= (not one_log)
    for harm in (lose_power, cut_a_log, flip_a_bit, remove_a_file):
        check(tmp_path, harm, random, promised)


def test_a_full_disk_is_told_and_loses_nothing_acknowledged(tmp_path: Path) -> None:
    arguments = [str(tmp_path / "store"), str(tmp_path / "log"), "full", "1", "2000", "5000"]
    writer = subprocess.run(
        [sys.executable, crash_writer.__file__, *arguments],
        check=False,
        timeout=30,
        capture_output=True,
    )
    promised = promises(tmp_path / "log")
    assert promised.refused or b"fatal" in writer.stderr  # The fsync may meet it first.
    assert len(promised.acked) > 100
    assert not check(tmp_path, do_nothing, Random(1), promised)


def test_without_the_ledger_a_cut_commit_log_would_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promised = kill_one(tmp_path, "honest", Random(1))
    monkeypatch.setattr(opening, "read_mark", lambda _: Mark(0, 0, 0, 0))

    def cut_often() -> None:
        for seed in range(20):
            check(tmp_path, cut_a_log, Random(seed), promised)

    with pytest.raises(AssertionError, match="acknowledged rows are gone"):
        cut_often()


def test_a_writer_that_acks_before_the_sync_is_caught(tmp_path: Path) -> None:
    for seed in range(10):
        random = Random(seed)
        home = tmp_path / str(seed)
        home.mkdir()
        promised = kill_one(home, "early", random)
        try:
            for _ in range(5):
                check(home, lose_power, random, promised)
        except AssertionError as error:
            assert "acknowledged rows are gone" in str(error)  # noqa: PT017
            return
    pytest.fail("ten power losses did not catch it")
