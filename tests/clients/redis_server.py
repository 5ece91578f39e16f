"""A redis-server of our own on a free loopback port, as the reference the door is held against.

python -m tests.clients.redis_server    record tests/vectors/resp/conversations.txt again
"""

import socket
import subprocess
import tempfile
import time
from types import TracebackType
from typing import Self

from tests.vectors import conversations

START_SECONDS_MAX = 10.0
SILENCE_SECONDS = 0.1  # After it, a server that has answered will say no more.
_END = conversations.array([b"ECHO", b"-end-"])
_END_ANSWER = b"$5\r\n-end-\r\n"


class RedisServer:
    """One redis-server process, without persistence, stopped at the end of the block."""

    def __enter__(self) -> Self:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self._folder = tempfile.TemporaryDirectory(prefix="anel-redis-")
        self._process = subprocess.Popen(
            [
                "redis-server",
                "--port",
                str(self.port),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--dir",
                self._folder.name,
            ],
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                self.connect().close()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait()
        self._folder.cleanup()

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(("127.0.0.1", self.port))

    def ask(self, connection: socket.socket, data: bytes) -> tuple[bytes, bool]:
        """Send bytes; give all that comes back, and whether that was the end."""
        # After a whole command an echo tells that its answer is complete; only after bytes that
        # may leave the server waiting does it take a silence.
        end = _END_ANSWER if data.startswith(b"*") and data.count(b"*") == 1 else b""
        connection.sendall(data + _END if end else data)
        connection.settimeout(SILENCE_SECONDS if not end else None)
        answer = b""
        try:
            while chunk := connection.recv(65_536):
                answer += chunk
                if end and answer.endswith(end):
                    return answer.removesuffix(end), False
        except TimeoutError:
            return answer, False
        except ConnectionResetError:  # It closed before it had read everything.
            pass
        return answer, True

    def converse(self, conversation: conversations.Conversation) -> conversations.Conversation:
        """Have a whole conversation with the emptied server."""
        with self.connect() as cleaner:
            self.ask(cleaner, b"FLUSHALL\r\n")
        with self.connect() as connection:
            turns = conversations.converse(
                conversation, lambda data: self.ask(connection, data)
            )
            return conversation._replace(turns=list(turns))


def main() -> None:
    """Record every conversation again."""
    with RedisServer() as server:
        conversations.rewrite([server.converse(each) for each in conversations.load()])


if __name__ == "__main__":
    main()
