"""The order of one connection's commands: whose turn it is to start, and to be answered.

::

    SET a 1    SET b 2    GET a    GET b    PING
    |          |          |        |        `- answered, and sent after all before it
    |          |          |        `- starts when SET b has ended
    |          |          `- starts when SET a has ended
    `----------`- both under way at once

A turn is a command that is under way, that waits for earlier ones on its keys, or whose reply
waits for replies before it. No I/O and no commands here: only who waits for whom.
"""

from collections import deque
from collections.abc import Iterable, KeysView
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anel.doors.resp.command import Command


class Turn:
    """One command's place in the order.

    Attributes:
        command: What will be started when nothing is in its way; None once it is under way.
        words: Of that command.
        reply: None until it has ended.
        keys: What it reads or writes.
        blockers: How many turns, counted by key, must end before it starts.
        followers: Those that wait for it.
    """

    __slots__ = ("blockers", "command", "followers", "keys", "reply", "words")

    def __init__(self, keys: Iterable[bytes] = (), reply: bytes | None = None) -> None:
        self.command: Command | None = None
        self.words: list[bytes] = []
        self.reply = reply
        self.keys = keys
        self.blockers = 0
        self.followers: list[Turn] = []


class Turns:
    """All turns of one connection that have not been answered.

    Attributes:
        queue: They themselves, oldest first; others only look at it.
    """

    def __init__(self) -> None:
        self.queue: deque[Turn] = deque()
        self._last: dict[bytes, Turn] = {}  # Of each key, the latest turn that has not ended.

    @property
    def busy(self) -> KeysView[bytes]:
        """The keys of turns that have not ended."""
        return self._last.keys()

    def begin(self, keys: Iterable[bytes]) -> Turn:
        """Add a turn on keys that nobody is busy with: it may be under way at once."""
        turn = Turn(keys)
        for key in keys:
            self._last[key] = turn
        self.queue.append(turn)
        return turn

    def wait(self, keys: Iterable[bytes], command: "Command", words: list[bytes]) -> None:
        """Add a turn that starts when all before it on its keys have ended."""
        turn = Turn(keys)
        turn.command = command
        turn.words = words
        for key in keys:
            before = self._last.get(key)
            if before is not None and before is not turn:
                before.followers.append(turn)
                turn.blockers += 1
            self._last[key] = turn
        self.queue.append(turn)

    def reply(self, reply: bytes) -> None:
        """Add the reply of a command that has ended behind those that have not."""
        self.queue.append(Turn(reply=reply))

    def end(self, turn: Turn, reply: bytes) -> list[Turn]:
        """End a turn; give those that were waiting for it and may start now."""
        turn.reply = reply
        for key in turn.keys:
            if self._last.get(key) is turn:
                del self._last[key]
        ready = []
        for follower in turn.followers:
            follower.blockers -= 1
            if not follower.blockers:
                ready.append(follower)
        return ready

    def take(self, output: list[bytes]) -> None:
        """Move the replies whose turn it is."""
        queue = self.queue
        while queue and (reply := queue[0].reply) is not None:
            output.append(reply)
            queue.popleft()

    def clear(self) -> None:
        """Forget everything."""
        self.queue.clear()
        self._last.clear()
