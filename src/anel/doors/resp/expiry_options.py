"""The words that say when a key ends: SET's options, EXPIRE's flags, Redis's bounds on both."""

from typing import NamedTuple

from anel.doors.resp.failure import NOT_AN_INTEGER, SYNTAX, failure
from anel.doors.resp.later import CONDITIONAL
from anel.doors.resp.numbers import INTEGER_MAX, INTEGER_MIN, integer_of
from anel.doors.resp.reply import error
from anel.errors import NotSupported

# Word, whether it counts from now, and its unit in milliseconds.
_EXPIRIES = {
    b"EX": (True, 1000),
    b"PX": (True, 1),
    b"EXAT": (False, 1000),
    b"PXAT": (False, 1),
}
# Like Redis, one kind of expiry may be named twice: the last one counts.
_CLASHES = {
    word: tuple(other for other in (*_EXPIRIES, b"KEEPTTL") if other != word)
    for word in _EXPIRIES
}
_CONDITIONS = (b"NX", b"XX")
_RACY = (b"NX", b"XX", b"GET", b"KEEPTTL")


def invalid_expiry(name: str) -> bytes:
    """Say that a time is zero, negative where it may not be, or past what 64 bits hold."""
    return error(f"ERR invalid expire time in '{name}' command")


def expire_at_ms(word: bytes, unit_ms: int, base_ms: int, name: str) -> int | bytes:
    """Turn a positive time into the instant it means, or into the error to answer.

    Args:
        word: As the client sent it.
        unit_ms: 1000 for seconds, 1 for milliseconds.
        base_ms: What it counts from: now, or 0 for an instant.
        name: The command, for the error.
    """
    amount = integer_of(word)
    if amount is None:
        return NOT_AN_INTEGER
    if (
        amount <= 0
        or amount > (INTEGER_MAX // unit_ms)
        or amount * unit_ms > INTEGER_MAX - base_ms
    ):
        return invalid_expiry(name)
    return amount * unit_ms + base_ms


class SetOptions(NamedTuple):
    """What follows SET's value.

    Attributes:
        expire_at_ms: None for never.
        refusal: The error to answer instead of writing.
    """

    expire_at_ms: int | None = None
    refusal: bytes | None = None

    @classmethod
    def read(cls, words: list[bytes], now_ms: int) -> "SetOptions":
        """Read the options, with Redis's order of complaints."""
        expiry: tuple[bytes, bytes] | None = None
        seen: set[bytes] = set()
        at = 0
        while at < len(words):
            word = words[at].upper()
            if word in _EXPIRIES and at + 1 < len(words) and seen.isdisjoint(_CLASHES[word]):
                at += 1
                expiry = (word, words[at])
            elif (
                word not in _RACY
                or (word == b"KEEPTTL" and expiry is not None)
                or (word in _CONDITIONS and not seen.isdisjoint(set(_CONDITIONS) - {word}))
            ):
                return cls(refusal=SYNTAX)
            seen.add(word)
            at += 1
        return cls._judge(expiry, [word for word in _RACY if word in seen], now_ms)

    @classmethod
    def _judge(
        cls, expiry: tuple[bytes, bytes] | None, racy: list[bytes], now_ms: int
    ) -> "SetOptions":
        ends_ms = None
        if expiry is not None:
            is_relative, unit_ms = _EXPIRIES[expiry[0]]
            instant = expire_at_ms(expiry[1], unit_ms, now_ms if is_relative else 0, "set")
            if isinstance(instant, bytes):
                return cls(refusal=instant)
            ends_ms = instant
        if racy:
            option = racy[0].decode()
            return cls(refusal=failure(NotSupported(f"SET with {option} {CONDITIONAL}")))
        return cls(ends_ms)


def expire_flags_refusal(words: list[bytes], name: str) -> bytes | None:
    """Read EXPIRE's flags; each of them asks for a condition, so the answer is an error."""
    flags: set[str] = set()
    for word in words:
        flag = word.upper().decode("latin-1")
        if flag not in ("NX", "XX", "GT", "LT"):
            return error(f"ERR Unsupported option {word.decode('latin-1')}")
        flags.add(flag)
    if "NX" in flags and len(flags) > 1:
        return error("ERR NX and XX, GT or LT options at the same time are not compatible")
    if {"GT", "LT"} <= flags:
        return error("ERR GT and LT options at the same time are not compatible")
    if flags:
        return failure(NotSupported(f"{name.upper()} with a condition {CONDITIONAL}"))
    return None


def instant_ms(word: bytes, unit_ms: int, base_ms: int, name: str) -> int | bytes:
    """Turn EXPIRE's time, which may lie in the past, into an instant or an error."""
    amount = integer_of(word)
    if amount is None:
        return NOT_AN_INTEGER
    milliseconds = amount * unit_ms
    if not INTEGER_MIN <= milliseconds <= INTEGER_MAX - max(base_ms, 0):
        return invalid_expiry(name)
    return milliseconds + base_ms
