"""A node that is a table of bytes in memory: what the Redis door's tests run against.

It answers at once, or, with `is_slow`, when the test says so.
"""

from bisect import bisect_left
from collections.abc import Callable
from typing import NamedTuple

from anel.data.consistency import ConsistencyLevel
from anel.data.mutation import ROW, decode, merge_record
from anel.doors.backend import Page, Table
from anel.doors.resp.door import RespDoor
from anel.doors.resp.session import RespSession
from anel.env import Callback
from anel.errors import AnelError

START_US = 1_700_000_000_000_000


class FakeTable(NamedTuple):
    """`redis.data`."""

    id: bytes = b"T" * 16
    keyspace: str = "redis"
    name: str = "data"
    truncated_at: int = 0


class FakePage(NamedTuple):
    """One page."""

    rows: list[tuple[bytes, bytes]]
    resume: bytes | None


class FakeNode:
    """A `Backend` of one node, with time that the test moves."""

    def __init__(self) -> None:
        self.ready = True
        self.is_slow = False
        self.failure: AnelError | None = None
        self.rows: dict[bytes, bytes] = {}
        self.sorted_keys: list[bytes] = []
        self.levels: list[tuple[str, ConsistencyLevel]] = []
        self.mutations: list[bytes] = []
        self.under_way: list[Callback] = []
        self.posted: list[Callback] = []
        self.time_us = START_US
        self.redis: FakeTable | None = FakeTable()
        self.page_records_max = 500

    def table(self, keyspace: str, name: str) -> FakeTable | None:
        assert (keyspace, name) == ("redis", "data")
        return self.redis

    def write(
        self,
        table: Table,
        mutation: bytes,
        level: ConsistencyLevel,
        done: Callable[[AnelError | None], None],
        *,
        server_stamped: bool,
    ) -> None:
        assert server_stamped
        assert decode(mutation).prefix.startswith(table.id)
        self.levels.append(("write", level))
        self._do(lambda: self._apply(mutation, done))

    def _apply(self, mutation: bytes, done: Callable[[AnelError | None], None]) -> None:
        if self.failure is None:
            self.mutations.append(mutation)
            _, prefix, records = decode(mutation)
            for sub, value in records:
                self.merge(prefix + sub, value)
        done(self.failure)

    def merge(self, key: bytes, value: bytes) -> None:
        if key not in self.rows:
            self.sorted_keys.insert(bisect_left(self.sorted_keys, key), key)
        self.rows[key] = merge_record(ROW, self.rows.get(key, b""), value)

    def read_row(
        self,
        table: Table,
        key: bytes,
        level: ConsistencyLevel,
        done: Callable[[bytes | AnelError], None],
    ) -> None:
        assert key.startswith(table.id)
        self.levels.append(("read", level))
        self._do(lambda: done(self.failure or self.rows.get(key, b"")))

    def read_page(
        self,
        table: Table,
        start: bytes,
        end: bytes,
        level: ConsistencyLevel,
        done: Callable[[Page | AnelError], None],
        *,
        records_max: int,
    ) -> None:
        assert start.startswith(table.id)
        self.levels.append(("page", level))
        self._do(lambda: done(self.failure or self._page(start, end, records_max)))

    def _page(self, start: bytes, end: bytes, records_max: int) -> FakePage:
        at = bisect_left(self.sorted_keys, start)
        stop = bisect_left(self.sorted_keys, end)
        last = min(stop, at + min(records_max, self.page_records_max))
        rows = [(key, self.rows[key]) for key in self.sorted_keys[at:last]]
        # As the coordinator: right after the last key, whatever comes there.
        resume = rows[-1][0] + b"\0" if last < stop and rows else None
        return FakePage(rows, resume)

    def truncate(self, table: Table, done: Callable[[AnelError | None], None]) -> None:
        assert table is self.redis
        self._do(lambda: self._empty(done))

    def _empty(self, done: Callable[[AnelError | None], None]) -> None:
        if self.failure is None:
            self.rows.clear()
            self.sorted_keys.clear()
        done(self.failure)

    def now(self) -> int:
        self.time_us += 1
        return self.time_us

    def now_ms(self) -> int:
        return self.time_us // 1000

    def post(self, callback: Callback) -> None:
        self.posted.append(callback)

    def _do(self, step: Callback) -> None:
        if self.is_slow:
            self.under_way.append(step)
        else:
            step()

    # For tests.

    def pass_ms(self, ms: int) -> None:
        """Let time go on."""
        self.time_us += ms * 1000

    def answer(self, index: int = 0) -> None:
        """Let one request under way be answered."""
        self.under_way.pop(index)()

    def settle(self) -> None:
        """Let everything under way be answered and everything posted run."""
        while self.under_way or self.posted:
            if self.under_way:
                self.answer()
            else:
                self.posted.pop(0)()


class FakeConnection:
    """A session with what it wrote."""

    def __init__(self, node: FakeNode | None = None, door: RespDoor | None = None) -> None:
        self.node = node or FakeNode()
        self.door = door or RespDoor(self.node, version="0.1.0")
        self.written: list[bytes] = []
        self.is_closed = False
        self.session = RespSession(
            self.door, self.written.append, self._close, address="127.0.0.1:5000"
        )

    def _close(self) -> None:
        self.is_closed = True

    def take(self) -> bytes:
        """Give what was written since the last call."""
        data = b"".join(self.written)
        self.written.clear()
        return data

    def send(self, *commands: bytes | list[bytes]) -> bytes:
        """Send commands, inline (bytes) or as arrays (lists), in one chunk; give the answer."""
        self.session.receive(b"".join(map(pack, commands)))
        if not self.node.is_slow:
            self.node.settle()
        return self.take()


def pack(command: bytes | list[bytes]) -> bytes:
    """Write one command as a client would."""
    if isinstance(command, bytes):
        command = command.split(b" ")
    return b"*%d\r\n" % len(command) + b"".join(
        b"$%d\r\n%b\r\n" % (len(word), word) for word in command
    )
