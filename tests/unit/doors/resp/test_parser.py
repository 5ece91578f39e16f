"""RequestParser: bytes in, commands out, however the network cuts them; memory bounded."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anel.doors.resp.parser import TOO_LARGE, RequestParser
from anel.limits import (
    RESP_ARGUMENTS_MAX,
    RESP_BULK_BYTES_MAX,
    RESP_LINE_BYTES_MAX,
    RESP_REQUEST_BYTES_MAX,
)
from tests.vectors.conversations import array

words = st.one_of(
    st.binary(max_size=8),
    st.sampled_from([b"\r\n", b"*1\r\n$4\r\nPING\r\n", b"x" * 1025, b"$3", b"\r", b"\n", b""]),
)
commands = st.lists(st.lists(words, min_size=1, max_size=4), max_size=8)


def parsed(chunks: list[bytes]) -> list[list[bytes]]:
    parser = RequestParser()
    found = [command for chunk in chunks for command in parser.receive(chunk)]
    assert parser.error is None
    return found


@given(commands)
def test_commands_come_out_as_they_went_in(sent: list[list[bytes]]) -> None:
    assert parsed([b"".join(map(array, sent))]) == sent


@given(commands, st.lists(st.integers(0, 400), max_size=6))
def test_the_cuts_of_the_network_do_not_matter(
    sent: list[list[bytes]], cuts: list[int]
) -> None:
    data = b"".join(map(array, sent))
    edges = [0, *sorted(cuts), len(data)]
    chunks = [data[start:end] for start, end in pairwise(edges)]
    assert parsed(chunks) == sent


@given(commands)
def test_bytes_that_come_one_by_one_are_enough(sent: list[list[bytes]]) -> None:
    data = b"".join(map(array, sent))
    assert parsed([data[at : at + 1] for at in range(len(data))]) == sent


def test_inline_commands_and_arrays_may_follow_each_other() -> None:
    data = b"PING\r\n" + array([b"GET", b"a\r\nb"]) + b'GET "a b"\n' + array([b"PING"])
    expected = [[b"PING"], [b"GET", b"a\r\nb"], [b"GET", b"a b"], [b"PING"]]
    assert parsed([data]) == expected
    assert parsed([data[:9], data[9:]]) == expected


def test_commands_before_an_error_are_given_and_none_after_it() -> None:
    parser = RequestParser()
    data = array([b"PING"]) + b"*1\r\n!4\r\nPING\r\n" + array([b"PING"])
    assert parser.receive(data) == [[b"PING"]]
    assert parser.error == "expected '$', got '!'"
    assert parser.receive(array([b"PING"])) == []


def error_of(data: bytes) -> str | None:
    parser = RequestParser()
    parser.receive(data)
    return parser.error


def test_a_word_past_rediss_bound_ends_it() -> None:
    assert error_of(b"*1\r\n$536870913\r\n") == "invalid bulk length"
    assert error_of(b"*1\r\n$536870912\r\n") is None


def test_a_word_past_the_bound_is_read_over() -> None:
    parser = RequestParser()
    size = RESP_BULK_BYTES_MAX + 1
    parser.receive(b"*3\r\n$3\r\nSET\r\n$%d\r\n" % size)
    piece = bytes(1024 * 1024)
    for _ in range(size // len(piece)):
        assert parser.receive(piece) == []
        assert len(parser) == 0
    assert parser.receive(b"x\r\n$1\r\nv\r\nPING\r\n") == [[TOO_LARGE], [b"PING"]]
    assert parser.receive(array([b"GET", b"a"])) == [[b"GET", b"a"]]


def test_too_many_words_are_refused() -> None:
    assert error_of(b"*%d\r\n" % (RESP_ARGUMENTS_MAX + 1)) == "invalid multibulk length"
    assert error_of(b"*%d\r\n" % RESP_ARGUMENTS_MAX) is None


def test_a_request_past_the_bound_is_read_over() -> None:
    parser = RequestParser()
    parser.receive(b"*4\r\n")
    word = b"$%d\r\n" % RESP_BULK_BYTES_MAX + bytes(RESP_BULK_BYTES_MAX) + b"\r\n"
    for _ in range(RESP_REQUEST_BYTES_MAX // RESP_BULK_BYTES_MAX - 1):
        parser.receive(word)
    assert len(parser) == 2 * RESP_BULK_BYTES_MAX
    assert parser.receive(word) == []
    assert len(parser) == 0
    assert parser.receive(b"$1\r\nx\r\nPING\r\n") == [[TOO_LARGE], [b"PING"]]


@pytest.mark.parametrize(
    ("begin", "error"),
    [
        (b"", "too big inline request"),
        (b"*", "too big mbulk count string"),
        (b"*1\r\n$", "too big bulk count string"),
    ],
)
def test_a_line_without_an_end_is_refused(begin: bytes, error: str) -> None:
    parser = RequestParser()
    parser.receive(begin)
    for _ in range(RESP_LINE_BYTES_MAX // 1024):
        parser.receive(b"1" * 1024)
        assert len(parser) <= RESP_LINE_BYTES_MAX
    parser.receive(b"1" * 2)
    assert parser.error == error


def test_a_large_value_in_pieces_is_kept_once() -> None:
    parser = RequestParser()
    parser.receive(b"*2\r\n$3\r\nGET\r\n$1000000\r\n")
    for _ in range(99):
        assert parser.receive(b"x" * 10_000) == []
    assert len(parser) == 3 + 990_000
    assert parser.receive(b"x" * 10_000 + b"\r\n") == [[b"GET", b"x" * 1_000_000]]
    assert len(parser) == 0


def test_a_huge_chunk_keeps_to_the_bounds_of_a_word() -> None:
    size = RESP_BULK_BYTES_MAX + 1
    data = b"*1\r\n$%d\r\n" % size + bytes(size) + b"\r\n"
    assert parsed([data + data]) == [[TOO_LARGE], [TOO_LARGE]]
