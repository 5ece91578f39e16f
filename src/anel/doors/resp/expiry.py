"""Commands on when keys end: EXPIRE and TTL in their four spellings each.

EXPIRE reads the key's head at QUORUM, for its answer and for the timestamp it means, then
writes a cell of its own beside the value. If another write of the key comes in between, the
cell means a head that is no more, and is void: as if EXPIRE had come first.
"""

from functools import partial

from anel.data.consistency import ConsistencyLevel
from anel.data.mutation import one_row
from anel.doors.resp.client import Client, Operation
from anel.doors.resp.command import COUNT_NOTE, FAST_WRITE, ONE_KEY, READ, Command, Run
from anel.doors.resp.expiry_options import expire_flags_refusal, instant_ms
from anel.doors.resp.failure import failure
from anel.doors.resp.heads import read_head, seen
from anel.doors.resp.layout import Head, later_expiry_row, place
from anel.doors.resp.reply import ONE, ZERO
from anel.errors import AnelError

_NO_KEY = b":-2\r\n"
_NO_EXPIRY = b":-1\r\n"


class ExpirySet(Operation):
    """EXPIRE under way."""

    def __init__(self, client: Client, key: bytes, ends_ms: int) -> None:
        super().__init__(client)
        self._table = client.table
        self._prefix, self._sub = place(client.table.id, key)
        self._ends_ms = ends_ms

    def begin(self) -> None:
        """Read the head."""
        key = self._prefix + self._sub
        read = self.client.backend.read_row
        read(self._table, key, ConsistencyLevel.QUORUM, self._write)

    def _write(self, raw: bytes | AnelError) -> None:
        head = seen(self.client, raw)
        if isinstance(head, AnelError):
            self.finish(failure(head))
        elif head is None:
            self.finish(ZERO)
        else:
            backend = self.client.backend
            timestamp = backend.now()
            row = later_expiry_row(head.timestamp, timestamp, self._ends_ms)
            mutation = one_row(timestamp, self._prefix, self._sub, row)
            level = self.client.write_level
            backend.write(self._table, mutation, level, self._end, server_stamped=True)

    def _end(self, reason: AnelError | None) -> None:
        self.finish(ONE if reason is None else failure(reason))


def _expire(
    client: Client, words: list[bytes], *, name: str, unit_ms: int, is_relative: bool
) -> bytes | Operation:
    refusal = expire_flags_refusal(words[3:], name) if len(words) > 3 else None
    base_ms = client.backend.now_ms() if is_relative else 0
    ends_ms = instant_ms(words[2], unit_ms, base_ms, name)
    if refusal is not None:
        return refusal
    if isinstance(ends_ms, bytes):
        return ends_ms
    operation = ExpirySet(client, words[1], ends_ms)
    operation.begin()
    return operation.reply or operation


def _ttl(
    client: Client, words: list[bytes], *, unit_ms: int, is_relative: bool
) -> bytes | Operation:
    def answer(head: Head | None) -> bytes:
        if head is None:
            return _NO_KEY
        if head.expire_at_ms is None:
            return _NO_EXPIRY
        base_ms = client.backend.now_ms() if is_relative else 0
        left_ms = max(head.expire_at_ms - base_ms, 0)
        # Like Redis, TTL rounds to the nearest second.
        return b":%d\r\n" % (left_ms if unit_ms == 1 else (left_ms + 500) // 1000)

    return read_head(client, words[1], answer)


expire: Run = partial(_expire, name="expire", unit_ms=1000, is_relative=True)
pexpire: Run = partial(_expire, name="pexpire", unit_ms=1, is_relative=True)
expireat: Run = partial(_expire, name="expireat", unit_ms=1000, is_relative=False)
pexpireat: Run = partial(_expire, name="pexpireat", unit_ms=1, is_relative=False)
ttl: Run = partial(_ttl, unit_ms=1000, is_relative=True)
pttl: Run = partial(_ttl, unit_ms=1, is_relative=True)
expiretime: Run = partial(_ttl, unit_ms=1000, is_relative=False)
pexpiretime: Run = partial(_ttl, unit_ms=1, is_relative=False)


CONDITION_NOTE = COUNT_NOTE + " NX, XX, GT and LT come with the conditional-writes release."

COMMANDS = (
    Command(
        "expire",
        "key seconds",
        -3,
        expire,
        FAST_WRITE,
        "generic",
        "1.0.0",
        "Make a key end after so many seconds.",
        ONE_KEY,
        note=CONDITION_NOTE,
    ),
    Command(
        "pexpire",
        "key milliseconds",
        -3,
        pexpire,
        FAST_WRITE,
        "generic",
        "2.6.0",
        "Make a key end after so many milliseconds.",
        ONE_KEY,
        note=CONDITION_NOTE,
    ),
    Command(
        "expireat",
        "key unix-seconds",
        -3,
        expireat,
        FAST_WRITE,
        "generic",
        "1.2.0",
        "Make a key end at an instant.",
        ONE_KEY,
        note=CONDITION_NOTE,
    ),
    Command(
        "pexpireat",
        "key unix-milliseconds",
        -3,
        pexpireat,
        FAST_WRITE,
        "generic",
        "2.6.0",
        "Make a key end at an instant.",
        ONE_KEY,
        note=CONDITION_NOTE,
    ),
    Command(
        "ttl",
        "key",
        2,
        ttl,
        READ,
        "generic",
        "1.0.0",
        "Tell in how many seconds a key ends: -1 never, -2 no such key.",
        ONE_KEY,
    ),
    Command(
        "pttl",
        "key",
        2,
        pttl,
        READ,
        "generic",
        "2.6.0",
        "Tell in how many milliseconds a key ends.",
        ONE_KEY,
    ),
    Command(
        "expiretime",
        "key",
        2,
        expiretime,
        READ,
        "generic",
        "7.0.0",
        "Tell when a key ends, in Unix seconds.",
        ONE_KEY,
    ),
    Command(
        "pexpiretime",
        "key",
        2,
        pexpiretime,
        READ,
        "generic",
        "7.0.0",
        "Tell when a key ends, in Unix milliseconds.",
        ONE_KEY,
    ),
)
