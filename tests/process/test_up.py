"""Under test: `anel up` with real nodes: start, kill, return, look, stop."""

import json
import os
import signal
import socket
import urllib.request
from functools import partial
from pathlib import Path

import pytest

from tests.process.redis_wire import answers, ask
from tests.process.up_process import UpProcess, anel, is_running
from tests.process.waiting import wait_until

OK, X = b"+OK\r\n", b"$1\r\nx\r\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def address(up: UpProcess, node: int) -> tuple[str, int]:
    return "127.0.0.1", up.port(node)


def test_writes_outlive_killed_nodes_and_the_ring_s_own_restart_elsewhere(data: Path) -> None:
    with UpProcess(data, "--nodes", "3") as up:
        first = address(up, 0)
        assert ask(address(up, 0), b"SET", b"a", b"x") == OK
        os.kill(up.pid(1), signal.SIGKILL)
        wait_until(lambda: "node 1 was killed by SIGKILL" in up.output)
        wait_until(lambda: answers(address(up, 2), b"SET", b"b", b"x", reply=OK))
        assert anel("start", "1", "--data", str(data)).returncode == 0
        for key in (b"a", b"b"):
            wait_until(partial(answers, address(up, 1), b"GET", key, reply=X))
    with socket.create_server(first), UpProcess(data) as up:
        assert address(up, 0) != first
        for node in range(3):
            wait_until(partial(answers, address(up, node), b"GET", b"b", reply=X))


def test_status_tells_how_the_ring_is_and_what_to_do(data: Path) -> None:
    where = ("--data", str(data))
    with UpProcess(data, "--nodes", "3") as up:
        contact = ("--contact", f"127.0.0.1:{up.port(2, 'http')}")
        wait_until(lambda: anel("status", *where).returncode == 0)
        assert "3 of 3 nodes up" in anel("status", *contact).stdout
        anel("kill", "1", *where)
        wait_until(lambda: "not THREE, ALL" in anel("status", *where).stdout)
        status = anel("status", *where)
        assert status.returncode == 1
        assert "2 of 3 nodes up" in status.stdout
        assert f"anel start 1 --data {data}" in status.stdout
        told = json.loads(anel("status", "--json", *where).stdout)
        assert [node["state"] for node in told["nodes"] if node["node"] == 1] == ["stopped"]


def test_the_ring_and_a_key_s_place_in_it_are_shown(data: Path) -> None:
    where = ("--data", str(data))
    with UpProcess(data, "--nodes", "3", "--replication", "2"):
        assert "48 ranges" in anel("ring", *where).stdout
        text = json.loads(anel("lookup", "user:1", "--json", *where).stdout)
        as_bytes = json.loads(anel("lookup", "0x757365723a31", "--json", *where).stdout)
        assert text["token"] == as_bytes["token"]
        assert len(text["replicas"]) == 2
        missing = anel("lookup", "k", "--table", "nowhere", *where)
        assert missing.returncode == 1
        assert missing.stderr.startswith("Q4: ")


def test_keyspaces_are_made_changed_and_dropped_at_any_node(data: Path) -> None:
    where = ("--data", str(data))
    with UpProcess(data, "--nodes", "3") as up:
        contact = ("--contact", f"127.0.0.1:{up.port(1, 'http')}")
        assert anel("keyspace", "create", "shop", "--replication", "2", *where).returncode == 0
        again = anel("keyspace", "create", "shop", "--replication", "3", *contact)
        assert again.returncode == 1
        assert again.stderr.startswith("Q5: ")
        assert anel("keyspace", "alter", "shop", "--first-copy", "on", *contact).returncode == 0
        listed = json.loads(anel("keyspace", "list", "--json", *where).stdout)
        shop = next(keyspace for keyspace in listed if keyspace["name"] == "shop")
        assert (shop["replication"], shop["first_copy"]) == (2, True)
        assert anel("keyspace", "drop", "shop", "--yes", *contact).returncode == 0
        assert "shop" not in anel("keyspace", "list", *where).stdout


def test_in_one_process_nodes_are_killed_and_started_likewise(data: Path) -> None:
    where = ("--data", str(data))
    with UpProcess(data, "--nodes", "3", "--in-process") as up:
        assert {up.pid(node) for node in range(3)} == {up.process.pid}
        assert ask(address(up, 0), b"SET", b"a", b"x") == OK
        assert anel("kill", "2", *where).returncode == 0
        assert not answers(address(up, 2), b"PING", reply=b"+PONG\r\n")
        assert anel("start", "2", *where).returncode == 0
        wait_until(lambda: answers(address(up, 2), b"GET", b"a", reply=X))
        up.process.send_signal(signal.SIGINT)
        assert up.process.wait(6) == 0
    assert "node starts" in (data / "node2" / "anel.log").read_text()


def test_real_nodes_end_with_an_up_that_is_killed(data: Path) -> None:
    with UpProcess(data, "--nodes", "2") as up:
        pids = [up.pid(0), up.pid(1)]
        up.process.kill()
        up.process.wait()
        wait_until(lambda: not any(is_running(pid) for pid in pids))


def test_a_node_that_cannot_start_is_told_with_its_reason_and_the_exit_code_is_1(
    data: Path,
) -> None:
    with UpProcess(data, "--nodes", "2"):
        pass
    kept = data / "node1" / "node.json"
    kept.write_text(kept.read_text().replace('"format": 1', '"format": 99'))
    up = anel("up", "--detach", "--data", str(data))
    try:
        assert up.returncode == 1
        assert "1 of 2 nodes up" in up.stdout
        assert "node 1 ended with code 1" in up.stdout
        assert "S4" in up.stdout
    finally:
        anel("down", "--data", str(data))


def test_the_status_page_is_served_where_the_table_says(data: Path) -> None:
    with UpProcess(data, "--nodes", "1") as up:
        page = f"http://127.0.0.1:{up.port(0, 'http')}/"
        assert page in up.output
        with urllib.request.urlopen(page, timeout=5) as answer:
            assert b"<html" in answer.read(2000)
