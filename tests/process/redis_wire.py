"""One Redis command at a time over a plain socket: tests here need no client library."""

import socket
from contextlib import suppress


def ask(address: tuple[str, int], *words: bytes, within_s: float = 5.0) -> bytes:
    """Send one command and give the first reply as it came."""
    command = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)
    with socket.create_connection(address, timeout=within_s) as connection:
        connection.sendall(command)
        return connection.recv(65_536)


def answers(address: tuple[str, int], *words: bytes, reply: bytes) -> bool:
    """Tell whether a command gets this reply now."""
    with suppress(OSError):
        return ask(address, *words) == reply
    return False
