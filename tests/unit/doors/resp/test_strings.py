"""GET, SET and their kin: what they write, at which consistency, and what they refuse."""

import pytest

from anel.data import row
from anel.data.consistency import ConsistencyLevel
from anel.data.mutation import decode
from anel.doors.resp.door import RespDoor
from anel.doors.resp.layout import KEYSPACE, TABLE, TYPE, place
from anel.errors import Unavailable, WriteTimeout
from anel.limits import MUTATION_RECORDS_MAX, RESP_REPLY_BYTES_MAX
from tests.unit.doors.resp.fake_node import FakeConnection, FakeNode

QUORUM, ONE, ANY = ConsistencyLevel.QUORUM, ConsistencyLevel.ONE, ConsistencyLevel.ANY


def store(client: FakeConnection, key: bytes, raw: bytes) -> None:
    assert client.node.redis is not None
    client.node.merge(b"".join(place(client.node.redis.id, key)), raw)


def test_set_writes_one_row_of_one_partition(client: FakeConnection) -> None:
    client.send(b"SET {t}a v")
    _, prefix, records = decode(client.node.mutations[0])
    assert prefix.endswith(b"\0\x01t")
    assert len(records) == 1
    assert (KEYSPACE, TABLE) == ("redis", "data")


def test_each_write_has_a_timestamp_of_its_own(client: FakeConnection) -> None:
    client.send(b"SET a 1", b"SET a 2", b"SET a 3")
    stamps = [decode(mutation).issued for mutation in client.node.mutations]
    assert stamps == sorted(set(stamps))
    assert client.send(b"GET a") == b"$1\r\n3\r\n"


@pytest.mark.parametrize("level", [QUORUM, ONE, ConsistencyLevel.ALL])
def test_reads_and_writes_are_at_the_doors_level(level: ConsistencyLevel) -> None:
    node = FakeNode()
    client = FakeConnection(node, RespDoor(node, consistency=level))
    client.send(b"SET a 1", b"GET a", b"MGET a b", b"MSET a 1")
    assert {found for _, found in node.levels} == {level}


def test_at_any_reads_are_at_one() -> None:
    node = FakeNode()
    client = FakeConnection(node, RespDoor(node, consistency=ANY))
    client.send(b"SET a 1", b"GET a", b"KEYS *")
    assert node.levels == [("write", ANY), ("read", ONE), ("page", ONE)]


def test_set_forgets_when_the_old_value_ended(client: FakeConnection) -> None:
    client.send(b"SET a 1 PX 1000", b"SET a 2")
    client.node.pass_ms(2000)
    assert client.send(b"GET a") == b"$1\r\n2\r\n"


def test_a_value_ends_on_time(client: FakeConnection) -> None:
    client.send(b"SET a 1 PX 1000", b"SETEX b 1 2", b"PSETEX c 1000 3")
    client.node.pass_ms(999)
    assert client.send(b"MGET a b c") == b"*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n"
    client.node.pass_ms(1)
    assert client.send(b"MGET a b c") == b"*3\r\n" + b"$-1\r\n" * 3


@pytest.mark.parametrize("option", [b"NX", b"xx", b"GET", b"KEEPTTL", b"NX GET", b"EX 5 NX"])
def test_what_must_read_before_it_writes_is_refused(
    client: FakeConnection, option: bytes
) -> None:
    answer = client.send(b"SET a 1 " + option)
    assert answer.startswith(b"-ERR Q6: SET with ")
    assert b"conditional-writes" in answer
    assert client.node.mutations == []


def test_a_wrong_time_is_told_before_the_condition(client: FakeConnection) -> None:
    assert client.send(b"SET a 1 NX EX 0") == b"-ERR invalid expire time in 'set' command\r\n"


def test_mset_is_one_write_for_each_tag(client: FakeConnection) -> None:
    client.send(b"MSET {t}a 1 {t}b 2 {u}c 3 d 4 {t}a 5")
    assert [len(decode(each).records) for each in client.node.mutations] == [2, 1, 1]
    assert client.send(b"GET {t}a") == b"$1\r\n5\r\n"


def test_mset_past_the_bound_of_one_tag_writes_nothing(client: FakeConnection) -> None:
    words = [word for at in range(MUTATION_RECORDS_MAX + 1) for word in (b"{t}%d" % at, b"")]
    assert client.send([b"MSET", *words]).startswith(b"-ERR Q3: ")
    assert client.node.mutations == []


def test_mget_asks_for_each_key_once(client: FakeConnection) -> None:
    client.send(b"SET a 1", b"MGET a a b a")
    assert len([kind for kind, _ in client.node.levels if kind == "read"]) == 2


def test_mget_past_the_bound_is_an_error(client: FakeConnection) -> None:
    half = RESP_REPLY_BYTES_MAX // 8
    for at in range(9):
        client.send([b"SET", b"k%d" % at, bytes(half)])
    assert client.send([b"MGET", *(b"k%d" % at for at in range(9))]).startswith(b"-ERR Q3: ")
    assert client.send([b"MGET", *[b"k1"] * 9]).startswith(b"-ERR Q3: ")


def test_a_failure_of_one_key_fails_mget(client: FakeConnection) -> None:
    client.node.failure = Unavailable(QUORUM, 2, 1)
    assert client.send(b"MGET a b").startswith(b"-NOREPLICAS X2: ")


def test_a_write_of_unknown_outcome_says_so(client: FakeConnection) -> None:
    client.node.failure = WriteTimeout(QUORUM, 2, 1)
    for command in (b"SET a 1", b"MSET a 1 b 2"):
        assert b"-ERR X6: " in client.send(command)


def test_a_key_of_another_type_is_no_string(client: FakeConnection) -> None:
    store(client, b"h", row.encode([row.cell(TYPE, b"\x07", 5)]))
    wrong = b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
    for command in (b"GET h", b"STRLEN h", b"GETRANGE h 0 1"):
        assert client.send(command) == wrong
    assert client.send(b"MGET h") == b"*1\r\n$-1\r\n"
    assert client.send(b"EXISTS h", b"TYPE h", b"SET h 1") == b":1\r\n+none\r\n+OK\r\n"


def test_damaged_bytes_are_an_error_and_no_value(client: FakeConnection) -> None:
    assert client.node.redis is not None
    client.node.rows[b"".join(place(client.node.redis.id, b"a"))] = b"\xff" * 20
    for command in (b"GET a", b"MGET a", b"EXISTS a", b"DEL a", b"DEL a b", b"EXPIRE a 5"):
        assert b"-ERR internal S2: " in client.send(command)


def test_a_key_that_is_too_long_is_refused(client: FakeConnection) -> None:
    long = b"k" * 40_000
    for words in ([b"GET", long], [b"SET", long, b""], [b"MGET", b"a", long], [b"DEL", long]):
        assert client.send(words).startswith(b"-ERR Q3: the key is too long")
    assert client.node.levels == []
