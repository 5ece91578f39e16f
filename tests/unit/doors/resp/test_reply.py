"""Replies: values in, bytes out, in both versions of the protocol."""

import pytest

from anel.doors.resp.reply import Flags, Push, Status, Value, Verbatim, encode, error

MAP: Value = {"a": 1}
CASES: list[tuple[Value, bytes, bytes]] = [
    (b"hello", b"$5\r\nhello\r\n", b"$5\r\nhello\r\n"),
    ("h\u00e9", b"$3\r\nh\xc3\xa9\r\n", b"$3\r\nh\xc3\xa9\r\n"),
    (7, b":7\r\n", b":7\r\n"),
    (None, b"$-1\r\n", b"_\r\n"),
    (2.5, b"$3\r\n2.5\r\n", b",2.5\r\n"),
    (3.0, b"$1\r\n3\r\n", b",3\r\n"),
    (float("inf"), b"$3\r\ninf\r\n", b",inf\r\n"),
    (float("-inf"), b"$4\r\n-inf\r\n", b",-inf\r\n"),
    (float("nan"), b"$3\r\nnan\r\n", b",nan\r\n"),
    (Status(b"OK"), b"+OK\r\n", b"+OK\r\n"),
    (Verbatim(b"text"), b"$4\r\ntext\r\n", b"=8\r\ntxt:text\r\n"),
    ([1, [b"a"]], b"*2\r\n:1\r\n*1\r\n$1\r\na\r\n", b"*2\r\n:1\r\n*1\r\n$1\r\na\r\n"),
    (MAP, b"*2\r\n$1\r\na\r\n:1\r\n", b"%1\r\n$1\r\na\r\n:1\r\n"),
    (Flags(("a", "b")), b"*2\r\n+a\r\n+b\r\n", b"~2\r\n+a\r\n+b\r\n"),
    (Push([1]), b"*1\r\n:1\r\n", b">1\r\n:1\r\n"),
    ([], b"*0\r\n", b"*0\r\n"),
]


@pytest.mark.parametrize(("value", "second", "third"), CASES)
def test_values(value: Value, second: bytes, third: bytes) -> None:
    assert encode(value, 2) == second
    assert encode(value, 3) == third


def test_a_boolean_is_refused_since_the_versions_differ() -> None:
    with pytest.raises(TypeError):
        encode(True, 3)


def test_an_error_stays_on_its_line() -> None:
    assert error("ERR a\r\nb\u0416") == b"-ERR a  b?\r\n"
