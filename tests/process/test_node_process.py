"""Under test: the process of one node: how it starts, what it says, and every way it ends."""

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.process.node_process import NodeProcess
from tests.process.redis_wire import ask
from tests.process.waiting import wait_until


@pytest.fixture
def internode() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def test_a_signal_drains_and_stops_and_a_restart_finds_everything(
    tmp_path: Path, internode: int
) -> None:
    with NodeProcess(tmp_path, internode=internode, arguments=[]) as node:
        assert ask(node.address("resp"), b"SET", b"key", b"kept") == b"+OK\r\n"
        node.signal(signal.SIGTERM)
        assert node.ended() == 0
        assert "stops because=SIGTERM" in node.log
        assert "node stopped flush=yes" in node.log
    with NodeProcess(tmp_path, internode=internode, arguments=[]) as node:
        wait_until(lambda: node.said.count("serves") == 2)
        assert ask(node.address("resp"), b"GET", b"key") == b"$4\r\nkept\r\n"
        assert "generation=2" in node.log
        node.signal(signal.SIGINT)
        assert node.ended() == 0


def test_a_second_signal_stops_at_once(tmp_path: Path, internode: int) -> None:
    with NodeProcess(tmp_path, internode=internode, arguments=[]) as node:
        address = node.address("resp")
        with socket.create_connection(address) as busy:
            # It takes no answers, so its commands stay under way.
            busy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            ask(address, b"SET", b"big", b"x" * 4_000_000)
            busy.sendall(b"*2\r\n$3\r\nGET\r\n$3\r\nbig\r\n" * 200)
            time.sleep(0.2)
            began = time.monotonic()
            node.signal(signal.SIGTERM)
            time.sleep(0.1)
            node.signal(signal.SIGTERM)
            assert node.ended() == 0
            assert time.monotonic() - began < 2.0


def test_it_stops_when_the_watched_pipe_closes(tmp_path: Path, internode: int) -> None:
    reader, writer = os.pipe()
    with NodeProcess(
        tmp_path, internode=internode, arguments=["--watch-fd", str(reader)]
    ) as node:
        os.close(reader)
        node.address("resp")
        os.close(writer)
        assert node.ended() == 0
        assert "the process that started it has ended" in node.log


def test_it_stops_when_its_parent_is_another(tmp_path: Path, internode: int) -> None:
    arguments = ["--parent", "99999999"]
    with NodeProcess(tmp_path, internode=internode, arguments=arguments) as node:
        assert node.ended(20.0) == 0


def test_checks_must_not_be_switched_off(tmp_path: Path, internode: int) -> None:
    with NodeProcess(tmp_path, "-O", internode=internode, arguments=[]) as node:
        assert node.ended(20.0) == 2
        assert "run without it" in node.said


def test_a_wrong_setting_is_named_before_anything_is_touched(tmp_path: Path) -> None:
    with NodeProcess(tmp_path, internode=99999999, arguments=[]) as node:
        assert node.ended(20.0) == 2
        assert "listen.internode" in node.said
    assert not (tmp_path / "node").exists()


def test_a_folder_in_use_is_refused_and_its_holder_goes_on(
    tmp_path: Path, internode: int
) -> None:
    with NodeProcess(tmp_path, internode=internode, arguments=[]) as first:
        address = first.address("resp")
        with NodeProcess(tmp_path, internode=internode, arguments=[]) as second:
            assert second.ended(20.0) == 1
            assert "listen.internode" in second.said  # Its port is taken, too.
        assert ask(address, b"PING") == b"+PONG\r\n"


def test_what_was_acknowledged_outlives_kill_9(tmp_path: Path, internode: int) -> None:
    with NodeProcess(tmp_path, internode=internode, arguments=[]) as node:
        address = node.address("resp")
        for number in range(50):
            assert ask(address, b"SET", b"key%d" % number, b"%d" % number) == b"+OK\r\n"
        node.signal(signal.SIGKILL)
        assert node.ended() == -9
    with NodeProcess(tmp_path, internode=internode, arguments=[]) as node:
        wait_until(lambda: node.said.count("serves") == 2)
        address = node.address("resp")
        for number in range(50):
            value = b"%d" % number
            assert ask(address, b"GET", b"key%d" % number) == b"$%d\r\n%s\r\n" % (
                len(value),
                value,
            )
