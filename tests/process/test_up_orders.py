"""Under test: `anel up` and the commands that order it about, over stand-ins for nodes."""

import json
import os
import signal
import socket
from pathlib import Path

import pytest

from tests.process.up_process import UpProcess, anel, is_running
from tests.process.waiting import wait_until


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_the_table_names_every_node_and_how_to_go_on(data: Path) -> None:
    with UpProcess(data, "--nodes", "2", stand_in=True) as up:
        assert "2 nodes up in" in up.output
        for node in (0, 1):
            assert f"127.0.0.1:{up.port(node)}" in up.output
            assert f"http://127.0.0.1:{up.port(node, 'http')}/" in up.output
            assert str(up.pid(node)) in up.output
        for word in ("redis-cli -p", "anel status", "logs:", "an ack    on disk", "Ctrl-C"):
            assert word in up.output


def test_a_killed_node_is_told_in_one_line_and_left_stopped_until_started(data: Path) -> None:
    with UpProcess(data, "--nodes", "2", stand_in=True) as up:
        first = up.pid(1)
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: "node 1 was killed by SIGKILL" in up.output)
        assert up.pid(1) == 0
        started = anel("start", "1", "--data", str(data))
        assert started.returncode == 0, started.stderr
        assert "node 1 serves at 127.0.0.1:" in started.stdout
        assert up.pid(1) not in (0, first)


def test_orders_are_carried_out_or_refused_with_the_next_step(data: Path) -> None:
    where = ("--data", str(data))
    with UpProcess(data, "--nodes", "2", stand_in=True) as up:
        pid = up.pid(0)
        assert "was killed with -9" in anel("kill", "0", *where).stdout
        assert not is_running(pid)
        again = anel("kill", "0", *where)
        assert again.returncode == 1
        assert "anel start 0" in again.stderr
        assert "runs already" in anel("start", "1", *where).stderr
        assert "0 to 1" in anel("start", "7", *where).stderr


def test_a_paused_node_keeps_its_process_and_goes_on_later(data: Path) -> None:
    where = ("--data", str(data))
    with UpProcess(data, "--nodes", "1", stand_in=True) as up:
        pid = up.pid(0)
        assert anel("pause", "0", *where).returncode == 0
        assert _state(pid) == "T"
        assert anel("pause", "0", *where).returncode == 1
        assert anel("resume", "0", *where).returncode == 0
        wait_until(lambda: _state(pid) in "SR")
        assert up.pid(0) == pid


def test_a_second_up_on_the_same_data_names_the_first(data: Path) -> None:
    with UpProcess(data, "--nodes", "1", stand_in=True) as up:
        second = anel("up", "--nodes", "1", "--data", str(data), stand_in=True)
        assert second.returncode == 1
        assert f"process {up.process.pid}" in second.stderr
        assert f"127.0.0.1:{up.port(0)}" in second.stderr
        assert is_running(up.pid(0))


def test_another_number_of_nodes_is_refused_with_ways_on(data: Path) -> None:
    with UpProcess(data, "--nodes", "2", stand_in=True):
        pass
    other = anel("up", "--nodes", "3", "--data", str(data), stand_in=True)
    assert other.returncode == 1
    for way in ("--nodes 2", "--data OTHER", "--delete-data"):
        assert way in other.stderr
    with UpProcess(data, stand_in=True) as up:
        assert len(up.ring()["nodes"]) == 2


def test_a_taken_port_moves_the_ring_or_is_named_with_its_process(data: Path) -> None:
    with UpProcess(data, "--nodes", "1", stand_in=True) as up:
        offset, holder = up.ring()["port_offset"], up.pid(0)
        given = ("--port-offset", str(offset))
        other = data.parent / "other"
        refused = anel("up", "--nodes", "1", "--data", str(other), *given, stand_in=True)
        assert refused.returncode == 1
        assert f"port {up.port(0)} " in refused.stderr
        assert f"process {holder} " in refused.stderr
        assert not list(other.glob("node*"))
        with UpProcess(other, "--nodes", "1", stand_in=True) as moved:
            assert moved.port(0) > up.port(0)
            assert "every port is moved up by" in moved.output


