r"""RESP requests: bytes in, commands out, incremental and bounded.

::

    array     *2\r\n$3\r\nGET\r\n$1\r\nk\r\n        ->  [b"GET", b"k"]
    inline    GET "a key"\r\n                       ->  [b"GET", b"a key"]

A chunk that begins between two commands is cut at every CRLF at once and its commands are read
off the pieces: about a microsecond each. A value that holds CRLF is read length by length; what
neither can read (an inline command, a command cut by the network, an error) goes through
`_walk`, which keeps its place between chunks. A command past the bounds is read over, so that
its sender gets an error and not a closed connection. Errors have Redis's texts; after one,
framing is lost.

Source: the RESP specification; Redis 7.0's replies to malformed input (`tests/vectors/resp`).
"""

from collections.abc import Callable

from anel.doors.resp.inline import split_words
from anel.limits import (
    MIB,
    RESP_ARGUMENTS_MAX,
    RESP_BULK_BYTES_MAX,
    RESP_LINE_BYTES_MAX,
    RESP_REQUEST_BYTES_MAX,
)

CRLF = b"\r\n"
TOO_LARGE = b"\0too-large"
"""Stands as the only word of a command that was read over, since it passes a bound."""

_COUNTS = {b"*%d" % count: count for count in range(1, 257)}
_sizes: Callable[[bytes], int | None] = {b"$%d" % size: size for size in range(1025)}.get
_HEADER_BYTES_MAX = 14  # A dollar, the digits, CRLF.
_DIGITS_MAX = 11  # A sign and ten digits: more is over every limit here.
_SKIPPED_BULK_BYTES_MAX = 512 * MIB  # Redis's bound: past it, framing is given up as there.
_ARGUMENT_BYTES = 32  # What Python keeps for an argument beside its bytes, roughly.
_ARRAY = ord("*")
_BULK = ord("$")


class RequestParser:
    """Turn a stream of bytes into commands, however the network cuts it.

    Attributes:
        error: Why framing was lost, as Redis words it; None while all is well. Once set,
            nothing more is parsed.
    """

    __slots__ = (
        "_arguments",
        "_bulk",
        "_is_skipped",
        "_missing",
        "_rest",
        "_size",
        "_unread",
        "error",
    )

    def __init__(self) -> None:
        self.error: str | None = None
        self._rest = b""  # The beginning of a line that has not ended.
        self._arguments: list[bytes] = []  # Of the array that has not ended.
        self._missing = 0  # How many arguments that array still lacks.
        self._size = 0  # Bytes of that array so far, announced ones included.
        self._unread = 0  # Bytes that the present bulk lacks, its CRLF included.
        self._bulk = bytearray()  # What of it has come.
        self._is_skipped = False  # That array is too large: read over the rest of it.

    def __len__(self) -> int:
        """Count the bytes kept for a request that has not ended."""
        return len(self._rest) + len(self._bulk) + sum(map(len, self._arguments))

    def receive(self, data: bytes) -> list[list[bytes]]:
        """Add bytes and give the commands they complete, oldest first; none is empty."""
        commands: list[list[bytes]] = []
        if self.error is not None:
            return commands
        if self._missing or self._rest:
            data = self._walk(data, commands, 1)  # The command that the last chunk began.
        if data and self.error is None:
            if (
                len(data) <= RESP_BULK_BYTES_MAX
            ):  # So that no word and no request passes its bound.
                data = _read_whole_commands(data, commands)
            if data:
                self._walk(data, commands, len(data))
        return commands

    def _walk(self, data: bytes, commands: list[list[bytes]], commands_max: int) -> bytes:
        """Parse with care until so many commands are there; give back what was not needed."""
        at = 0
        if self._rest:
            data = self._rest + data
            self._rest = b""
        end = len(data)
        commands_max += len(commands)
        while at < end and self.error is None and len(commands) < commands_max:
            if self._unread:
                at = self._take_bulk(data, at, commands)
                continue
            line_end = data.find(b"\n", at)
            if line_end < 0:
                self._keep_line(data, at)
                return b""
            if self._missing:
                at = self._start_bulk(data, at, line_end)
            elif data[at] == _ARRAY:
                at = self._start_array(data, at, line_end)
            else:
                at = self._take_inline(data, at, line_end, commands)
        return data[at:]

    def _keep_line(self, data: bytes, at: int) -> None:
        rest = data[at:]
        if len(rest) <= RESP_LINE_BYTES_MAX:
            self._rest = rest
        else:
            self._fail_line(rest)

    def _fail_line(self, line: bytes) -> None:
        if self._missing:
            self._fail("too big bulk count string")
        elif line[0] == _ARRAY:
            self._fail("too big mbulk count string")
        else:
            self._fail("too big inline request")

    def _fail(self, error: str) -> None:
        self.error = error
        self._arguments = []
        self._bulk.clear()

    def _start_array(self, data: bytes, at: int, line_end: int) -> int:
        if data[line_end - 1] != 13:  # Like Redis, a length line ends in CRLF and nothing else.
            line_end = data.find(CRLF, at) + 1
            if not line_end:
                self._keep_line(data, at)
                return len(data)
        count = _number(data[at + 1 : line_end - 1])
        if count is None or count > RESP_ARGUMENTS_MAX:
            self._fail("invalid multibulk length")
        elif count > 0:  # Like Redis, skip an empty or negative array without a reply.
            self._missing = count
            self._size = 0
        return line_end + 1

    def _start_bulk(self, data: bytes, at: int, line_end: int) -> int:
        if data[at] != _BULK:
            self._fail(f"expected '$', got '{_shown(data[at])}'")
            return at
        if data[line_end - 1] != 13:
            line_end = data.find(CRLF, at) + 1
            if not line_end:
                self._keep_line(data, at)
                return len(data)
        size = _number(data[at + 1 : line_end - 1])
        if size is None or not 0 <= size <= _SKIPPED_BULK_BYTES_MAX:
            self._fail("invalid bulk length")
            return line_end
        self._size += size + _ARGUMENT_BYTES
        if size > RESP_BULK_BYTES_MAX or self._size > RESP_REQUEST_BYTES_MAX:
            self._is_skipped = True
            self._arguments = []
        self._unread = size + 2
        return line_end + 1

    def _take_bulk(self, data: bytes, at: int, commands: list[list[bytes]]) -> int:
        end = min(at + self._unread, len(data))
        self._unread -= end - at
        if not self._is_skipped:
            self._bulk += data[at:end]
        if self._unread:
            return end
        if not self._is_skipped:
            del self._bulk[-2:]  # Like Redis, trust the length and not the CRLF.
            self._arguments.append(bytes(self._bulk))
        self._bulk.clear()
        self._missing -= 1
        if not self._missing:
            commands.append([TOO_LARGE] if self._is_skipped else self._arguments)
            self._arguments = []
            self._is_skipped = False
        return end

    def _take_inline(
        self, data: bytes, at: int, line_end: int, commands: list[list[bytes]]
    ) -> int:
        line = data[at:line_end]
        if len(line) > RESP_LINE_BYTES_MAX:
            self._fail_line(line)
            return line_end
        words = split_words(line.removesuffix(b"\r"))
        if words is None:
            self._fail("unbalanced quotes in request")
        elif words:
            commands.append(words)
        return line_end + 1


