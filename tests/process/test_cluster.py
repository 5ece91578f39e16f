"""Under test: anel.testing.cluster: a real ring in this process, broken and mended."""

import asyncio
import gc
import logging
import signal
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

import anel.testing
from anel.errors import AlreadyExists, ConfigurationError
from anel.testing.local_ring import LocalRing
from tests.process.redis_wire import answers, ask
from tests.process.waiting import wait_until

OK, X, NONE = b"+OK\r\n", b"$1\r\nx\r\n", b"$-1\r\n"


@pytest.fixture(scope="module")
def shared() -> Iterator[LocalRing]:
    with anel.testing.cluster(3) as ring:
        yield ring


@pytest.fixture
def ring(shared: LocalRing) -> Iterator[LocalRing]:
    yield shared
    shared.restore()
    shared.empty()


def test_every_node_serves_what_any_node_was_told(ring: LocalRing) -> None:
    assert ask(ring.nodes[0].address(), b"SET", b"k", b"x") == OK
    for node in ring.nodes:
        assert ask(node.address("resp"), b"GET", b"k") == X


def test_a_killed_node_refuses_connections_and_comes_back_at_its_address(
    ring: LocalRing,
) -> None:
    node = ring.nodes[1]
    address = node.address()
    node.kill()
    assert node.state == "stopped"
    with pytest.raises(ConnectionRefusedError):
        ask(address, b"PING")
    assert ask(ring.nodes[0].address(), b"SET", b"k", b"x") == OK
    node.start()
    assert node.address() == address
    wait_until(lambda: answers(address, b"GET", b"k", reply=X))


def test_a_paused_node_accepts_and_is_silent_until_it_goes_on(ring: LocalRing) -> None:
    node = ring.nodes[2]
    node.pause()
    with pytest.raises(TimeoutError):
        ask(node.address(), b"PING", within_s=0.2)
    assert ask(ring.nodes[0].address(), b"SET", b"k", b"x") == OK
    node.resume()
    wait_until(lambda: answers(node.address(), b"GET", b"k", reply=X))


def test_a_partition_leaves_the_majority_serving_and_heals(ring: LocalRing) -> None:
    few, many = ring.nodes[0].address(), ring.nodes[1].address()
    ring.partition({0}, {1, 2})
    wait_until(lambda: ask(few, b"SET", b"k", b"y").startswith(b"-"))
    wait_until(lambda: answers(many, b"SET", b"k", b"x", reply=OK))
    ring.nodes[2].kill()
    ring.nodes[2].start()
    wait_until(lambda: answers(many, b"SET", b"k", b"x", reply=OK))
    assert ask(few, b"GET", b"k").startswith(b"-")
    ring.heal()
    wait_until(lambda: answers(few, b"GET", b"k", reply=X))


def test_a_partition_of_nodes_that_are_not_there_is_refused(ring: LocalRing) -> None:
    with pytest.raises(ValueError, match="node 3"):
        ring.partition({0}, {3})
    with pytest.raises(ValueError, match="two groups"):
        ring.partition({0}, {0})


def test_emptied_it_holds_nothing(ring: LocalRing) -> None:
    ask(ring.nodes[0].address(), b"SET", b"k", b"x")
    ring.empty()
    for node in ring.nodes:
        assert ask(node.address(), b"GET", b"k") == NONE


def test_keyspaces_come_and_go_on_every_node(ring: LocalRing) -> None:
    ring.create_keyspace("mine", replication=2)
    with pytest.raises(AlreadyExists):
        ring.create_keyspace("mine", replication=1)
    for node in ring.nodes:
        assert node.server.node.schema.keyspace("mine") is not None
    ring.drop_keyspace("mine")
    assert ring.nodes[1].server.node.schema.keyspace("mine") is None


def test_urls_name_the_doors(ring: LocalRing) -> None:
    host, port = ring.nodes[0].address("http")
    assert ring.nodes[0].url("http") == f"http://{host}:{port}"
    assert ring.nodes[0].url().startswith("redis://127.0.0.1:")


def test_log_lines_are_each_node_s_own(ring: LocalRing) -> None:
    for node in ring.nodes:
        assert any(node.id.hex() in line for line in node.log_lines())


def test_the_host_is_left_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    def seen() -> list[object]:
        return [
            [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
            signal.set_wakeup_fd(-1),
            (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()),
            type(asyncio.get_event_loop_policy()),
            (logging.getLogger().level, list(logging.getLogger().handlers)),
            [
                (name, logger.level, logger.propagate, list(logger.handlers + logger.filters))
                for name in ("anel", "anel.server", "anel.transport")
                for logger in [logging.getLogger(name)]
            ],
            list(warnings.filters),
            {thread.name for thread in threading.enumerate()},
            sorted(Path(tempfile.gettempdir()).glob("anel-ring-*")),
            len(list(Path("/proc/self/fd").iterdir())),
        ]

    with anel.testing.cluster(1, store="memory"):
        pass  # The first loop of a process opens a pipe that libuv keeps.
    gc.collect()
    before = seen()
    with anel.testing.cluster(2, store="memory", durability="periodic") as ring:
        assert ask(ring.nodes[0].address(), b"SET", b"k", b"x") == OK
        ring.nodes[1].kill()
        ring.nodes[1].start()
    gc.collect()
    assert seen() == before
    assert not caplog.records


def test_rings_in_parallel_processes_never_collide() -> None:
    code = (
        "import anel.testing\n"
        "for _ in range(2):\n"
        "    with anel.testing.cluster(2, store='memory') as ring:\n"
        "        for node in ring.nodes:\n"
        "            node.kill()\n"
        "            node.start()\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]


def test_a_ring_that_cannot_start_leaves_nothing_behind() -> None:
    before = {thread.name for thread in threading.enumerate()}
    with pytest.raises(ConfigurationError, match="0 nodes"):
        anel.testing.cluster(0)
    assert {thread.name for thread in threading.enumerate()} == before