def test_ctrl_c_drains_and_ends_well(data: Path) -> None:
    with UpProcess(data, "--nodes", "2", stand_in=True) as up:
        pids = [up.pid(0), up.pid(1)]
        up.process.send_signal(signal.SIGINT)
        assert up.process.wait(5) == 0
        assert not any(is_running(pid) for pid in pids)
        assert up.ring()["up"] is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_stop_it_likewise_even_with_a_paused_node(
    data: Path, number: signal.Signals
) -> None:
    with UpProcess(data, "--nodes", "1", stand_in=True) as up:
        pid = up.pid(0)
        anel("pause", "0", "--data", str(data))
        up.process.send_signal(number)
        assert up.process.wait(5) == 0
        assert not is_running(pid)


def test_nodes_end_when_up_is_killed_even_paused_ones_and_the_next_up_starts(
    data: Path,
) -> None:
    with UpProcess(data, "--nodes", "2", stand_in=True) as up:
        pids = [up.pid(0), up.pid(1)]
        anel("pause", "1", "--data", str(data))
        up.process.kill()
        up.process.wait()
        wait_until(lambda: not any(is_running(pid) for pid in pids))
    gone = anel("kill", "0", "--data", str(data))
    assert gone.returncode == 1
    assert "L4" in gone.stderr
    with UpProcess(data, "--nodes", "2", stand_in=True):
        pass


def test_a_node_left_behind_does_not_keep_the_next_ring_from_starting(data: Path) -> None:
    with UpProcess(data, "--nodes", "1", stand_in=True) as up:
        pid, offset = up.pid(0), str(up.ring()["port_offset"])
        os.kill(up.process.pid, signal.SIGSTOP)
        up.process.kill()
        os.kill(pid, signal.SIGSTOP)  # It cannot see its parent's end.
        up.process.wait()
        os.kill(pid, signal.SIGSTOP)
        with UpProcess(data, "--port-offset", offset, stand_in=True):
            assert not is_running(pid)


def test_detached_it_returns_when_serving_and_down_stops_it(data: Path) -> None:
    up = anel("up", "--nodes", "2", "--detach", "--json", "--data", str(data), stand_in=True)
    try:
        assert up.returncode == 0, up.stderr
        nodes = json.loads(up.stdout)["nodes"]
        for node in nodes:
            host, _, port = node["resp"].rpartition(":")
            socket.create_connection((host, int(port)), timeout=1).close()
    finally:
        down = anel("down", "--data", str(data))
    assert down.returncode == 0
    assert not any(is_running(node["pid"]) for node in nodes)
    assert "no ring runs" in anel("down", "--data", str(data)).stdout


def test_detached_it_tells_why_it_cannot_start(data: Path) -> None:
    data.write_text("a file, not a folder")
    up = anel("up", "--detach", "--data", str(data), stand_in=True)
    assert up.returncode == 1
    assert up.stderr.startswith("L1: the data folder")


def test_data_is_deleted_only_when_agreed_and_only_the_ring_s_own(data: Path) -> None:
    with UpProcess(data, "--nodes", "1", stand_in=True):
        pass
    (data / "notes.txt").write_text("mine")
    unasked = anel("down", "--delete-data", "--data", str(data))
    assert unasked.returncode == 1
    assert "--yes" in unasked.stderr
    assert (data / "node0").exists()
    assert anel("down", "--delete-data", "--yes", "--data", str(data)).returncode == 0
    assert [path.name for path in data.iterdir()] == ["notes.txt"]


def test_a_very_long_data_folder_still_takes_orders(tmp_path: Path) -> None:
    data = tmp_path / ("a" * 120) / "data"
    data.parent.mkdir()
    with UpProcess(data, "--nodes", "1", stand_in=True):
        assert anel("pause", "0", "--data", str(data)).returncode == 0


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
