"""Integers as Redis reads them from text: signed 64 bits, strictly one spelling per number."""

INTEGER_MAX = (1 << 63) - 1
INTEGER_MIN = -(1 << 63)
UNSIGNED_MAX = (1 << 64) - 1
_DIGITS_MAX = 20  # A sign and the 19 digits of 2**63.
_CURSOR_DIGITS_MAX = 20  # Of 2**64 - 1.


def integer_of(word: bytes) -> int | None:
    """Read a signed 64-bit integer; None for anything else, "+1" and "01" included."""
    digits = word[1:] if word[:1] == b"-" else word
    if not digits.isdigit() or len(word) > _DIGITS_MAX or (digits[:1] == b"0" and word != b"0"):
        return None
    number = int(word)
    return number if INTEGER_MIN <= number <= INTEGER_MAX else None


def cursor_of(word: bytes) -> int | None:
    """Read a SCAN cursor: an unsigned 64-bit integer, spelled as C's `strtoul` takes it."""
    digits = word[1:] if word[:1] in (b"-", b"+") else word
    if not word:
        return 0
    significant = digits.lstrip(b"0")
    if not digits.isdigit() or len(significant) > _CURSOR_DIGITS_MAX:
        return None
    number = int(significant or b"0")
    if number > UNSIGNED_MAX:
        return None
    return -number & UNSIGNED_MAX if word[:1] == b"-" else number