def _read_whole_commands(data: bytes, commands: list[list[bytes]]) -> bytes:
    """Read commands off a chunk cut at every CRLF; give back what this cannot read."""
    pieces = data.split(CRLF)
    last = len(pieces) - 1  # What follows the last CRLF: nothing, if a command ends there.
    count_of = _COUNTS.get
    at = 0
    while at < last:
        count = count_of(pieces[at])
        if count is None:
            break
        end = at + 1 + 2 * count
        if end > last:
            break
        arguments = pieces[at + 2 : end : 2]
        headers = pieces[at + 1 : end : 2]
        if list(map(_sizes, headers)) != list(map(len, arguments)) and headers != [
            b"$%d" % len(argument) for argument in arguments
        ]:
            return _read_arrays(CRLF.join(pieces[at:]), commands)
        commands.append(arguments)
        at = end
    if at == 0:
        return data
    return CRLF.join(pieces[at:])


def _read_arrays(data: bytes, commands: list[list[bytes]]) -> bytes:
    """Read whole arrays, length by length; give back from the first that is not one."""
    end = len(data)
    at = 0  # Of the command; `seek` runs ahead.
    while True:
        line_end = data.find(CRLF, at)
        count = _COUNTS.get(data[at:line_end])
        if line_end < 0 or count is None:
            return data[at:]
        seek = line_end + 2
        arguments = []
        for _ in range(count):
            line_end = data.find(CRLF, seek, seek + _HEADER_BYTES_MAX)
            size = _number(data[seek + 1 : line_end])
            if line_end < 0 or data[seek] != _BULK or size is None or size < 0:
                return data[at:]
            seek = line_end + 4 + size
            if seek > end:
                return data[at:]
            arguments.append(data[line_end + 2 : seek - 2])
        commands.append(arguments)
        at = seek


def _number(digits: bytes) -> int | None:
    """Read a length as strictly as Redis: no sign but minus, no leading zero, no blank."""
    bare = digits[1:] if digits[:1] == b"-" else digits
    if not bare.isdigit() or len(digits) > _DIGITS_MAX:
        return None
    if bare[:1] == b"0" and digits != b"0":
        return None
    return int(digits)


def _shown(byte: int) -> str:
    # Redis sends the byte as it is and turns CR and LF, which would end the reply, into blanks.
    return " " if byte in CRLF else chr(byte)
