"""What a command sees of the connection it came on, and what it leaves while it waits."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from anel.data.consistency import ConsistencyLevel
from anel.doors.backend import Backend, Table
from anel.doors.resp.failure import failure
from anel.doors.resp.reply import NULLS, OK
from anel.doors.resp.turns import Turn
from anel.errors import AnelError

if TYPE_CHECKING:
    from anel.doors.resp.door import RespDoor


class Client:
    """One connection's state, as commands read and change it.

    Attributes:
        door: What all connections of the node's door share.
        id: Grows from 1, never reused while the node runs.
        address: As people write it.
        table: `redis.data` as the schema had it when the present run of commands began.
        protocol: 2, or 3 after HELLO 3.
        null: How that version writes nothing.
        is_multi_refused: MULTI was refused, and neither EXEC nor DISCARD has come since.
        is_gone: The connection was cut: whatever goes on by itself may stop.
        is_closing: Close once everything has been answered.
        finished: Called when an operation that did not end at once has its reply.
    """

    __slots__ = (
        "address",
        "backend",
        "connected_ms",
        "door",
        "finished",
        "id",
        "is_closing",
        "is_gone",
        "is_multi_refused",
        "last_command",
        "last_ms",
        "library",
        "library_version",
        "name",
        "null",
        "protocol",
        "read_level",
        "table",
        "write_level",
    )

    def __init__(
        self, door: "RespDoor", address: str, finished: Callable[[Turn, bytes], None]
    ) -> None:
        self.door = door
        self.backend: Backend = door.backend
        self.id = door.enter(self)
        self.address = address
        self.connected_ms = self.last_ms = door.backend.now_ms()
        self.finished = finished
        self.last_command = ""
        self.write_level: ConsistencyLevel = door.write_level
        self.table: Table = door.no_table
        self.is_closing = False
        self.is_gone = False
        self.reset()

    def reset(self) -> None:
        """Be as a new connection is."""
        self.speak(2)
        self.name = b""
        self.library = b""
        self.library_version = b""
        self.is_multi_refused = False
        self.read_level: ConsistencyLevel = self.door.read_level

    def speak(self, protocol: int) -> None:
        """Answer in this version from now on."""
        self.protocol = protocol
        self.null = NULLS[protocol]


class Operation:
    """A command under way. It ends by `finish`, at once or when the ring has answered.

    Attributes:
        reply: None until it has ended.
        turn: Its place in the order of replies, if it did not end at once.
    """

    reply: bytes | None = None
    turn: Turn | None = None

    def __init__(self, client: Client) -> None:
        self.client = client

    def finish(self, reply: bytes) -> None:
        """Give the reply; once."""
        assert self.reply is None
        self.reply = reply
        if self.turn is not None:
            self.client.finished(self.turn, reply)


class Acknowledgement(Operation):
    """Waits for one write, then answers OK."""

    def done(self, reason: AnelError | None) -> None:
        """Take the write's outcome."""
        if reason is None and self.turn is None:
            self.reply = OK
        else:
            self.finish(OK if reason is None else failure(reason))
