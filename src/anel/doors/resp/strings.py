"""Commands on strings: GET, SET and their kin. What must read before it writes is not here."""

from collections.abc import Sequence

from anel.data.mutation import encode, one_row
from anel.doors.resp.client import Acknowledgement, Client, Operation
from anel.doors.resp.failure import WRONG_TYPE, failure
from anel.doors.resp.layout import (
    KeyType,
    head_of,
    is_plain_string,
    place,
    plain_value,
    string_row,
)
from anel.errors import AnelError


class StringRead(Operation):
    """GET under way."""

    __slots__ = ()

    def done(self, raw: bytes | AnelError) -> None:
        """Take the row."""
        if isinstance(raw, AnelError):
            self.finish(failure(raw))
            return
        if is_plain_string(raw):
            value = plain_value(raw)
        else:
            head = head_of(raw, self.client.backend.now_ms())
            if head is None:
                self.finish(self.client.null)
                return
            if head.type != KeyType.STRING:
                self.finish(WRONG_TYPE)
                return
            value = head.value
        self.finish(b"$%d\r\n%b\r\n" % (len(value), value))


def get(client: Client, words: list[bytes]) -> bytes | Operation:
    """GET key."""
    operation = StringRead(client)
    table = client.table
    prefix, sub = place(table.id, words[1])
    client.backend.read_row(table, prefix + sub, client.read_level, operation.done)
    return operation.reply or operation


def set_(client: Client, words: list[bytes]) -> bytes | Operation:
    """SET key value [options]."""
    table = client.table
    prefix, sub = place(table.id, words[1])
    timestamp = client.backend.now()
    return write(client, one_row(timestamp, prefix, sub, string_row(words[2], timestamp)))


def write(client: Client, mutation: bytes) -> bytes | Operation:
    """Write one mutation and answer OK."""
    operation = Acknowledgement(client)
    client.backend.write(
        client.table, mutation, client.write_level, operation.done, server_stamped=True
    )
    return operation.reply or operation
