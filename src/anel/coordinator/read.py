"""Coordinate the read of one row: compare raw bytes, merge and repair only when they differ.

R replicas answer with the row as stored. Equal bytes are the answer. Different ones are merged,
the merged row is made durable at R replicas (`ReadRepair`), and then it is the answer, so that
no later read of R replicas sees less (CORRECTNESS 10).

A replica whose partition holds range or partition tombstones answers OVERLAID: the row is then
read again as a page of one, with the tombstones over it (`PageOperation`).
"""

from collections.abc import Callable
from typing import TypeAlias

from anel.coordinator.gathering import Gathering
from anel.coordinator.merged_page import MergedPage
from anel.coordinator.page import Extent, PageOperation
from anel.coordinator.replica import prefix_of_key
from anel.coordinator.services import Failure, Services
from anel.data.consistency import ConsistencyLevel
from anel.data.mutation import TOKEN_BIAS, merge_record, one_row
from anel.data.schema import Keyspace, Table
from anel.env import NodeId
from anel.errors import RequestFailed
from anel.internode.messages import READ_ROW_REPLY, Status, pack_read_row

RowDone: TypeAlias = Callable[[bytes | Failure], None]
"""Called once: the merged raw row, b"" for none, or why it could not be read."""

_OK = int(Status.OK)
_OVERLAID = int(Status.OVERLAID)


class OwnRead:
    """One row from this node's own replica, alone enough: no message, no deadline.

    Whenever that answer is not good (damage, tombstones to apply), `ReadOperation` takes over.
    """

    __slots__ = ("_done", "_key", "_keyspace", "_level", "_services", "_table")

    def __init__(  # noqa: PLR0917 - on the hot path, called from one place.
        self,
        services: Services,
        keyspace: Keyspace,
        table: Table,
        level: ConsistencyLevel,
        key: bytes,
        done: RowDone,
    ) -> None:
        self._services = services
        self._keyspace = keyspace
        self._table = table
        self._level = level
        self._key = key
        self._done = done

    def take(self, status: Status, value: bytes) -> None:
        """Take what this node's replica answers."""
        if status is Status.OK:
            self._services.in_flight -= 1
            self._done(value)
            return
        operation = ReadOperation(
            self._services, self._keyspace, self._table, self._level, self._key, self._done
        )
        operation.go_on_after(status)


class ReadOperation(Gathering):
    """One row, from R replicas.

    Args:
        services: The coordinator's.
        keyspace: Of the table.
        table: Whose row.
        key: The record's whole store key.
        level: How many replicas must answer.
        done: Called once.
    """

    __slots__ = ("_done", "_key", "_merged", "_values")

    def __init__(  # noqa: PLR0917 - on the hot path, called from one place.
        self,
        services: Services,
        keyspace: Keyspace,
        table: Table,
        level: ConsistencyLevel,
        key: bytes,
        done: RowDone,
    ) -> None:
        super().__init__(services, keyspace, table, level)
        self._key = key
        self._done = done
        self._values: list[tuple[NodeId, bytes]] = []
        self._merged = b""

    def go_on_after(self, status: Status) -> None:
        """Begin where this node's own replica gave no good answer (`OwnRead`)."""
        if status is Status.OVERLAID:
            self._ended = True
            self._read_overlaid()
        else:
            self._refusals.append(status)
            self.start()

    def _token(self) -> int:
        return int.from_bytes(self._key[16:24], "big") - TOKEN_BIAS

    def _message(self, request: int) -> bytes:
        return pack_read_row(request, self._epoch, self._key)

    def _ask_here(self, this_round: int) -> None:
        self_id = self._services.self_id

        def on_value(status: Status, value: bytes) -> None:
            if this_round == self._round and self._repair is None and not self._ended:
                self._take(self_id, status, value)

        self._services.replica.read_row(self._epoch, self._key, on_value)

    def _take_reply(self, peer: NodeId, message: bytes) -> None:
        status = READ_ROW_REPLY.unpack_from(message)[2]
        self._take(peer, status, message[READ_ROW_REPLY.size :])

    def _take(self, peer: NodeId, status: int, value: bytes) -> None:
        if peer not in self._waiting:
            return  # A repeated answer.
        self._waiting.remove(peer)
        if status == _OK:
            self._values.append((peer, value))
            if len(self._values) == self._required:
                self._resolve()
        elif status == _OVERLAID:
            self._close()
            self._services.in_flight += 1  # The same request goes on.
            self._read_overlaid()
        else:
            self._refused(peer, Status(status))

    def _read_overlaid(self) -> None:
        """Read the row again, as a page, with the tombstones over it."""
        services = self._services
        services.counters.overlaid_reads += 1
        extent = Extent(self._key, self._key + b"\0", backward=False, records_max=1)
        PageOperation(
            services, self._keyspace, self._table, self._level, extent, self._end_overlaid
        ).start()

    def _end_overlaid(self, page: MergedPage | Failure) -> None:
        if isinstance(page, MergedPage):
            self._done(page.rows[0][1] if page.rows else b"")
        else:
            self._done(page)

    def _answers(self) -> int:
        return len(self._values)

    def _forget_answers(self) -> None:
        self._values = []

    def _resolve(self) -> None:
        values = self._values
        merged = values[0][1]
        if all(value == merged for _, value in values):
            self._close()
            self._done(merged)
            return
        prefix = prefix_of_key(self._key)
        sub = self._key[len(prefix) :]
        for _, value in values:
            merged = merge_record(sub, merged, value)
        self._merged = merged
        mutation = [one_row(self._issued, prefix, sub, merged)]
        lacking = [(peer, mutation) for peer, value in values if value != merged]
        self._start_repair(len(values) - len(lacking), lacking, mutation)

    def _end_repaired(self) -> None:
        self._done(self._merged)

    def _end_with(self, failure: RequestFailed) -> None:
        self._done(failure)
