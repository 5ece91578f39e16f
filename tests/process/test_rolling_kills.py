"""Each node of a ring in turn is killed with -9 under load and returns: nothing acked is lost.

Source: the promises of W + R > N (Dynamo, SOSP 2007, section 4.5); CORRECTNESS 5 and 10.
"""

import os
import signal
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.process.evidence import by_length, tell
from tests.process.live_ring import (
    addresses,
    all_are_up,
    differences,
    get,
    is_at_rest,
    is_dead_for_all,
    started,
)
from tests.process.load import LOST, TIMED_OUT, Load, Trouble
from tests.process.up_process import UpProcess, anel
from tests.process.waiting import wait_until
from tests.process.wire import Refusal, Wire

LOAD_SECONDS = by_length(12, 60)
PATIENCE_MS = 60_000  # Far above what is needed: machines that test are slow and shared.
REST_MS = by_length(60_000, 180_000)


class Kill(NamedTuple):
    """One node's absence, in monotonic seconds."""

    node: int
    killed: float
    dead: float
    up: float

    def explains(self, trouble: Trouble) -> bool:
        """Tell whether a client may have met this because of the kill."""
        if trouble.code == LOST:
            return trouble.node == self.node and trouble.began <= self.up
        in_doubt = trouble.began <= self.dead and trouble.ended >= self.killed
        return trouble.code in TIMED_OUT and in_doubt


def kill_and_return(up: UpProcess, node: int, *, by_command: bool) -> Kill:
    """Kill a node with -9, wait until the others know, start it, wait until all know."""
    where = ("--data", str(up.data))
    killed = time.monotonic()
    if by_command:
        assert anel("kill", str(node), *where).returncode == 0
    else:
        os.kill(up.pid(node), signal.SIGKILL)
    wait_until(lambda: is_dead_for_all(up, node), within_ms=PATIENCE_MS)
    dead = time.monotonic()
    back = anel("start", str(node), *where)
    assert back.returncode == 0, back.stderr
    wait_until(lambda: all_are_up(up), within_ms=PATIENCE_MS)
    return Kill(node, killed, dead, time.monotonic())


def has_acknowledged(load: Load, count: int) -> bool:
    return load.acknowledged >= count


def change_keyspaces(up: UpProcess, node: int, name: str) -> None:
    """Make a keyspace through one node."""
    contact = ("--contact", f"127.0.0.1:{up.port(node, 'http')}")
    made = anel("keyspace", "create", name, "--replication", "3", *contact)
    assert made.returncode == 0, made.stderr


def test_every_acknowledged_write_outlives_each_node_s_kill(tmp_path: Path) -> None:
    with started(tmp_path / "data", 3) as up:
        wait_until(lambda: all_are_up(up), within_ms=PATIENCE_MS)
        kills: list[Kill] = []
        began = time.monotonic()
        with Load(addresses(up)) as load:
            made: list[str] = []
            while time.monotonic() - began < LOAD_SECONDS or len(kills) < 3:
                turn = len(kills)
                node = turn % 3
                made.append(f"shop{turn}")
                change_keyspaces(
                    up, node, made[-1]
                )  # This node takes the last change, and dies.
                wait_until(partial(has_acknowledged, load, load.acknowledged + 100))
                kills.append(kill_and_return(up, node, by_command=turn % 2 == 1))
        seconds = time.monotonic() - began
        unexplained = [
            trouble
            for trouble in load.troubles
            if not any(kill.explains(trouble) for kill in kills)
        ]
        assert not unexplained, unexplained[:5]
        wait_until(lambda: is_at_rest(up), within_ms=REST_MS)
        at_rest = time.monotonic() - began - seconds
        count = max(load.read_back(node) for node in range(3))
        assert not load.wrong, load.wrong[:5]
        for node in range(3):
            names = [keyspace["name"] for keyspace in get(up, node, "/keyspaces")]
            assert set(names) >= set(made)
    records, leaves, rows = differences(up.data, 3)
    lost = sum(trouble.code == LOST for trouble in load.troubles)
    longest = max(kill.dead - kill.killed for kill in kills)
    tell(
        f"rolling kills: {seconds:.0f} s, {len(kills)} kills, {load.acknowledged} writes "
        f"acknowledged, {load.reads} reads, {lost} requests lost with their connection, "
        f"{len(load.troubles) - lost} timed out, dead after at most {longest:.1f} s, "
        f"at rest {at_rest:.1f} s later, {count} keys read back from each node, "
        f"{records} records on each, {leaves} leaves and {rows} records differ"
    )
    assert (leaves, rows) == (0, 0)


