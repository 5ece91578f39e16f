"""One Redis connection without its socket: bytes in, replies out, in the order of the commands.

Commands of one connection behave as if run one after another. Replies that are not there yet
stand in a queue; a command whose keys no command under way touches starts before those end,
any other waits, and so do all after it. A barrier (SCAN, FLUSHALL, HELLO) waits until nothing
is under way, and nothing starts while it is. Everything is bounded: commands under way, replies
held back, work done before other connections get their turn.

Source: the promise of Redis's pipelines: replies in order, each command after those before it.
"""

from collections import deque
from collections.abc import Callable

from anel.doors.resp.client import Client, Operation
from anel.doors.resp.command import Command
from anel.doors.resp.command_table import COMMANDS, find
from anel.doors.resp.door import RespDoor
from anel.doors.resp.failure import failure, wrong_arity
from anel.doors.resp.parser import RequestParser
from anel.doors.resp.reply import error
from anel.errors import NotReady, RequestRefused, UnknownTable
from anel.limits import (
    RESP_COMMANDS_PER_SLICE,
    RESP_IN_FLIGHT_MAX,
    RESP_OUTPUT_BYTES_PER_SLICE,
)

_AFTER_MULTI = ("transactions", "connection")
_MULTI_REFUSED = error(
    "ERR MULTI was refused on this connection, so nothing of it is run: send DISCARD or EXEC"
)


