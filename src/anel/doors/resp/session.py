"""One Redis connection without its socket: bytes in, replies out, in the order of the commands.

Commands of one connection behave as if run one after another: one on keys that no earlier one
is busy with starts at once, another waits for those (`turns.py`), and every reply waits for the
replies before it. A barrier (SCAN, FLUSHALL, HELLO) waits until nothing is under way, and
nothing starts while it is. Everything is bounded: commands under way, replies
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
from anel.doors.resp.turns import Turn, Turns
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
        self._waiting: deque[list[bytes]] = deque()  # Parsed, not begun.
        self._turns = Turns()
        self._ready: deque[Turn] = deque()  # Waited for others, and need not any more.
        self._output: list[bytes] = []
        self._barrier: Turn | None = None
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
        return not self._turns.queue and not self._waiting

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
        self._ready.clear()
        self._turns.clear()
        self._output.clear()
        self._door.leave(self._client)

    def _advance(self) -> None:
        """Start what can be started, then send what is ready."""
        turns, output = self._turns, self._output
        turns.take(output)
        self._is_running = True
        while not self._is_held and (self._ready or (self._waiting and not self._is_posted)):
            self._is_unblocked = False
            refusal = self._refresh()
            if self._ready:
                self._start_ready(refusal)
            if not self._is_posted:
                self._run(refusal)
            if not self._is_unblocked:
                break
            turns.take(output)
        self._is_running = False
        if output:
            data = output[0] if len(output) == 1 else b"".join(output)
            output.clear()
            self._write(data)
        if not self._waiting and not turns.queue:
            self._close_if_over()

    def _run(self, refusal: bytes | None) -> None:
        waiting, turns, output = self._waiting, self._turns.queue, self._output
        client, lookup = self._client, COMMANDS.get
        started = written = 0
        while waiting:
            words = waiting[0]
            command = lookup(words[0]) or find(words)
            if turns and self._must_stop(command):
                break
            waiting.popleft()
            if turns and self._must_wait(command, words):
                continue
            started += 1
            client.last_command = command.name
            if client.is_multi_refused and command.group not in _AFTER_MULTI:
                reply: bytes | Operation = _MULTI_REFUSED
            else:
                reply = self._start(command, words, refusal)
            if not isinstance(reply, bytes):
                self._begin(reply, command, words)
            elif turns:
                self._turns.reply(reply)
            else:
                output.append(reply)
                written += len(reply)
            if client.is_closing:
                waiting.clear()
            elif started >= RESP_COMMANDS_PER_SLICE or written > RESP_OUTPUT_BYTES_PER_SLICE:
                self._post()
                break
        self._door.commands += started

    def _start(
        self, command: Command, words: list[bytes], refusal: bytes | None
    ) -> bytes | Operation:
        if not command.words_min <= len(words) <= command.words_max:
            return wrong_arity(command.name)
        if refusal is not None and command.needs_data:
            return refusal
        try:
            return command.run(self._client, words)
        except RequestRefused as refused:
            return failure(refused)

    def _start_ready(self, refusal: bytes | None) -> None:
        """Start commands that waited for others on their keys."""
        while self._ready:
            turn = self._ready.popleft()
            assert turn.command is not None
            reply = self._start(turn.command, turn.words, refusal)
            turn.command = None
            self._door.commands += 1
            if isinstance(reply, bytes):
                self._ready += self._turns.end(turn, reply)
            else:
                reply.turn = turn
        self._turns.take(self._output)

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

    def _must_stop(self, command: Command) -> bool:
        """Tell whether a command, and all after it, must not even be queued yet."""
        return (
            command.is_barrier
            or self._barrier is not None
            or len(self._turns.queue) >= RESP_IN_FLIGHT_MAX
        )

    def _must_wait(self, command: Command, words: list[bytes]) -> bool:
        """Queue a command behind those on its keys, if there are any."""
        turns = self._turns
        if not turns.busy or self._client.is_multi_refused:
            return False
        keys = command.keys_of(words)
        if turns.busy.isdisjoint(keys):
            return False
        turns.wait(keys, command, words)
        return True

    def _begin(self, operation: Operation, command: Command, words: list[bytes]) -> None:
        """Give an operation that did not end at once its place."""
        operation.turn = turn = self._turns.begin(command.keys_of(words))
        if command.is_barrier:
            self._barrier = turn

    def _finished(self, turn: Turn, reply: bytes) -> None:
        if self._is_over:
            return
        self._ready += self._turns.end(turn, reply)
        if turn is self._barrier:
            self._barrier = None
        if self._is_running:  # Another command's start ended it: the loop above goes on.
            self._is_unblocked = True
        else:
            self._advance()

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
