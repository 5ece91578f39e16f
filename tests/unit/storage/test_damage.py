"""Damage to a store's files (anel.storage.opening, folder, ledger): noticed, set aside."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from anel.errors import ConfigurationError, CorruptData, UnknownFormat
from anel.storage.rocks import RocksStore
from tests.unit.storage.rows import key_of, numbers_in, open_store, put

ROWS = 300


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make what a killed process leaves: rows in an sstable and in the commit log, synced."""
    home = tmp_path_factory.mktemp("written")
    store = open_store(home / "open")
    for number in range(ROWS):
        store.apply(put(number, bytes(100)))
        if number == ROWS // 2:
            store._database.flush()
            store._states.flush()
    store.when_durable(lambda: None)
    shutil.copytree(home / "open", home / "killed")
    store.close()
    return home / "killed"


@pytest.fixture
def path(written: Path, tmp_path: Path) -> Path:
    return shutil.copytree(written, tmp_path / "store")


def only(path: Path, pattern: str) -> Path:
    """Give the largest file of a pattern in the database."""
    return max((path / "live/db").glob(pattern), key=lambda file: file.stat().st_size)


def flip(file: Path, at: float) -> None:
    """Flip one bit, at this part of the file's length."""
    data = bytearray(file.read_bytes())
    data[int(len(data) * at)] ^= 4
    file.write_bytes(data)


def cut(file: Path, to: float) -> None:
    """Shorten a file to this part of its length."""
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * to)])


def write(file: Path, text: str) -> None:
    """Replace a file's text."""
    file.write_text(text)


def names(path: Path) -> list[str]:
    """List everything under a folder."""
    return sorted(str(file.relative_to(path)) for file in path.rglob("*"))


def test_what_a_killed_process_leaves_is_opened_whole(path: Path) -> None:
    store = open_store(path)
    assert (store.recovering, store.damage) == (False, "")
    assert numbers_in(store) == list(range(ROWS))
    store.close()


AT_OPEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "a flipped bit in the commit log": (lambda p: flip(only(p, "*.log"), 0.5), "checksum"),
    "a flipped bit near its end": (lambda p: flip(only(p, "*.log"), 0.999), "checksum"),
    "a commit log cut in half": (lambda p: cut(only(p, "*.log"), 0.5), "commit log ends at"),
    "an emptied commit log": (lambda p: cut(only(p, "*.log"), 0), "commit log ends at"),
    "a removed commit log": (lambda p: only(p, "*.log").unlink(), "commit log ends at"),
    "a removed sstable": (lambda p: only(p, "*.sst").unlink(), "No such file"),
    "a cut sstable": (lambda p: cut(only(p, "*.sst"), 0.9), "Corruption"),
    "a flipped bit in an sstable's footer": (lambda p: flip(only(p, "*.sst"), 0.999), "sst"),
    "a removed manifest": (lambda p: only(p, "MANIFEST*").unlink(), "MANIFEST"),
    "a cut manifest": (lambda p: cut(only(p, "MANIFEST*"), 0.99), "had been synced"),
    "a flipped bit in the manifest": (lambda p: flip(only(p, "MANIFEST*"), 0.5), "checksum"),
    "a removed CURRENT": (lambda p: only(p, "CURRENT").unlink(), "CURRENT"),
    "an emptied CURRENT": (lambda p: cut(only(p, "CURRENT"), 0), "CURRENT"),
    "an older CURRENT": (lambda p: write(only(p, "CURRENT"), "MANIFEST-000001\n"), "older"),
    "a removed ledger": (lambda p: (p / "live/synced").unlink(), "synced is missing"),
    "a spoilt ledger": (lambda p: write(p / "live/synced", "?" * 600), "unreadable"),
    "a removed format file": (lambda p: (p / "FORMAT").unlink(), "FORMAT is missing"),
    "a removed database": (lambda p: shutil.rmtree(p / "live/db"), "CURRENT"),
    "a removed live folder": (lambda p: shutil.rmtree(p / "live"), "live is missing"),
}


@pytest.mark.parametrize("case", AT_OPEN)
def test_damage_found_at_open_sets_the_whole_store_aside(path: Path, case: str) -> None:
    harm, told = AT_OPEN[case]
    harm(path)
    was_there = (path / "live").exists()
    store = open_store(path)
    assert store.recovering
    assert told in store.damage
    assert "refilled from the other replicas" in store.damage
    assert numbers_in(store) == []
    assert (path / "damaged-1").exists() == was_there
    store.close()


def test_a_flipped_bit_in_an_sstable_never_keeps_the_store_from_opening(
    written: Path, tmp_path: Path
) -> None:
    recovering = []
    for file in sorted((written / "live/db").glob("*.sst")):
        for at in (0.01, 0.1, 0.25, 0.5, 0.75):
            copy = shutil.copytree(written, tmp_path / f"{file.stem}-{at}")
            flip(copy / "live/db" / file.name, at)
            store = open_store(copy)
            recovering.append(store.recovering)
            assert store.recovering == ("set aside in" in store.damage)
            store.close()
    # The states are read at open, rows only when they are asked for.
    assert any(recovering)
    assert not all(recovering)


