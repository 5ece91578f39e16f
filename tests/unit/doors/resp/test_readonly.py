"""READONLY: one connection reads at ONE, from when it asks until it takes that back."""

from anel.data.consistency import ConsistencyLevel
from tests.unit.doors.resp.fake_node import FakeConnection

ONE, QUORUM = ConsistencyLevel.ONE, ConsistencyLevel.QUORUM


def levels(client: FakeConnection, *commands: bytes) -> list[tuple[str, ConsistencyLevel]]:
    """Send commands and list the levels at which the node was asked."""
    client.node.levels.clear()
    client.send(*commands)
    return client.node.levels


def test_reads_are_at_one_until_readwrite() -> None:
    client = FakeConnection()
    assert levels(client, b"GET a") == [("read", QUORUM)]
    assert client.send(b"READONLY") == b"+OK\r\n"
    assert levels(client, b"GET a", b"MGET a b") == [("read", ONE)] * 3
    assert client.send(b"READWRITE") == b"+OK\r\n"
    assert levels(client, b"GET a") == [("read", QUORUM)]


def test_writes_stay_as_they_are() -> None:
    client = FakeConnection()
    assert levels(client, b"READONLY", b"SET a 1") == [("write", QUORUM)]


def test_reset_takes_it_back() -> None:
    client = FakeConnection()
    assert levels(client, b"READONLY", b"RESET", b"GET a") == [("read", QUORUM)]


def test_other_connections_do_not_notice() -> None:
    client = FakeConnection()
    other = FakeConnection(client.node, client.door)
    client.send(b"READONLY")
    assert levels(other, b"GET a") == [("read", QUORUM)]


def test_a_read_under_way_keeps_its_level() -> None:
    client = FakeConnection()
    client.node.is_slow = True
    client.send(b"GET a", b"READONLY", b"GET b")
    assert client.node.levels == [("read", QUORUM)]
    client.node.settle()
    assert client.node.levels == [("read", QUORUM), ("read", ONE)]
