"""Asks a node's Redis door PING until it answers: the first PONG means ready."""

import contextlib
import socket
from collections.abc import Callable
from selectors import EVENT_READ, BaseSelector

PING = b"*1\r\n$4\r\nPING\r\n"
CONNECT_SECONDS_MAX = 0.1  # On loopback a connection is made or refused at once.
PONG = b"+PONG\r\n"


class Probe:
    """Watches one address from inside a selector loop."""

    def __init__(
        self, selector: BaseSelector, address: tuple[str, int], ready: Callable[[], None]
    ) -> None:
        self._selector = selector
        self._address = address
        self._ready = ready
        self._socket: socket.socket | None = None

    def attempt(self) -> None:
        """Knock, unless an answer is still awaited; call this every few milliseconds."""
        if self._socket is not None:
            return
        knock = socket.socket()
        knock.settimeout(CONNECT_SECONDS_MAX)
        try:
            knock.connect(self._address)
            knock.setblocking(False)
            knock.send(PING)
        except OSError:
            knock.close()
            return
        self._socket = knock
        self._selector.register(knock, EVENT_READ, self._answered)

    def close(self) -> None:
        """Stop asking."""
        if self._socket is not None:
            self._selector.unregister(self._socket)
            self._socket.close()
            self._socket = None

    def _answered(self) -> None:
        assert self._socket is not None
        answer = b""
        with contextlib.suppress(OSError):
            answer = self._socket.recv(256)
        self.close()
        if answer.startswith(PONG):
            self._ready()
