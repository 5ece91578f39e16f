"""RespSession: replies in the order of the commands, whatever that of the ring's answers."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anel.data.consistency import ConsistencyLevel
from anel.doors.backend import Table
from anel.doors.resp.layout import key_of
from anel.errors import AnelError, Overloaded
from anel.limits import (
    RESP_COMMANDS_PER_SLICE,
    RESP_IN_FLIGHT_MAX,
    RESP_OUTPUT_BYTES_PER_SLICE,
)
from tests.unit.doors.resp.fake_node import FakeConnection, pack


def is_paused(client: FakeConnection) -> bool:
    return client.session.paused


def is_open(client: FakeConnection) -> bool:
    return not client.is_closed


def test_a_written_string_is_read_back(client: FakeConnection) -> None:
    assert client.send(b"SET a 1", b"GET a", b"get b") == b"+OK\r\n$1\r\n1\r\n$-1\r\n"
    assert client.send(b"DEL a b a", b"gEt a") == b":1\r\n$-1\r\n"


def test_answers_to_one_chunk_leave_together(client: FakeConnection) -> None:
    client.session.receive(pack(b"PING") * 5)
    assert client.written == [b"+PONG\r\n" * 5]


def test_replies_keep_the_order_of_the_commands(slow: FakeConnection) -> None:
    assert slow.send(b"SET a 1", b"SET b 2", b"ECHO x") == b""
    slow.node.answer(1)
    assert slow.take() == b""
    slow.node.answer(0)
    assert slow.take() == b"+OK\r\n+OK\r\n$1\r\nx\r\n"


def test_commands_on_different_keys_are_under_way_at_once(slow: FakeConnection) -> None:
    slow.send(b"SET a 1", b"SET b 2", b"GET c")
    assert len(slow.node.under_way) == 3


def test_a_command_waits_for_those_before_it_on_its_key(slow: FakeConnection) -> None:
    slow.send(b"SET a 1", b"GET a", b"SET b 2", b"MGET a b")
    assert len(slow.node.under_way) == 2
    slow.node.answer()
    assert slow.take() == b"+OK\r\n"
    assert len(slow.node.under_way) == 2
    slow.node.settle()
    assert slow.take() == b"$1\r\n1\r\n+OK\r\n*2\r\n$1\r\n1\r\n$1\r\n2\r\n"


def test_the_keys_of_mget_and_mset_count_too(slow: FakeConnection) -> None:
    slow.send(b"MSET a 1 b 2", b"MGET c b")
    assert len(slow.node.under_way) == 2
    slow.node.settle()
    assert slow.take() == b"+OK\r\n*2\r\n$-1\r\n$1\r\n2\r\n"


def test_a_value_of_mset_is_no_key(slow: FakeConnection) -> None:
    slow.send(b"MSET a b", b"GET b")
    assert len(slow.node.under_way) == 2


@pytest.mark.parametrize("barrier", [b"KEYS *", b"SCAN 0", b"DBSIZE", b"FLUSHALL", b"HELLO 3"])
def test_a_barrier_waits_for_all_before_it_and_holds_back_all_after(
    slow: FakeConnection, barrier: bytes
) -> None:
    slow.send(b"SET a 1", barrier, b"GET b")
    assert len(slow.node.under_way) == 1
    slow.node.answer()
    assert slow.take().startswith(b"+OK\r\n")
    assert len(slow.node.under_way) == 1
    slow.node.settle()
    assert slow.session.is_idle


def test_no_more_are_under_way_than_the_bound(slow: FakeConnection) -> None:
    slow.send(*(b"SET k%d v" % each for each in range(RESP_IN_FLIGHT_MAX + 10)))
    assert len(slow.node.under_way) == RESP_IN_FLIGHT_MAX
    assert is_paused(slow)
    slow.node.settle()
    assert slow.take() == b"+OK\r\n" * (RESP_IN_FLIGHT_MAX + 10)


def test_replies_that_wait_for_one_before_them_count_as_under_way(slow: FakeConnection) -> None:
    slow.send(b"GET a", *[b"PING"] * 1000)
    assert is_paused(slow)
    slow.node.settle()
    assert slow.take() == b"$-1\r\n" + b"+PONG\r\n" * 1000


def test_a_long_pipeline_lets_others_run_in_between(client: FakeConnection) -> None:
    client.session.receive(pack(b"PING") * (RESP_COMMANDS_PER_SLICE + 1))
    assert client.take() == b"+PONG\r\n" * RESP_COMMANDS_PER_SLICE
    assert is_paused(client)
    client.node.settle()
    assert client.take() == b"+PONG\r\n"
    assert not is_paused(client)


def test_large_answers_are_handed_over_piece_by_piece(client: FakeConnection) -> None:
    client.send([b"SET", b"a", bytes(RESP_OUTPUT_BYTES_PER_SLICE // 2)])
    client.session.receive(pack(b"GET a") * 9)
    assert len(client.take()) < 2 * RESP_OUTPUT_BYTES_PER_SLICE
    client.node.settle()
    assert len(client.take()) > 2 * RESP_OUTPUT_BYTES_PER_SLICE


def test_a_client_that_does_not_read_is_not_served_on(client: FakeConnection) -> None:
    client.session.pause()
    assert is_paused(client)
    assert client.send(b"PING", b"SET a 1") == b""
    client.session.resume()
    assert client.take() == b"+PONG\r\n+OK\r\n"
    assert not is_paused(client)


def test_what_is_under_way_is_answered_though_the_client_does_not_read(
    slow: FakeConnection,
) -> None:
    slow.send(b"SET a 1")
    slow.session.pause()
    slow.node.settle()
    assert slow.take() == b"+OK\r\n"


def test_quit_answers_what_came_before_it_and_nothing_after(slow: FakeConnection) -> None:
    slow.send(b"SET a 1", b"QUIT", b"SET a 2")
    assert is_open(slow)
    slow.node.settle()
    assert slow.take() == b"+OK\r\n+OK\r\n"
    assert slow.is_closed
    assert len(slow.node.mutations) == 1


def test_lost_framing_is_told_after_all_answers(slow: FakeConnection) -> None:
    slow.session.receive(pack(b"SET a 1") + pack(b"GET a") + b"*x\r\n" + pack(b"SET a 2"))
    assert is_open(slow)
    slow.node.settle()
    assert slow.take() == (
        b"+OK\r\n$1\r\n1\r\n-ERR Protocol error: invalid multibulk length\r\n"
    )
    assert slow.is_closed
    assert slow.door.protocol_errors == 1


def test_a_line_of_http_closes_without_an_answer(client: FakeConnection) -> None:
    client.session.receive(b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\nSET a 1\r\n")
    assert client.take() == b""
    assert client.is_closed
    assert client.node.mutations == []


def test_nothing_is_said_to_a_connection_that_is_gone(slow: FakeConnection) -> None:
    slow.send(b"SET a 1", b"KEYS *", b"PING")
    slow.session.closed()
    slow.node.settle()
    assert slow.take() == b""
    assert slow.door.clients == {}


def test_a_walk_ends_with_its_connection(client: FakeConnection) -> None:
    client.node.page_records_max = 1
    client.send(b"MSET a 1 b 2 c 3")
    client.session.receive(pack(b"KEYS *"))
    client.session.closed()
    client.node.posted.pop()()
    assert client.node.posted == []


def test_an_error_is_one_commands_own(client: FakeConnection) -> None:
    client.node.failure = Overloaded("too much")
    assert client.send(b"GET a", b"PING") == b"-ERR X3: too much\r\n+PONG\r\n"


def test_a_node_that_is_not_ready_says_so_and_still_pongs(client: FakeConnection) -> None:
    client.node.ready = False
    answers = client.send(b"PING", b"GET a", b"GET", b"KEYS *").split(b"\r\n")
    assert [answer[:12] for answer in answers] == [
        b"+PONG",
        b"-LOADING X4:",
        b"-ERR wrong n",
        b"-LOADING X4:",
        b"",
    ]


def test_without_the_keyspace_there_is_an_error(client: FakeConnection) -> None:
    client.node.redis = None
    assert client.send(b"GET a").startswith(b"-ERR Q4: ")


def test_the_table_is_the_schemas_latest(client: FakeConnection) -> None:
    assert client.node.redis is not None
    client.send(b"SET a 1")
    client.node.redis = client.node.redis._replace(truncated_at=5)
    assert (
        client.send(b"FLUSHALL") == b"+OK\r\n"
    )  # The fake asserts that it is the present one.


def test_commands_after_a_refused_multi_are_not_run(client: FakeConnection) -> None:
    answers = client.send(b"MULTI", b"SET a 1", b"PING", b"EXEC", b"GET a").split(b"\r\n")
    assert answers[0].startswith(b"-ERR Q6: MULTI ")
    assert answers[1].startswith(b"-ERR MULTI was refused")
    assert answers[3].startswith(b"-EXECABORT ")
    assert answers[4] == b"$-1"
    assert client.node.mutations == []


@pytest.mark.parametrize("end", [b"DISCARD", b"RESET", b"EXEC"])
def test_a_refused_multi_can_be_left(client: FakeConnection, end: bytes) -> None:
    client.send(b"MULTI", end)
    assert client.send(b"SET a 1") == b"+OK\r\n"


def test_an_answer_that_comes_while_another_command_starts_strands_nobody(
    slow: FakeConnection,
) -> None:
    node = slow.node
    read_row = node.read_row

    def answering_read(
        table: Table,
        key: bytes,
        level: ConsistencyLevel,
        done: Callable[[bytes | AnelError], None],
    ) -> None:
        # As when a full queue lets something older fail.
        if node.under_way:
            node.answer()
        read_row(table, key, level, done)

    node.read_row = answering_read  # type: ignore[method-assign]
    answer = slow.send(b"SET a 1", b"GET a", b"GET b", b"KEYS *")
    node.settle()
    assert answer + slow.take() == b"+OK\r\n$1\r\n1\r\n$-1\r\n*1\r\n$1\r\na\r\n"
    assert slow.session.is_idle


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("wrm")), max_size=60),
    st.randoms(use_true_random=False),
)
def test_any_order_of_answers_looks_like_one_command_after_another(
    plan: list[tuple[str, str]], chance: random.Random
) -> None:
    slow, quick = FakeConnection(), FakeConnection()
    slow.node.is_slow = True
    commands = []
    for at, (key, kind) in enumerate(plan):
        text = {"w": f"SET {key} {at}", "r": f"GET {key}", "m": f"MGET a {key} c"}[kind]
        commands.append(text.encode())
    answer = slow.send(*commands)
    while slow.node.under_way:
        slow.node.answer(chance.randrange(len(slow.node.under_way)))
    assert answer + slow.take() == quick.send(*commands)
    assert slow.session.is_idle


def test_two_connections_do_not_wait_for_each_other(slow: FakeConnection) -> None:
    other = FakeConnection(slow.node, slow.door)
    slow.send(b"SET a 1")
    other.send(b"SET a 2")
    assert len(slow.node.under_way) == 2


def test_keys_are_stored_as_they_are_named(client: FakeConnection) -> None:
    client.send([b"SET", b"a\0\r\n{t}", b"v"])
    assert [key_of(key) for key in client.node.sorted_keys] == [b"a\0\r\n{t}"]