@pytest.mark.parametrize("mode", ["ONE", "first copy"])
def test_one_replica_of_three_serves_alone_and_none_ends_it_clearly(
    tmp_path: Path, mode: str
) -> None:
    variables = {"ANEL_RESP_CONSISTENCY": "ONE"} if mode == "ONE" else {}
    data = tmp_path / "data"
    where = ("--data", str(data))
    writes = 0
    with started(data, 3, variables=variables) as up:
        wait_until(lambda: all_are_up(up), within_ms=PATIENCE_MS)
        if mode == "first copy":
            altered = anel("keyspace", "alter", "redis", "--first-copy", "on", *where)
            assert altered.returncode == 0, altered.stderr
        with Wire(addresses(up)[2]) as last:
            for k in range(50):
                assert last.ask(b"SET", b"before%d" % k, b"x") == b"OK"
            wait_until(lambda: is_at_rest(up), within_ms=REST_MS)
            for node in (0, 1):
                os.kill(up.pid(node), signal.SIGKILL)
                wait_until(partial(is_dead_for_all, up, node), within_ms=PATIENCE_MS)
                for k in range(50):
                    writes += 1
                    assert last.ask(b"SET", b"after%d" % k, b"%d" % node) == b"OK"
                    assert last.ask(b"GET", b"after%d" % k) == b"%d" % node
                    assert last.ask(b"GET", b"before%d" % k) == b"x"
        status = anel("status", *where)
        assert status.returncode == 1
        assert "not TWO, THREE, QUORUM, ALL" in status.stdout
        os.kill(up.pid(2), signal.SIGKILL)
        wait_until(lambda: up.pid(2) == 0)
        with pytest.raises(ConnectionRefusedError):
            Wire(addresses(up)[2])
        gone = anel("status", *where)
        assert gone.returncode == 1
        assert "no node answers" in gone.stderr
        assert "nothing listens there" in gone.stderr
        assert f"anel start 0 --data {data}" in up.output
        for node in (2, 0, 1):
            assert anel("start", str(node), *where).returncode == 0
        wait_until(lambda: is_at_rest(up), within_ms=REST_MS)
        for address in addresses(up):
            with Wire(address) as wire:
                for k in range(50):
                    assert wire.ask(b"GET", b"after%d" % k) == b"1"
    assert differences(data, 3)[1:] == (0, 0)
    tell(
        f"{mode}: two of three replicas killed, {writes} writes and all reads served "
        "meanwhile; all gone and back: equal"
    )


def test_at_quorum_one_replica_of_three_refuses_and_says_what_it_takes(tmp_path: Path) -> None:
    with started(tmp_path / "data", 3) as up:
        wait_until(lambda: all_are_up(up), within_ms=PATIENCE_MS)
        for node in (0, 1):
            os.kill(up.pid(node), signal.SIGKILL)
        with Wire(addresses(up)[2]) as wire:

            def is_final() -> str:
                reply = wire.ask(b"SET", b"k", b"x")
                return reply if isinstance(reply, Refusal) and reply.code == "X2" else ""

            text = wait_until(is_final, within_ms=PATIENCE_MS)
            assert text.startswith("NOREPLICAS ")
            assert "QUORUM needs 2 replicas and 1 can be reached" in text
            assert "anel status" in text
