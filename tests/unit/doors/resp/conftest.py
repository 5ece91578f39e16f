"""What the Redis door's tests share: a connection to a node in memory, quick or slow."""

import pytest

from tests.unit.doors.resp.fake_node import FakeConnection


@pytest.fixture
def client() -> FakeConnection:
    """Give a connection to a node that answers at once."""
    return FakeConnection()


@pytest.fixture
def slow() -> FakeConnection:
    """Give a connection to a node that answers when the test says so."""
    connection = FakeConnection()
    connection.node.is_slow = True
    return connection
