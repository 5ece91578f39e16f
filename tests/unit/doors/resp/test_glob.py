"""matcher: glob patterns as KEYS takes them, without a pattern that is slow."""

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anel.doors.resp.glob import matcher


@pytest.mark.parametrize(
    ("pattern", "key", "is_match"),
    [
        (b"*", b"", True),
        (b"", b"", True),
        (b"", b"a", False),
        (b"a", b"a", True),
        (b"a", b"A", False),
        (b"h?llo", b"hello", True),
        (b"h?llo", b"hllo", False),
        (b"h*llo", b"hllo", True),
        (b"h*llo", b"heeello", True),
        (b"h*llo", b"heeelloo", False),
        (b"a*b*c", b"a.b.b.c", True),
        (b"a*bc*c", b"abc", False),
        (b"*a", b"a", True),
        (b"**", b"x\ny", True),
        (b"h[ae]llo", b"hallo", True),
        (b"h[^e]llo", b"hello", False),
        (b"h[^e]llo", b"h\nllo", True),
        (b"h[b-a]llo", b"hallo", True),
        (b"h[a-]llo", b"h-llo", False),
        (b"[]", b"]", False),
        (b"[^]", b"x", True),
        (b"[a", b"a", True),
        (b"[\\]]", b"]", True),
        (b"\\*", b"*", True),
        (b"\\*", b"a", False),
        (b"a\\", b"a\\", True),
        (b"[\xff\x00]", b"\xff", True),
    ],
)
def test_patterns(pattern: bytes, key: bytes, is_match: bool) -> None:  # noqa: FBT001
    assert matcher(pattern)(key) is is_match


@given(st.text("ab*?"), st.text("ab"))
def test_stars_and_question_marks_are_those_of_a_shell(pattern: str, key: str) -> None:
    assert matcher(pattern.encode())(key.encode()) == fnmatch.fnmatchcase(key, pattern)


@given(st.binary(), st.binary())
def test_no_pattern_breaks_it(pattern: bytes, key: bytes) -> None:
    matcher(pattern)(key)


def test_many_stars_over_a_long_key_take_no_exponential_time() -> None:
    assert not matcher(b"a*" * 200 + b"b")(b"a" * 10_000)
