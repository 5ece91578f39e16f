r"""RESP replies: values in, bytes out, in either version of the protocol.

::

    bytes       $5\r\nhello\r\n            both
    None        $-1\r\n                    _\r\n in version 3
    dict        *4\r\n ...                 %2\r\n ... in version 3
    float       $3\r\n2.5\r\n              ,2.5\r\n in version 3
    Verbatim    as bytes                   =8\r\ntxt:text\r\n in version 3
    Push        as a list                  >2\r\n ... in version 3
    Flags       *1\r\n+fast\r\n            ~1\r\n+fast\r\n in version 3

Hot commands format their bytes themselves; `encode` serves the others.

Source: the RESP3 specification; redis-server 7.0.15 for what becomes what in version 2.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias, Union

OK = b"+OK\r\n"
ZERO = b":0\r\n"
ONE = b":1\r\n"
EMPTY_ARRAY = b"*0\r\n"
NULLS = {2: b"$-1\r\n", 3: b"_\r\n"}


class Status(bytes):
    """Text sent as a simple string."""

    __slots__ = ()


class Verbatim(bytes):
    """Text for people (INFO), which version 3 marks as such."""

    __slots__ = ()


class Flags(tuple[str, ...]):
    """Words that version 3 sends as a set of simple strings."""

    __slots__ = ()


class Push(list["Value"]):
    """What the server says without having been asked."""

    __slots__ = ()


Value: TypeAlias = Union[
    bytes, str, int, float, Flags, "Sequence[Value]", "Mapping[str, Value]", None
]


def bulk(value: bytes) -> bytes:
    """Write one string."""
    return b"$%d\r\n%b\r\n" % (len(value), value)


def array(items: list[bytes]) -> bytes:
    """Write an array of replies already encoded."""
    return b"*%d\r\n%b" % (len(items), b"".join(items))


def bulks(values: Iterable[bytes]) -> bytes:
    """Write an array of strings."""
    return array([b"$%d\r\n%b\r\n" % (len(value), value) for value in values])


def error(text: str) -> bytes:
    """Write an error; its first word is what clients branch on.

    Characters beyond Latin-1 and line ends, which would end the reply, become blanks.
    """
    line = text.replace("\r", " ").replace("\n", " ")
    return b"-%b\r\n" % line.encode("latin-1", "replace")


def encode(value: Value, protocol: int) -> bytes:
    """Write any reply in protocol version 2 or 3."""
    parts: list[bytes] = []
    _encode(value, protocol, parts)
    return b"".join(parts)


def _encode(value: Value, protocol: int, parts: list[bytes]) -> None:
    match value:
        case bool():
            raise TypeError("booleans have no one form in both versions: send 0 or 1")
        case Status():
            parts.append(b"+%b\r\n" % value)
        case Verbatim() if protocol == 3:
            parts.append(b"=%d\r\ntxt:%b\r\n" % (len(value) + 4, value))
        case bytes():
            parts.append(bulk(value))
        case str():
            parts.append(bulk(value.encode()))
        case int():
            parts.append(b":%d\r\n" % value)
        case float():
            text = _number(value)
            parts.append(b",%b\r\n" % text if protocol == 3 else bulk(text))
        case None:
            parts.append(NULLS[protocol])
        case _:
            _encode_many(value, protocol, parts)


def _encode_many(
    value: "Flags | Sequence[Value] | Mapping[str, Value]",
    protocol: int,
    parts: list[bytes],
) -> None:
    match value:
        case Flags():
            parts.append((b"~%d\r\n" if protocol == 3 else b"*%d\r\n") % len(value))
            parts += (b"+%b\r\n" % word.encode() for word in value)
        case Mapping():
            count = len(value)
            parts.append(b"%%%d\r\n" % count if protocol == 3 else b"*%d\r\n" % (2 * count))
            for name, item in value.items():
                _encode(name, protocol, parts)
                _encode(item, protocol, parts)
        case _:
            kind = b">" if isinstance(value, Push) and protocol == 3 else b"*"
            parts.append(b"%b%d\r\n" % (kind, len(value)))
            for item in value:
                _encode(item, protocol, parts)


def _number(value: float) -> bytes:
    if value != value:  # noqa: PLR0124 - The one number that differs from itself.
        return b"nan"
    if value in (float("inf"), float("-inf")):
        return b"inf" if value > 0 else b"-inf"
    return (b"%d" % value) if value.is_integer() and abs(value) < 1e17 else repr(value).encode()
