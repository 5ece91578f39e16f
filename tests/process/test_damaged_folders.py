"""A stopped node's data folder is damaged: named, never served, refilled from the others.

While one more node is away the refill cannot end, so that what happens meanwhile can be seen.

Source: CORRECTNESS 6.
"""

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.process.evidence import IS_LONG, tell
from tests.process.live_ring import (
    addresses,
    all_are_up,
    differences,
    is_at_rest,
    own_reports,
    started,
)
from tests.process.load import Load
from tests.process.up_process import UpProcess, anel
from tests.process.waiting import wait_until
from tests.process.wire import Refusal, Reply, Wire

WRITES = 300
PATIENCE_MS = 60_000
DAMAGED, AWAY = 1, 2

Harm = Callable[[Path], str]


def largest(database: Path, pattern: str) -> Path:
    return max(database.glob(pattern), key=lambda path: path.stat().st_size)


def flip_in_sst(database: Path) -> str:
    return _flip(largest(database, "*.sst"), 3)


def flip_in_log(database: Path) -> str:
    return _flip(largest(database, "*.log"), 2)


def _flip(path: Path, part: int) -> str:
    content = bytearray(path.read_bytes())
    assert len(content) > 1000, path
    content[len(content) // part] ^= 1
    path.write_bytes(content)
    return f"a flipped bit in {path.name}"


def cut_log(database: Path) -> str:
    path = largest(database, "*.log")
    os.truncate(path, path.stat().st_size // 2)
    return f"{path.name} cut in half"


def remove_sst(database: Path) -> str:
    return _remove(largest(database, "*.sst"))


def remove_log(database: Path) -> str:
    return _remove(largest(database, "*.log"))


def remove_manifest(database: Path) -> str:
    return _remove(largest(database, "MANIFEST-*"))


def remove_current(database: Path) -> str:
    return _remove(database / "CURRENT")


def remove_ledger(database: Path) -> str:
    return _remove(database.parent / "synced")


def _remove(path: Path) -> str:
    path.unlink()
    return f"{path.name} removed"


# A node that stops in order leaves its rows in SST files, a killed one in the commit log.
IN_ORDER, AT_ONCE = signal.SIGTERM, signal.SIGKILL
CASES: list[tuple[signal.Signals, Harm]] = [
    (IN_ORDER, flip_in_sst),
    (AT_ONCE, flip_in_log),
    (AT_ONCE, cut_log),
    (IN_ORDER, remove_sst),
]
if IS_LONG:
    CASES += [
        (AT_ONCE, remove_log),
        (AT_ONCE, remove_manifest),
        (IN_ORDER, remove_current),
        (IN_ORDER, remove_ledger),
    ]


def stop_node(up: UpProcess, node: int, number: signal.Signals) -> None:
    os.kill(up.pid(node), number)
    wait_until(lambda: up.pid(node) == 0)


def start_node(up: UpProcess, node: int) -> None:
    back = anel("start", str(node), "--data", str(up.data))
    assert back.returncode == 0, back.stderr


def fill(up: UpProcess, first: int) -> Load:
    """Have some hundred writes acknowledged, and every replica hold them."""
    with Load(addresses(up), first) as load:
        wait_until(lambda: load.acknowledged >= WRITES, within_ms=PATIENCE_MS)
    wait_until(lambda: is_at_rest(up), within_ms=PATIENCE_MS)
    assert not load.wrong, load.wrong[:5]
    return load


def read_all(up: UpProcess, load: Load, node: int) -> int:
    """Read every key through a node: each answer is right or a refusal; count the latter."""
    refused = 0
    with Wire(addresses(up)[node]) as wire:
        for client in load.clients:
            for key in client.promises:
                value = wire.ask(b"GET", key)
                if isinstance(value, Refusal):
                    refused += 1
                else:
                    client.check(key, value, f"node {node}")
    return refused


def is_all_served(up: UpProcess, load: Load) -> bool:
    return not read_all(up, load, DAMAGED)


def damage_found(up: UpProcess, load: Load) -> str:
    """Make the node look at all it has; give the damage that it tells of."""
    try:
        if not damage_told(up):
            read_all(up, load, DAMAGED)
    except OSError:
        return ""  # It met the damage and starts over.
    return damage_told(up)


def damage_told(up: UpProcess) -> str:
    return next((str(own["damage"]) for own in own_reports(up) if own["damage"]), "")


def test_damage_is_named_never_served_and_refilled_from_the_others(tmp_path: Path) -> None:
    data = tmp_path / "data"
    where = ("--data", str(data))
    with started(data, 3) as up:
        wait_until(lambda: all_are_up(up), within_ms=PATIENCE_MS)
        log = data / f"node{DAMAGED}" / "anel.log"
        for turn, (number, harm) in enumerate(CASES):
            load = fill(up, 10 * turn)
            stop_node(up, DAMAGED, number)
            stop_node(up, AWAY, AT_ONCE)
            before = log.stat().st_size
            what = harm(data / f"node{DAMAGED}" / "store" / "live" / "db")
            start_node(up, DAMAGED)
            damage = wait_until(partial(damage_found, up, load), within_ms=PATIENCE_MS)
            wait_until(partial(_is_logged, log, "refill waits for node", before))
            logged = log.read_text()[before:]
            assert "store damaged: " in logged
            status = anel("status", *where)
            assert status.returncode == 1
            assert "recovering" in status.stdout
            assert damage[:20] in status.stdout
            assert "set aside in" in " ".join(status.stdout.split())
            # Two of three do not count: what is read is right, or refused.
            refused = [read_all(up, load, node) for node in (0, DAMAGED)]
            assert all(refused), refused
            start_node(up, AWAY)
            read_all(up, load, DAMAGED)  # While it is refilled, others serve what it lacks.
            wait_until(lambda: is_at_rest(up), within_ms=PATIENCE_MS)
            assert not damage_told(up)
            wait_until(partial(is_all_served, up, load), within_ms=PATIENCE_MS)
            assert not load.wrong, load.wrong[:5]
            told = f"damage: {what}: told as {damage[:90]!r}"
            tell(f"{told}, {min(refused)} reads refused, refilled")
    aside = sorted((data / f"node{DAMAGED}" / "store").glob("damaged-*"))
    assert len(aside) == len(CASES)
    records, leaves, rows = differences(data, 3)
    tell(f"damage: {len(CASES)} kinds, then {records} records, {leaves} leaves, {rows} differ")
    assert (leaves, rows) == (0, 0)


@pytest.mark.parametrize(("number", "harm"), [(IN_ORDER, flip_in_sst), (AT_ONCE, cut_log)])
def test_at_one_a_damaged_node_answers_with_what_a_whole_one_holds(
    tmp_path: Path, number: signal.Signals, harm: Harm
) -> None:
    # At ONE a node asks itself first: what its own store lacks would be served as absent.
    keys = [b"k%d" % k for k in range(200)]
    served = refused = 0
    variables = {"ANEL_RESP_CONSISTENCY": "ONE"}
    with started(tmp_path / "data", 3, variables=variables) as up:
        wait_until(lambda: all_are_up(up), within_ms=PATIENCE_MS)
        with Wire(addresses(up)[0]) as wire:
            for key in keys:
                assert wire.ask(b"SET", key, b"value of " + key) == b"OK"
        wait_until(lambda: is_at_rest(up), within_ms=PATIENCE_MS)
        stop_node(up, DAMAGED, number)
        stop_node(up, AWAY, AT_ONCE)  # So that the refill cannot end.
        what = harm(up.data / f"node{DAMAGED}" / "store" / "live" / "db")
        start_node(up, DAMAGED)
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while not (damage_told(up) and served >= len(keys)):
            assert time.monotonic() < deadline, (served, refused)
            for key in keys:
                reply = read_once(up, key)
                if reply == b"value of " + key:
                    served += 1
                else:
                    # No answer at all: it met the damage just then and starts over.
                    assert isinstance(reply, Refusal | OSError), (key, reply)
                    refused += 1
    tell(f"damage at ONE: {what}: {served} reads right, {refused} refused, none wrong")


def read_once(up: UpProcess, key: bytes) -> "Reply | OSError":
    try:
        with Wire(addresses(up)[DAMAGED]) as wire:
            return wire.ask(b"GET", key)
    except OSError as error:
        return error


@pytest.mark.parametrize("harm", [flip_in_log, cut_log])
def test_without_another_replica_damage_is_refused_with_what_to_do(
    tmp_path: Path, harm: Harm
) -> None:
    data = tmp_path / "data"
    where = ("--data", str(data))
    with started(data, 1) as up:
        with Wire(("127.0.0.1", up.port(0))) as wire:
            for k in range(50):
                assert wire.ask(b"SET", b"k%d" % k, b"x" * 100) == b"OK"
        stop_node(up, 0, AT_ONCE)
        harm(data / "node0" / "store" / "live" / "db")
        start_node(up, 0)
        with Wire(("127.0.0.1", up.port(0))) as wire:
            for k in range(50):
                for words in ((b"GET", b"k%d" % k), (b"SET", b"k%d" % k, b"y")):
                    reply = wire.ask(*words)
                    assert isinstance(reply, Refusal), reply
                    assert reply.code == "X2"
                    assert "1 being refilled after damage: anel status says what to do" in reply
        status = anel("status", *where)
        assert status.returncode == 1
        told = " ".join(status.stdout.split())
        assert "damage" in told
        for way in ("restore a backup", "accept the loss"):
            assert way in told, status.stdout
            wait_until(partial(_is_logged, data / "node0" / "anel.log", way))


def _is_logged(log: Path, text: str, since: int = 0) -> bool:
    return text in log.read_text()[since:]
