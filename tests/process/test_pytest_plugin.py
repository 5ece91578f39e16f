"""Under test: the pytest plugin: its fixtures, its option, and what a failed test shows."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

SHARED = """
from pathlib import Path
import socket

def ask(address, *words):
    with socket.create_connection(address, timeout=5) as connection:
        connection.sendall(" ".join(words).encode() + b"\\r\\n")
        return connection.recv(1000)

def test_one(anel_ring, anel_keyspace):
    assert len(anel_ring.nodes) == 2
    assert ask(anel_ring.nodes[0].address("resp"), "SET", "k", "v") == b"+OK\\r\\n"
    assert anel_ring.nodes[1].server.node.schema.keyspace(anel_keyspace) is not None
    Path("name").write_text(anel_keyspace)
    anel_ring.nodes[1].kill()

def test_two_finds_the_ring_whole_and_empty(anel_ring):
    assert ask(anel_ring.nodes[1].address("resp"), "GET", "k") == b"$-1\\r\\n"
    name = Path("name").read_text()
    assert anel_ring.nodes[0].server.node.schema.keyspace(name) is None
"""


def test_tests_share_a_ring_that_each_finds_whole_and_empty(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SHARED)
    outcome = pytester.runpytest_subprocess("--anel-nodes", "2", "-W", "error")
    outcome.assert_outcomes(passed=2)


def test_the_ini_file_gives_the_number_of_nodes_and_a_failure_shows_the_logs(
    pytester: pytest.Pytester,
) -> None:
    pytester.makeini("[pytest]\nanel_nodes = 1")
    pytester.makepyfile("def test_it(anel_ring): assert len(anel_ring.nodes) == 9")
    outcome = pytester.runpytest_subprocess()
    outcome.assert_outcomes(failed=1)
    outcome.stdout.fnmatch_lines(
        ["*Anel node 0 (serving, redis://127.0.0.1:*", "*node starts*"]
    )


def test_a_run_without_a_ring_imports_nothing_of_a_node(tmp_path: Path) -> None:
    code = (
        "import sys, anel.testing.plugin\n"
        "print([m for m in ('msgspec', 'rocksdict', 'uvloop', 'click') if m in sys.modules])"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert told.stdout == "[]\n"
