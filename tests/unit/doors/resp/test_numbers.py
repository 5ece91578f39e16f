"""Integers and cursors: one spelling per number, bounded by 64 bits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anel.doors.resp.numbers import cursor_of, integer_of


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_every_integer_is_read(number: int) -> None:
    assert integer_of(b"%d" % number) == number


@pytest.mark.parametrize(
    "word",
    [
        *(b"", b"-", b"+1", b"01", b"-0", b"1.0", b" 1", b"1 ", b"1_0", b"x", b"1" * 5000),
        *(b"9223372036854775808", b"-9223372036854775809", "\u0661".encode()),
    ],
)
def test_another_spelling_is_none(word: bytes) -> None:
    assert integer_of(word) is None


@pytest.mark.parametrize(
    ("word", "cursor"),
    [
        (b"0", 0),
        (b"", 0),
        (b"007", 7),
        (b"+7", 7),
        (b"-1", (1 << 64) - 1),
        (b"18446744073709551615", (1 << 64) - 1),
        (b"18446744073709551616", None),
        (b"1x", None),
        (b" 1", None),
        (b"-", None),
        (b"1" * 5000, None),
    ],
)
def test_cursors(word: bytes, cursor: int | None) -> None:
    assert cursor_of(word) == cursor
