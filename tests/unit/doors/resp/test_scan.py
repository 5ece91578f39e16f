"""SCAN, KEYS, DBSIZE: walks by token that miss no key and never split a token."""

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anel.data import row
from anel.data.clustering import encode_bytes
from anel.data.consistency import ConsistencyLevel
from anel.data.mutation import ROW
from anel.doors.resp import scan as scan_module
from anel.doors.resp.layout import place
from anel.errors import ReadTimeout
from tests.unit.doors.resp.fake_node import FakeConnection

BULK = re.compile(rb"\$\d+\r\n([^\r]*)\r\n")


def scan(client: FakeConnection, *options: bytes) -> list[list[bytes]]:
    """Make a whole pass; give its pages."""
    pages = []
    cursor = b"0"
    while True:
        cursor, *keys = BULK.findall(client.send([b"SCAN", cursor, *options]))
        pages.append(keys)
        if cursor == b"0":
            return pages


def found(client: FakeConnection, *options: bytes) -> list[bytes]:
    """Give the keys of a whole pass, sorted."""
    return sorted(key for page in scan(client, *options) for key in page)


def fill(client: FakeConnection, keys: list[bytes]) -> None:
    client.send([b"MSET", *(word for key in keys for word in (key, b"v"))])


tagged = st.builds(lambda tag, at: b"{%d}%d" % (tag, at), st.integers(0, 5), st.integers(0, 40))


@given(
    st.lists(tagged, unique=True, min_size=1, max_size=80),
    st.integers(1, 30),
    st.integers(1, 30),
)
def test_a_pass_sees_every_key_once_and_splits_no_tag(
    keys: list[bytes], count: int, records_max: int
) -> None:
    client = FakeConnection()
    client.node.page_records_max = records_max
    fill(client, keys)
    pages = scan(client, b"COUNT", b"%d" % count)
    assert sorted(key for page in pages for key in page) == sorted(keys)
    tags = Counter(tag for page in pages for tag in {key.partition(b"}")[0] for key in page})
    assert set(tags.values()) == {1}


def test_a_page_is_about_as_large_as_asked(client: FakeConnection) -> None:
    fill(client, [b"k%d" % at for at in range(1000)])
    sizes = [len(page) for page in scan(client, b"COUNT", b"50")]
    assert max(sizes) <= 50
    assert sum(sizes) == 1000
    assert len(sizes) < 30


def test_cursors_grow(client: FakeConnection) -> None:
    fill(client, [b"k%d" % at for at in range(100)])
    cursors = []
    cursor = b"0"
    while True:
        cursor, *_ = BULK.findall(client.send([b"SCAN", cursor]))
        if cursor == b"0":
            break
        cursors.append(int(cursor))
    assert cursors == sorted(set(cursors))
    assert cursors[0] > 0
    assert cursors[-1] < 1 << 64


def test_a_scan_of_nothing_ends_at_once(client: FakeConnection) -> None:
    assert client.send(b"SCAN 0") == b"*2\r\n$1\r\n0\r\n*0\r\n"


def test_a_key_that_stays_is_seen_though_others_come_and_go(client: FakeConnection) -> None:
    fill(client, [b"stays", *(b"k%d" % at for at in range(100))])
    seen = set()
    cursor = b"0"
    for turn in range(1000):
        cursor, *keys = BULK.findall(client.send([b"SCAN", cursor]))
        seen |= set(keys)
        if cursor == b"0":
            break
        client.send(b"DEL k%d" % turn, b"SET n%d v" % turn)
    assert b"stays" in seen


def test_match_and_type_choose(client: FakeConnection) -> None:
    fill(client, [b"a1", b"a2", b"b1"])
    assert found(client, b"MATCH", b"a*") == [b"a1", b"a2"]
    assert found(client, b"TYPE", b"string") == [b"a1", b"a2", b"b1"]
    assert found(client, b"TYPE", b"hash") == []


def test_expired_and_deleted_keys_and_elements_are_not_counted(client: FakeConnection) -> None:
    client.send(b"SET a 1 PX 10", b"SET b 1", b"DEL b", b"SET c 1")
    assert client.node.redis is not None
    prefix, _ = place(client.node.redis.id, b"h")
    element = prefix + ROW + encode_bytes(b"h") + encode_bytes(b"field")
    client.node.merge(element, row.encode([row.cell(b"value", b"x", 5)]))
    client.node.pass_ms(10)
    assert client.send(b"DBSIZE") == b":1\r\n"
    assert client.send(b"KEYS *") == b"*1\r\n$1\r\nc\r\n"
    assert scan(client) == [[b"c"]]


def test_a_tag_with_too_many_keys_is_an_error_that_says_so(
    client: FakeConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan_module, "RESP_KEYS_PER_TAG_MAX", 20)
    client.node.page_records_max = 7
    fill(client, [b"{t}%d" % at for at in range(40)])
    assert client.send(b"SCAN 0").startswith(b"-ERR Q3: more than 20 keys share one hash tag")
    assert client.send(b"DBSIZE") == b":40\r\n"


def test_keys_past_the_bound_is_an_error(
    client: FakeConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan_module, "RESP_REPLY_BYTES_MAX", 1000)
    fill(client, [b"k%d" % at for at in range(40)])
    assert client.send(b"KEYS *").startswith(b"-ERR Q3: the reply would pass")
    assert client.send(b"KEYS k1") == b"*1\r\n$2\r\nk1\r\n"


@pytest.mark.parametrize("command", [b"KEYS *", b"DBSIZE", b"SCAN 0 COUNT 100"])
def test_others_are_served_between_the_pages_of_a_walk(
    client: FakeConnection, command: bytes
) -> None:
    client.node.page_records_max = 10
    fill(client, [b"k%d" % at for at in range(30)])
    client.node.is_slow = True
    client.send(command)
    for _ in range(2):
        client.node.answer()
        assert client.take() == b""
        client.node.posted.pop()()
    client.node.settle()
    assert client.take() != b""


@pytest.mark.parametrize("command", [b"KEYS *", b"DBSIZE", b"SCAN 0"])
def test_a_page_that_fails_fails_the_walk(client: FakeConnection, command: bytes) -> None:
    client.node.failure = ReadTimeout(ConsistencyLevel.QUORUM, 2, 1)
    assert client.send(command).startswith(b"-ERR X7: ")


def test_a_damaged_row_fails_the_walk(client: FakeConnection) -> None:
    client.send(b"SET a 1")
    client.node.rows[client.node.sorted_keys[0]] = b"\xff" * 20
    assert client.send(b"DBSIZE").startswith(b"-ERR internal S2: ")
