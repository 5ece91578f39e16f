"""The pytest plugin: a ring for tests, and what its nodes said when a test fails.

    anel_ring        a ring that all tests of the run share; each finds it whole and empty
    anel_keyspace    the name of a fresh keyspace, dropped after the test
    --anel-nodes N   how many nodes (or `anel_nodes = N` in the ini file); 3 unless given

pytest loads this in every run of everyone who installed Anel: nothing of a node is imported
before a test asks for a ring.
"""

import uuid
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from anel.testing.local_ring import LocalRing

NODES_DEFAULT = 3
LINES_SHOWN = 20


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the number of nodes."""
    text = "nodes of the ring that the fixture anel_ring gives"
    parser.getgroup("anel").addoption("--anel-nodes", type=int, default=None, help=text)
    parser.addini("anel_nodes", text, default=str(NODES_DEFAULT))


@pytest.fixture(scope="session")
def anel_session_ring(pytestconfig: pytest.Config) -> "Iterator[LocalRing]":
    """Run one ring for all tests; use `anel_ring`, which hands it out whole and empty."""
    from anel.testing import cluster

    nodes = pytestconfig.getoption("--anel-nodes") or int(pytestconfig.getini("anel_nodes"))
    with cluster(nodes) as ring:
        yield ring


@pytest.fixture
def anel_ring(anel_session_ring: "LocalRing") -> "Iterator[LocalRing]":
    """Give a ring that serves: `anel_ring.nodes[0].address("resp")`.

    Whatever the test breaks (killed or paused nodes, partitions) is mended after it, and its
    keys are removed.
    """
    yield anel_session_ring
    anel_session_ring.restore()
    anel_session_ring.empty()


@pytest.fixture
def anel_keyspace(anel_ring: "LocalRing") -> Iterator[str]:
    """Give the name of a fresh keyspace; it is dropped after the test."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    anel_ring.create_keyspace(name)
    yield name
    anel_ring.restore()
    anel_ring.drop_keyspace(name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add each node's last log lines to the report of a test that failed."""
    report = yield
    ring: LocalRing | None = getattr(item, "funcargs", {}).get("anel_ring")
    if ring is not None and report.failed:
        for node in ring.nodes:
            lines = node.log_lines()[-LINES_SHOWN:]
            title = f"Anel node {node.index} ({node.state}, {node.url('resp')})"
            report.sections.append((title, "\n".join(lines) or "it has said nothing"))
    return report
