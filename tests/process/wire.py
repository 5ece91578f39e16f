"""A raw Redis connection that pipelines: every reply is told apart, nothing is retried."""

import socket
from collections.abc import Sequence
from types import TracebackType
from typing import Self, TypeAlias

Reply: TypeAlias = "bytes | int | Refusal | list[Reply] | None"
PATIENCE_SECONDS = 15.0  # Longer than any time-out of the ring: a node must always answer.


class Refusal(str):
    """An error reply."""

    __slots__ = ()

    @property
    def code(self) -> str:
        """Anel's own code (`X2`), else the reply's first word."""
        words = self.split()
        second = words[1].rstrip(":") if len(words) > 1 else ""
        return second if second[:1] in "XQS" and second[1:].isdigit() else words[0]


class Wire:
    """One connection."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, timeout=PATIENCE_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close it."""
        self._file.close()
        self._socket.close()

    def ask(self, *words: bytes) -> Reply:
        """Send one command and read its reply."""
        self.send([words])
        return self.reply()

    def send(self, commands: Sequence[Sequence[bytes]]) -> None:
        """Send a pipeline."""
        self._socket.sendall(b"".join(encode(command) for command in commands))

    def reply(self) -> Reply:
        """Read one reply.

        Raises:
            ConnectionError: The connection ended first.
        """
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionResetError("the connection ended")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            return Refusal(rest.decode())
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        assert kind == b"$", line
        return None if rest == b"-1" else self._bulk(int(rest))

    def _bulk(self, size: int) -> bytes:
        data = self._file.read(size + 2)
        if len(data) < size + 2:
            raise ConnectionResetError("the connection ended")
        return data[:-2]


def encode(words: Sequence[bytes]) -> bytes:
    """Write a command as an array."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)
