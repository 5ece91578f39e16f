"""DEL, EXISTS, TYPE and FLUSHALL: counts from a read at QUORUM, deletions tag by tag."""

import pytest

from anel.data.consistency import ConsistencyLevel
from anel.data.mutation import decode
from anel.doors.resp.door import RespDoor
from anel.errors import ReadTimeout, Unavailable
from tests.unit.doors.resp.fake_node import FakeConnection, FakeNode

QUORUM, ONE = ConsistencyLevel.QUORUM, ConsistencyLevel.ONE


@pytest.mark.parametrize("command", [b"DEL a", b"UNLINK a", b"DEL a b"])
def test_a_deletion_reads_at_quorum_then_writes_at_the_doors_level(command: bytes) -> None:
    node = FakeNode()
    client = FakeConnection(node, RespDoor(node, consistency=ConsistencyLevel.ALL))
    client.send(b"SET a 1")
    node.levels.clear()
    assert client.send(command) == b":1\r\n"
    assert set(node.levels) == {("read", QUORUM), ("write", ConsistencyLevel.ALL)}


@pytest.mark.parametrize("command", [b"DEL a", b"DEL a b"])
def test_what_is_not_there_is_not_deleted_again(client: FakeConnection, command: bytes) -> None:
    client.send(b"SET a 1", command)
    client.node.mutations.clear()
    assert client.send(command) == b":0\r\n"
    assert client.node.mutations == []


@pytest.mark.parametrize("command", [b"DEL a", b"DEL a b"])
def test_below_quorum_what_the_read_missed_is_deleted_too(command: bytes) -> None:
    node = FakeNode()
    client = FakeConnection(node, RespDoor(node, consistency=ONE))
    assert client.send(command) == b":0\r\n"
    assert len(node.mutations) == len(command.split()) - 1


@pytest.mark.parametrize("command", [b"DEL a", b"DEL a b"])
def test_an_expired_key_does_not_count_but_is_deleted(
    client: FakeConnection, command: bytes
) -> None:
    # Another node's clock may be behind this one's: there it would still be seen.
    client.send(b"SET a 1 PX 10")
    client.node.pass_ms(10)
    assert client.send(command) == b":0\r\n"
    assert len(client.node.mutations) == 2


def test_keys_of_one_tag_are_deleted_by_one_write(client: FakeConnection) -> None:
    client.send(b"MSET {t}a 1 {t}b 2 c 3")
    client.node.mutations.clear()
    assert client.send(b"DEL {t}a {t}b c d") == b":3\r\n"
    assert [len(decode(each).records) for each in client.node.mutations] == [2, 1]


def test_a_key_written_after_its_deletion_is_there(client: FakeConnection) -> None:
    assert client.send(b"SET a 1", b"DEL a", b"SET a 2", b"GET a").endswith(b"$1\r\n2\r\n")


def test_a_key_named_twice_is_deleted_once_and_exists_twice(client: FakeConnection) -> None:
    assert client.send(b"SET a 1", b"EXISTS a a b", b"DEL a a") == b"+OK\r\n:2\r\n:1\r\n"


@pytest.mark.parametrize(
    "command", [b"DEL a", b"DEL a b", b"EXISTS a", b"EXISTS a b", b"TYPE a"]
)
def test_a_read_that_fails_is_told(client: FakeConnection, command: bytes) -> None:
    client.node.failure = ReadTimeout(QUORUM, 2, 1)
    assert client.send(command).startswith(b"-ERR X7: ")


@pytest.mark.parametrize("command", [b"DEL a", b"DEL a b"])
def test_a_deletion_that_fails_is_told(slow: FakeConnection, command: bytes) -> None:
    slow.send(b"SET a 1")
    slow.node.settle()
    slow.take()
    slow.send(command)
    for _ in command.split()[1:]:
        slow.node.answer()
    slow.node.failure = Unavailable(QUORUM, 2, 1)
    slow.node.settle()
    assert slow.take().startswith(b"-NOREPLICAS X2: ")


def test_flushing_empties_the_table_or_says_why_not(client: FakeConnection) -> None:
    assert client.send(b"SET a 1", b"FLUSHALL", b"DBSIZE") == b"+OK\r\n+OK\r\n:0\r\n"
    client.node.failure = Unavailable(ConsistencyLevel.ALL, 3, 2)
    assert client.send(b"FLUSHDB").startswith(b"-NOREPLICAS X2: ")