class RespSession:
    """One connection. The shell calls it and does what `write` and `close` say.

    Args:
        door: What all connections of the node share.
        write: Sends bytes to the client, in order.
        close: Closes the connection once everything written has left.
        address: The client's, as people write it.
    """

    def __init__(
        self,
        door: RespDoor,
        write: Callable[[bytes], None],
        close: Callable[[], None],
        *,
        address: str = "?:0",
    ) -> None:
        self._door = door
        self._write = write
        self._close = close
        self._client = Client(door, address, self._finished)
        self._parser = RequestParser()
        self._waiting: deque[list[bytes]] = deque()  # Parsed, not started.
        self._pending: deque[Operation] = deque()  # Started, not replied to, in order.
        self._output: list[bytes] = []
        self._busy: set[bytes] = set()  # Keys of the operations that wait for the ring.
        self._barrier: Operation | None = None
        self._is_held = False  # The client does not read what it is sent.
        self._is_running = False
        self._is_unblocked = False
        self._is_posted = False  # The next slice is in the loop's queue.
        self._is_over = False

    @property
    def paused(self) -> bool:
        """Commands wait that were read already: read no more yet."""
        return bool(self._waiting) or self._is_held

    @property
    def is_idle(self) -> bool:
        """Nothing is under way: the connection may close without losing a reply."""
        return not self._pending and not self._waiting

    def receive(self, data: bytes) -> None:
        """Take bytes from the client."""
        if self._is_over:
            return
        commands = self._parser.receive(data)
        self._client.last_ms = self._door.backend.now_ms()
        self._waiting += commands
        self._advance()

    def pause(self) -> None:
        """Hold back: the client does not read what it is sent."""
        self._is_held = True

    def resume(self) -> None:
        """Go on after `pause`."""
        self._is_held = False
        self._advance()

    def closed(self) -> None:
        """Forget everything: the connection is gone."""
        self._is_over = True
        self._client.is_gone = True
        self._waiting.clear()
        self._pending.clear()
        self._busy.clear()
        self._output.clear()
        self._door.leave(self._client)

    def _advance(self) -> None:
        """Start what can be started, then send what is ready."""
        self._drain()
        self._is_running = True
        while self._waiting and not (self._is_held or self._is_posted):
            self._is_unblocked = False
            self._run()
            self._drain()
            if not self._is_unblocked:
                break
        self._is_running = False
        output = self._output
        if output:
            data = output[0] if len(output) == 1 else b"".join(output)
            output.clear()
            self._write(data)
        if not self._waiting and not self._pending:
            self._close_if_over()

    def _run(self) -> None:
        waiting, pending, output = self._waiting, self._pending, self._output
        client, lookup = self._client, COMMANDS.get
        refusal = self._refresh()
        started = written = 0
        while waiting:
            words = waiting[0]
            command = lookup(words[0]) or find(words)
            if pending and self._must_wait(command, words):
                break
            waiting.popleft()
            started += 1
            client.last_command = command.name
            if refusal is not None or client.is_multi_refused:
                reply = self._start_guarded(command, words, refusal)
            elif command.words_min <= len(words) <= command.words_max:
                try:
                    reply = command.run(client, words)
                except RequestRefused as refused:
                    reply = failure(refused)
            else:
                reply = wrong_arity(command.name)
            if not isinstance(reply, bytes):
                self._wait_for(reply, command, words)
            elif pending:
                pending.append(_replied(client, reply))
            else:
                output.append(reply)
                written += len(reply)
            if client.is_closing:
                waiting.clear()
            elif started >= RESP_COMMANDS_PER_SLICE or written > RESP_OUTPUT_BYTES_PER_SLICE:
                self._post()
                break
        self._door.commands += started

    def _start_guarded(
        self, command: Command, words: list[bytes], refusal: bytes | None
    ) -> bytes | Operation:
        """Start a command if neither the node's state nor a refused MULTI forbids it."""
        if not command.words_min <= len(words) <= command.words_max:
            return wrong_arity(command.name)
        if refusal is not None and command.needs_data:
            return refusal
        if self._client.is_multi_refused and command.group not in _AFTER_MULTI:
            return _MULTI_REFUSED
        try:
            return command.run(self._client, words)
        except RequestRefused as refused:
            return failure(refused)

    def _refresh(self) -> bytes | None:
        """Take the schema as it is now; tell why commands on data cannot be served, if so."""
        backend = self._door.backend
        if not backend.ready:
            return failure(NotReady("this node is starting or stopping: retry, or ask another"))
        table = backend.table("redis", "data")
        if table is None:
            return failure(UnknownTable("the keyspace redis is not there yet: retry"))
        self._client.table = table
        return None

    def _must_wait(self, command: Command, words: list[bytes]) -> bool:
        if command.is_barrier or self._barrier is not None:
            return True
        if len(self._pending) >= RESP_IN_FLIGHT_MAX:
            return True
        return bool(self._busy) and not self._busy.isdisjoint(command.keys_of(words))

    def _wait_for(self, operation: Operation, command: Command, words: list[bytes]) -> None:
        operation.is_waited = True
        operation.keys = command.keys_of(words)
        self._busy.update(operation.keys)
        if command.is_barrier:
            self._barrier = operation
        self._pending.append(operation)

    def _finished(self, operation: Operation) -> None:
        if self._is_over:
            return
        self._busy.difference_update(operation.keys)
        if operation is self._barrier:
            self._barrier = None
        if self._is_running:  # Another command's start ended it: the loop above goes on.
            self._is_unblocked = True
        else:
            self._advance()

    def _drain(self) -> None:
        pending = self._pending
        while pending and (reply := pending[0].reply) is not None:
            self._output.append(reply)
            pending.popleft()

    def _post(self) -> None:
        if self._waiting:
            self._is_posted = True
            self._door.backend.post(self._next_slice)

    def _next_slice(self) -> None:
        self._is_posted = False
        if not self._is_over:
            self._advance()

    def _close_if_over(self) -> None:
        reason = self._parser.error
        if reason is not None and not self._client.is_closing:
            self._door.protocol_errors += 1
            self._write(error(f"ERR Protocol error: {reason}"))
        if reason is not None or self._client.is_closing:
            self._is_over = True
            self._close()


def _replied(client: Client, reply: bytes) -> Operation:
    """Give a reply its place in the queue behind those not there yet."""
    operation = Operation(client)
    operation.reply = reply
    return operation
