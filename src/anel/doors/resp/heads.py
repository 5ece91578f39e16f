"""Reads of key heads: one, or many at once, that a command then answers from."""

from collections.abc import Callable
from typing import TypeAlias

from anel.data.consistency import ConsistencyLevel
from anel.doors.resp.client import Client, Operation
from anel.doors.resp.failure import failure
from anel.doors.resp.fanout import Done, Fanout
from anel.doors.resp.layout import Head, check_keys, lasting_head_of, place
from anel.errors import AnelError, CorruptData, InvalidRequest
from anel.limits import RESP_REPLY_BYTES_MAX

Keep: TypeAlias = Callable[[Head], bytes | None]
Answer: TypeAlias = Callable[[list[bytes | None]], bytes]


class HeadRead(Operation):
    """Waits for one key's head, then answers.

    Args:
        client: Whose command it is.
        answer: Makes the reply from the head, None when the key is not there.
    """

    def __init__(self, client: Client, answer: Callable[[Head | None], bytes]) -> None:
        super().__init__(client)
        self._answer = answer

    def done(self, raw: bytes | AnelError) -> None:
        """Take the row."""
        head = seen(self.client, raw)
        self.finish(failure(head) if isinstance(head, AnelError) else self._answer(head))


class HeadsRead(Operation):
    """Waits for the heads of many keys, then answers from what it kept of them.

    Args:
        client: Whose command it is.
        keep: Takes what the reply needs from the head of a key that is there.
        answer: Makes the reply from what was kept, in the order of the keys.
    """

    def __init__(self, client: Client, keep: Keep, answer: Answer) -> None:
        super().__init__(client)
        self._keep = keep
        self._answer = answer
        self._kept: list[bytes | None] = []
        self._size = 0

    def begin(self, keys: list[bytes]) -> None:
        """Read every key."""
        client = self.client
        table = client.table
        check_keys(keys)
        self._kept = [None] * len(keys)

        def start(key: bytes, done: Done) -> None:
            prefix, sub = place(table.id, key)
            client.backend.read_row(table, prefix + sub, client.read_level, done)

        Fanout(client.backend, keys, start, self._take, done=self._end).advance()

    def _take(self, index: int, raw: bytes) -> AnelError | None:
        head = seen(self.client, raw)
        if isinstance(head, AnelError):
            return head
        kept = None if head is None else self._keep(head)
        if kept is not None:
            self._kept[index] = kept
            self._size += len(kept)
            if self._size > RESP_REPLY_BYTES_MAX:
                return reply_too_large("ask for fewer keys at once")
        return None

    def _end(self, reason: AnelError | None) -> None:
        self.finish(self._answer(self._kept) if reason is None else failure(reason))


def reply_too_large(remedy: str) -> InvalidRequest:
    """Say that a reply would pass the bound, and what to do instead."""
    return InvalidRequest(f"the reply would pass {RESP_REPLY_BYTES_MAX} bytes: {remedy}")


def lasting(raw: bytes | AnelError) -> Head | AnelError | None:
    """Read a row whether it has expired or not; an error instead of an exception."""
    if isinstance(raw, AnelError):
        return raw
    try:
        return lasting_head_of(raw)
    except CorruptData as error:
        return error


def seen(client: Client, raw: bytes | AnelError) -> Head | AnelError | None:
    """Read a row as the client sees it now; an error instead of an exception."""
    head = lasting(raw)
    if isinstance(head, Head) and head.has_expired(client.backend.now_ms()):
        return None
    return head


def read_head(
    client: Client, key: bytes, answer: Callable[[Head | None], bytes]
) -> bytes | Operation:
    """Read one key's head and answer from it."""
    operation = HeadRead(client, answer)
    ask(client, key, client.read_level, operation.done)
    return operation.reply or operation


def ask(client: Client, key: bytes, level: ConsistencyLevel, done: Done) -> None:
    """Ask for one key's head row."""
    table = client.table
    prefix, sub = place(table.id, key)
    client.backend.read_row(table, prefix + sub, level, done)
