"""EXPIRE and TTL: a cell beside the value, by the coordinator's clock."""

import pytest

from anel.data.consistency import ConsistencyLevel
from anel.data.mutation import decode
from anel.data.row import decode as decode_row
from anel.doors.resp.layout import LATER_EXPIRY
from anel.errors import ReadTimeout, WriteTimeout
from tests.unit.doors.resp.fake_node import START_US, FakeConnection

START_S = START_US // 1_000_000


def test_expire_writes_its_cell_and_never_the_value(client: FakeConnection) -> None:
    assert client.send(b"SET a 1", b"EXPIRE a 10") == b"+OK\r\n:1\r\n"
    (_, row) = decode(client.node.mutations[1]).records[0]
    assert [entry.name for entry in decode_row(row)] == [LATER_EXPIRY]


def test_expire_reads_at_quorum(client: FakeConnection) -> None:
    client.send(b"EXPIRE a 10")
    assert client.node.levels == [("read", ConsistencyLevel.QUORUM)]


@pytest.mark.parametrize(
    "command",
    [
        b"EXPIRE a 10",
        b"PEXPIRE a 10000",
        b"EXPIREAT a %d" % (START_S + 10),
        b"PEXPIREAT a %d" % (START_S * 1000 + 10_000),
    ],
)
def test_a_key_ends_on_time(client: FakeConnection, command: bytes) -> None:
    assert client.send(b"SET a 1", command) == b"+OK\r\n:1\r\n"
    client.node.pass_ms(9_900)
    assert client.send(b"GET a", b"TTL a", b"PTTL a") == b"$1\r\n1\r\n:0\r\n:100\r\n"
    client.node.pass_ms(100)
    assert (
        client.send(b"GET a", b"TTL a", b"EXISTS a", b"DBSIZE") == b"$-1\r\n:-2\r\n:0\r\n:0\r\n"
    )
    assert client.send(command) == b":0\r\n"


def test_ttl_rounds_to_the_nearest_second(client: FakeConnection) -> None:
    client.send(b"SET a 1 PX 1499", b"SET b 1 PX 1500")
    assert client.send(b"TTL a", b"TTL b") == b":1\r\n:2\r\n"


def test_the_instant_is_told_as_well(client: FakeConnection) -> None:
    client.send(b"SET a 1 EX 10")
    expected = b":%d\r\n:%d000\r\n" % (START_S + 10, START_S + 10)
    assert client.send(b"EXPIRETIME a", b"PEXPIRETIME a") == expected


def test_a_set_between_expires_read_and_its_write_is_not_ended(slow: FakeConnection) -> None:
    other = FakeConnection(slow.node, slow.door)
    slow.send(b"SET a 1")
    slow.node.settle()
    slow.send(b"EXPIRE a 10")
    slow.node.answer()  # The read.
    other.send(b"SET a 2")
    slow.node.settle()
    assert slow.take().endswith(b":1\r\n")
    slow.node.is_slow = False
    assert slow.send(b"TTL a", b"GET a") == b":-1\r\n$1\r\n2\r\n"


@pytest.mark.parametrize("flag", [b"NX", b"xx", b"GT", b"LT", b"XX GT"])
def test_a_condition_is_refused(client: FakeConnection, flag: bytes) -> None:
    answer = client.send(b"SET a 1", b"EXPIRE a 10 " + flag)
    assert b"-ERR Q6: EXPIRE with a condition" in answer
    assert client.send(b"TTL a") == b":-1\r\n"


def test_failures_are_told(slow: FakeConnection) -> None:
    slow.send(b"SET a 1")
    slow.node.settle()
    slow.take()
    slow.node.failure = ReadTimeout(ConsistencyLevel.QUORUM, 2, 1)
    slow.send(b"EXPIRE a 10", b"TTL b")
    slow.node.settle()
    assert slow.take().count(b"-ERR X7: ") == 2
    slow.node.failure = None
    slow.send(b"EXPIRE a 10")
    slow.node.answer()
    slow.node.failure = WriteTimeout(ConsistencyLevel.QUORUM, 2, 1)
    slow.node.settle()
    assert slow.take().startswith(b"-ERR X6: ")
