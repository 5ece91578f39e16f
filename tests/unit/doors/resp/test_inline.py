"""split_words: a line of words, quoted as in redis-cli."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anel.doors.resp.inline import split_words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", []),
        (b"  \t ", []),
        (b" SET  a\tb ", [b"SET", b"a", b"b"]),
        (b'"a b" c', [b"a b", b"c"]),
        (rb'"\x41\n\r\t\b\a\\\"\q\xzz"', [b'A\n\r\t\b\a\\"qxzz']),
        (rb"'it\'s \n'", [rb"it's \n"]),
        (b'""', [b""]),
        (b"''", [b""]),
        (b'a"b c"', [b"ab c"]),
        (b'"a', None),
        (b"'a", None),
        (b'"a"b', None),
        (b"'a'b", None),
        (b'"a\\', None),
    ],
)
def test_words(line: bytes, words: list[bytes] | None) -> None:
    assert split_words(line) == words


@given(st.lists(st.binary()))
def test_any_bytes_can_be_written_in_double_quotes(words: list[bytes]) -> None:
    line = b" ".join(
        b'"' + b"".join(b"\\x%02x" % byte for byte in word) + b'"' for word in words
    )
    assert split_words(line) == words


@given(st.binary())
def test_no_line_breaks_it(line: bytes) -> None:
    split_words(line)