def test_a_store_stays_recovering_until_it_is_refilled(path: Path) -> None:
    only(path, "*.log").unlink()
    store = open_store(path)
    told = store.damage
    store.apply(put(1))
    store.close()
    store = open_store(path)
    assert (store.recovering, store.damage) == (True, told)
    assert numbers_in(store) == [1]
    store.recovered()
    assert (store.recovering, store.damage) == (False, "")
    store.close()
    store = open_store(path)
    assert (store.recovering, store.damage) == (False, "")
    store.close()


def test_a_second_damage_is_set_aside_beside_the_first(path: Path) -> None:
    only(path, "*.log").unlink()
    open_store(path).close()
    (path / "live/synced").unlink()
    store = open_store(path)
    assert "damaged-2" in store.damage
    store.close()


def read_all(store: RocksStore) -> None:
    numbers_in(store)


def read_backwards(store: RocksStore) -> None:
    store.page_back(b"", b"\xff" * 20, 1 << 30, 1 << 30)


def read_each(store: RocksStore) -> None:
    for number in range(ROWS):
        assert store.get(key_of(number)) is not None


def write_each(store: RocksStore) -> None:
    for number in range(ROWS):
        store.apply(put(number, b"new", 2))


@pytest.mark.parametrize("touch", [read_all, read_backwards, read_each, write_each])
def test_a_rotten_block_is_never_served_and_noted_for_the_next_open(
    path: Path, touch: Callable[[RocksStore], None]
) -> None:
    flip(only(path, "*.sst"), 0.2)
    store = open_store(path)
    assert not store.recovering
    with pytest.raises(CorruptData, match="checksum"):
        touch(store)
    assert store.found_corrupt
    assert "checksum" in store.damage
    store.close()
    store = open_store(path)
    assert store.recovering
    assert "checksum" in store.damage
    assert not store.found_corrupt
    store.close()


def test_the_scrub_meets_a_rotten_block_that_nobody_reads(path: Path) -> None:
    flip(only(path, "*.sst"), 0.2)
    clock = [0]
    store = open_store(path, now_ns=lambda: clock[0])
    for _ in range(60_000):
        clock[0] += 100_000_000
        store.work(clock[0] + 1)
        if store.found_corrupt:
            break
    assert "checksum" in store.damage
    assert not store.work(clock[0] + 1)
    store.close()


def test_a_commit_log_cut_past_what_was_synced_is_no_damage(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store")
    store.apply(put(1))
    store.when_durable(lambda: None)
    synced = only(tmp_path / "store", "*.log").stat().st_size
    store.apply(put(2))
    shutil.copytree(tmp_path / "store", tmp_path / "killed")
    store.close()
    log = only(tmp_path / "killed", "*.log")
    assert log.stat().st_size > synced + 9
    log.write_bytes(log.read_bytes()[: synced + 9])
    store = open_store(tmp_path / "killed")
    assert not store.recovering
    assert numbers_in(store) == [1]
    store.close()


def test_one_spoilt_slot_of_the_ledger_is_no_damage(path: Path) -> None:
    ledger = path / "live/synced"
    data = bytearray(ledger.read_bytes())
    newest = max((0, 512), key=lambda at: data[at + 8 : at + 16])
    data[newest + 20] ^= 1
    ledger.write_bytes(data)
    store = open_store(path)
    assert not store.recovering
    store.close()


def test_an_unknown_format_is_refused_and_nothing_is_touched(path: Path) -> None:
    (path / "FORMAT").write_text("anel store format 2\n")
    before = names(path)
    with pytest.raises(UnknownFormat, match="start the release that wrote it"):
        open_store(path)
    assert names(path) == before


def test_a_store_in_use_is_refused_and_not_taken_for_damaged(path: Path) -> None:
    store = open_store(path)
    with pytest.raises(ConfigurationError, match="open in another process"):
        open_store(path)
    assert numbers_in(store) == list(range(ROWS))
    store.close()
    open_store(path).close()


@pytest.mark.parametrize("told", ["", "what happened"])
def test_a_store_whose_making_was_interrupted_is_made_again(tmp_path: Path, told: str) -> None:
    (tmp_path / "live/db").mkdir(parents=True)
    (tmp_path / "live/db/CURRENT").write_text("half")
    (tmp_path / "CREATING").write_text(told)
    store = open_store(tmp_path)
    assert store.damage == told
    assert store.recovering == bool(told)
    store.close()


def test_a_store_that_is_gone_as_a_whole_is_damage_and_no_first_start(path: Path) -> None:
    shutil.rmtree(path)
    store = open_store(path, must_exist=True)
    assert store.recovering
    assert "is gone" in store.damage
    store.close()
    again = open_store(path, must_exist=True)
    assert again.recovering
    again.close()


def test_a_first_start_is_no_damage(tmp_path: Path) -> None:
    store = open_store(tmp_path / "new")
    assert not store.recovering
    store.close()
