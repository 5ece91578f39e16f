"""How `anel start`, `kill`, `pause`, `resume` and `down` tell the running `anel up` what to do.

One line of JSON each way over a Unix socket in the data folder:

    {"do": "kill", "node": 1}   ->   {"ok": true, "text": "node 1 (process 4711) was killed"}

Only the user who runs `anel up` can connect: the socket is made with mode 0600.
"""

import contextlib
import json
import os
import socket
from collections.abc import Callable
from selectors import EVENT_READ, BaseSelector
from typing import Any

from anel.cli.data_folder import SOCKET_PATH_MAX, DataFolder
from anel.cli.failures import NodeFailed, NothingRuns

ORDER_BYTES_MAX = 4096
ANSWER_SECONDS_MAX = 120  # Reading a large store may take a while.

Answer = Callable[[bool, str], None]


class ControlSocket:
    """The side of `anel up`: takes orders inside a selector loop."""

    def __init__(
        self,
        selector: BaseSelector,
        folder: DataFolder,
        order: Callable[[dict[str, Any], Answer], None],
    ) -> None:
        self._selector = selector
        self._order = order
        self._made_folder = ""
        self.path = str(folder.path / "up.sock")
        if len(os.fsencode(self.path)) > SOCKET_PATH_MAX:
            import tempfile

            self._made_folder = tempfile.mkdtemp(prefix="anel-")
            self.path = os.path.join(self._made_folder, "up.sock")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)  # Of a run that was killed: the lock is ours.
        self._listener = socket.socket(socket.AF_UNIX)
        mask = os.umask(0o177)
        try:
            self._listener.bind(self.path)
        finally:
            os.umask(mask)
        self._listener.listen(8)
        self._listener.setblocking(False)
        selector.register(self._listener, EVENT_READ, self._accept)

    def close(self) -> None:
        """Take no more orders."""
        self._selector.unregister(self._listener)
        self._listener.close()
        with contextlib.suppress(OSError):
            os.unlink(self.path)
            if self._made_folder:
                os.rmdir(self._made_folder)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        connection.setblocking(False)
        received = bytearray()

        def read() -> None:
            try:
                chunk = connection.recv(ORDER_BYTES_MAX)
            except BlockingIOError:
                return
            except OSError:
                chunk = b""
            received.extend(chunk)
            if chunk and b"\n" not in received and len(received) < ORDER_BYTES_MAX:
                return
            self._selector.unregister(connection)
            if chunk:
                self._obey(connection, bytes(received))
            else:
                connection.close()

        self._selector.register(connection, EVENT_READ, read)

    def _obey(self, connection: socket.socket, line: bytes) -> None:
        def answer(ok: bool, text: str) -> None:  # noqa: FBT001
            with contextlib.suppress(OSError), connection:
                connection.sendall(json.dumps({"ok": ok, "text": text}).encode() + b"\n")

        try:
            order = json.loads(line)
        except ValueError:
            answer(False, "not an order")
            return
        if isinstance(order, dict):
            self._order(order, answer)
        else:
            answer(False, "not an order")


def tell(folder: DataFolder, order: dict[str, Any]) -> str:
    """Give the running `anel up` an order and wait for the outcome.

    Raises:
        NothingRuns: No `anel up` runs on this folder.
        NodeFailed: It could not do it; the text says why and what to do.
    """
    ring = folder.running()
    path = ring["up"]["control"]
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_SECONDS_MAX)
        try:
            connection.connect(path)
            connection.sendall(json.dumps(order).encode() + b"\n")
            line = connection.makefile("rb").readline()
        except TimeoutError as error:
            raise NodeFailed(
                f"`anel up` (process {ring['up']['pid']}) took the order and is not done after "
                f"{ANSWER_SECONDS_MAX} s; `anel status{folder.option}` shows how it goes"
            ) from error
        except OSError as error:
            raise NothingRuns(
                f"`anel up` (process {ring['up']['pid']}) does not answer at {path} "
                f"({error.strerror}); is it another user's, or stopped?"
            ) from error
    if not line:
        raise NothingRuns("`anel up` ended before it answered; start it again with `anel up`")
    outcome = json.loads(line)
    if not outcome["ok"]:
        raise NodeFailed(outcome["text"])
    return str(outcome["text"])
