r"""Glob patterns as KEYS and SCAN take them: * ? [abc] [^a-z] and \ for the next byte.

A pattern is cut at its stars. The parts between stars have one fixed length each, so that
taking every part at its leftmost place is right, and no pattern makes matching slower than the
key's length times the pattern's.

Source: redis-server's `stringmatchlen`, as documented for KEYS and observed.
"""

import re
from collections.abc import Callable
from typing import TypeAlias

Matcher: TypeAlias = Callable[[bytes], bool]

_STAR = ord("*")
_ANY = ord("?")
_OPEN = ord("[")
_CLOSE = ord("]")
_NOT = ord("^")
_BACKSLASH = ord("\\")
_DASH = ord("-")
_ALL_BYTES = frozenset(range(256))


class _Part:
    """What lies between two stars: so many bytes, each of some set."""

    __slots__ = ("pattern", "size")

    def __init__(self, byte_sets: list[frozenset[int]]) -> None:
        self.size = len(byte_sets)
        self.pattern = re.compile(b"".join(map(_class_of, byte_sets)), re.DOTALL)


def matcher(pattern: bytes) -> Matcher:
    """Compile a pattern into a test of keys."""
    if pattern == b"*":
        return lambda _key: True
    if not any(byte in pattern for byte in b"*?[\\"):
        return pattern.__eq__
    parts = [_Part(byte_sets) for byte_sets in _parts_of(pattern)]
    if len(parts) == 1:
        whole = parts[0].pattern.fullmatch
        return lambda key: whole(key) is not None
    return lambda key: _matches(key, parts)


def _matches(key: bytes, parts: list[_Part]) -> bool:
    first, last = parts[0], parts[-1]
    end = len(key) - last.size
    if end < first.size or not first.pattern.match(key) or not last.pattern.match(key, end):
        return False
    at = first.size
    for part in parts[1:-1]:
        found = part.pattern.search(key, at, end)
        if found is None:
            return False
        at = found.end()
    return True


def _parts_of(pattern: bytes) -> list[list[frozenset[int]]]:
    parts: list[list[frozenset[int]]] = [[]]
    at = 0
    end = len(pattern)
    while at < end:
        byte = pattern[at]
        if byte == _STAR:
            parts.append([])
        elif byte == _ANY:
            parts[-1].append(_ALL_BYTES)
        elif byte == _OPEN:
            byte_set, at = _read_class(pattern, at + 1)
            parts[-1].append(byte_set)
        else:
            if byte == _BACKSLASH and at + 1 < end:
                at += 1
            parts[-1].append(frozenset((pattern[at],)))
        at += 1
    middle = [part for part in parts[1:-1] if part]  # Two stars in a row are as one.
    return parts if len(parts) == 1 else [parts[0], *middle, parts[-1]]


def _read_class(pattern: bytes, at: int) -> tuple[frozenset[int], int]:
    """Read [...] from after its bracket; give the bytes and the offset of its last byte."""
    is_negated = pattern[at : at + 1] == b"^"
    at += is_negated
    end = len(pattern)
    members: set[int] = set()
    while at < end and pattern[at] != _CLOSE:
        if pattern[at] == _BACKSLASH and at + 1 < end:
            at += 1
            members.add(pattern[at])
        elif at + 2 < end and pattern[at + 1] == _DASH:
            low, high = sorted((pattern[at], pattern[at + 2]))
            members.update(range(low, high + 1))
            at += 2
        else:
            members.add(pattern[at])
        at += 1
    # Like Redis, a class that is not closed ends with the pattern.
    byte_set = _ALL_BYTES - members if is_negated else frozenset(members)
    return byte_set, min(at, end - 1)


def _class_of(byte_set: frozenset[int]) -> bytes:
    """Write a set of bytes for `re`."""
    if byte_set == _ALL_BYTES:
        return b"."
    if len(byte_set) == 1:
        return re.escape(bytes(sorted(byte_set)))
    if not byte_set:
        return b"(?!)"
    return b"[" + b"".join(b"\\x%02x" % byte for byte in sorted(byte_set)) + b"]"
