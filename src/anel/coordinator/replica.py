"""One replica: takes mutations and reads into its store, acks only what is durable.

Serves the messages MUTATE, READ_ROW and READ_PAGE, and the same calls from this node's own
coordinator without any bytes in between. Per CORRECTNESS:

     5  every ack waits for the sync that follows it, also of a merge that changed nothing
    10  a read of what is not durable yet answers once it is
     6  a recovering store takes mutations and acks them with RECOVERING, which counts nowhere
    12  mutations issued at or before the table's truncation are dropped

It never talks to other replicas, and never looks at what a row means.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from anel.coordinator.fence import Fences
from anel.coordinator.ports import RingPort, SchemaPort
from anel.data.mutation import (
    PREFIX_HEAD_SIZE,
    STATIC,
    issued_of,
)
from anel.data.timestamp import HybridClock
from anel.env import Env, NodeId
from anel.errors import CorruptData, DiskFailed, InvalidRequest, Overloaded
from anel.internode.messages import (
    MUTATE,
    READ_ROW,
    Origin,
    PageRequest,
    Status,
    pack_mutate_reply,
    pack_read_page_reply,
    pack_read_row_reply,
    unpack_read_page,
)
from anel.limits import RANGE_BYTES_MAX, RANGE_RECORDS_MAX, TOMBSTONES_SCANNED_MAX
from anel.storage.store import Record, Store

Mutated: TypeAlias = Callable[[Status, int | None], None]
"""Called with the status and the timestamp that hides part of the mutation, if any."""

RowRead: TypeAlias = Callable[[Status, bytes], None]
"""Called with the status and the record as stored, b"" when absent."""

PageRead: TypeAlias = Callable[[Status, bool, list[Record]], None]
"""Called with the status, whether more may follow, and the records."""

_REFUSED = {
    InvalidRequest: Status.TOO_LARGE,
    CorruptData: Status.DAMAGED,
    DiskFailed: Status.DISK_FAILED,
    Overloaded: Status.OVERLOADED,
}


class Replica:
    """This node as a replica.

    Args:
        env: The node's world.
        store: Where the rows are.
        ring: The ring view whose epoch every request must share.
        schema: Which tables there are.
        clock: The node's; a truncation asks for it.

    Attributes:
        fences: What holds requests back while a truncation chooses its instant.
    """

    def __init__(
        self, env: Env, store: Store, ring: RingPort, schema: SchemaPort, *, clock: HybridClock
    ) -> None:
        self.fences = Fences(env, store, ring, schema, clock=clock)
        self._fenced = self.fences.standing
        self._env = env
        self._store = store
        self._ring = ring
        self._table_by_id = schema.table_by_id
        self.mutations = 0
        self.reads = 0
        self.pages = 0
        self.dropped_truncated = 0
        self.waited_for_sync = 0

    @property
    def is_recovering(self) -> bool:
        """The store is being refilled after damage: it counts in no W and no R."""
        return self._store.recovering

    # ------------------------------------------------------------------ from other nodes

    def on_mutate(self, peer: NodeId, message: bytes) -> None:
        """Serve MUTATE."""
        _, request, epoch, origin = MUTATE.unpack_from(message)
        send = self._env.send

        def reply(status: Status, dominant: int | None) -> None:
            send(peer, pack_mutate_reply(request, status, dominant))

        if epoch > self._ring.epoch:
            self._ring.pull(peer)
        self.mutate(epoch, origin, message[MUTATE.size :], reply)

    def on_read_row(self, peer: NodeId, message: bytes) -> None:
        """Serve READ_ROW."""
        _, request, epoch = READ_ROW.unpack_from(message)
        send = self._env.send

        def reply(status: Status, value: bytes) -> None:
            send(peer, pack_read_row_reply(request, status, value))

        if epoch > self._ring.epoch:
            self._ring.pull(peer)
        self.read_row(epoch, message[READ_ROW.size :], reply)

    def on_truncate(self, peer: NodeId, message: bytes) -> None:
        """Serve TRUNCATE."""
        self.fences.on_truncate(peer, message)

    def on_read_page(self, peer: NodeId, message: bytes) -> None:
        """Serve READ_PAGE."""
        request = int.from_bytes(message[1:9], "big")
        page = unpack_read_page(message)
        send = self._env.send

        def reply(status: Status, more: bool, records: list[Record]) -> None:  # noqa: FBT001
            send(peer, pack_read_page_reply(request, status, more=more, records=records))

        if page.epoch > self._ring.epoch:
            self._ring.pull(peer)
        self.read_page(page, reply)

    # ------------------------------------------------------------------ from this node

    def mutate(self, epoch: int, origin: Origin, mutation: bytes, done: Mutated) -> None:
        """Merge a mutation and ack it once durable; `done` may run before this returns."""
        # All origins are merged alike until purges exist (CORRECTNESS 8).
        if epoch != self._ring.write_epoch:
            done(Status.WRONG_EPOCH, None)
            return
        table = self._table_by_id(mutation[8:24])
        if table is None:
            done(Status.UNKNOWN_TABLE, None)
            return
        truncated_at = table.truncated_at
        store = self._store
        if self._fenced and mutation[8:24] in self._fenced:
            again = partial(self.mutate, epoch, origin, mutation, done)
            if not self.fences.hold(mutation[8:24], again):
                done(Status.OVERLOADED, None)
            return
        if truncated_at and issued_of(mutation) <= truncated_at:
            # Told as dominant, so that a server-stamped write concurrent with the truncation
            # is issued again above it and is not half there.
            self.dropped_truncated += 1
            store.when_durable(lambda: done(Status.OK, truncated_at))
            return
        self.mutations += 1
        try:
            dominant = store.apply(mutation)
        except (InvalidRequest, CorruptData, DiskFailed, Overloaded) as error:
            done(_REFUSED[type(error)], None)
        else:
            status = Status.RECOVERING if store.recovering else Status.OK
            if store.waits:
                store.when_durable(partial(done, status, dominant))
            else:
                done(status, dominant)

    def read_row(self, epoch: int, key: bytes, done: RowRead) -> None:
        """Read one record; `done` may run before this returns, later when it is not durable."""
        store = self._store
        table = key[:16]
        if epoch != self._ring.epoch or store.recovering or self._table_by_id(table) is None:
            done(self._refusal(epoch, key), b"")
            return
        if self._fenced and table in self._fenced:
            if not self.fences.hold(table, partial(self.read_row, epoch, key, done)):
                done(Status.OVERLOADED, b"")
            return
        self.reads += 1
        try:
            if store.has_fronts(table) and self._is_overlaid(key):
                done(Status.OVERLAID, b"")
                return
            value = store.get(key) or b""
        except CorruptData:
            done(Status.DAMAGED, b"")
            return
        if not store.waits or store.is_durable(key):
            done(Status.OK, value)
        else:
            self.waited_for_sync += 1
            store.when_durable(partial(done, Status.OK, value))

    def read_page(self, page: PageRequest, done: PageRead) -> None:
        """Read a run of records, with the tombstones over its cut partition put in front.

        Those are the partition's whose rows lie before the page: of `start` going forward, of
        the last record going backward.
        """
        store = self._store
        table = page.start[:16]
        if (
            page.epoch != self._ring.epoch
            or store.recovering
            or self._table_by_id(table) is None
        ):
            done(self._refusal(page.epoch, table), False, [])
            return
        if self._fenced and table in self._fenced:
            if not self.fences.hold(table, partial(self.read_page, page, done)):
                done(Status.OVERLOADED, False, [])
            return
        self.pages += 1
        try:
            records, more = self._page(page)
        except CorruptData:
            done(Status.DAMAGED, False, [])
            return
        if len(records) > TOMBSTONES_SCANNED_MAX:
            done(Status.TOO_MANY_TOMBSTONES, False, [])
            return
        is_durable = store.is_durable
        if all(is_durable(record[0]) for record in records):
            done(Status.OK, more, records)
        else:
            self.waited_for_sync += 1
            store.when_durable(lambda: done(Status.OK, more, records))

    # ------------------------------------------------------------------ how

    def _refusal(self, epoch: int, key: bytes) -> Status:
        """Say why a read is not served."""
        if epoch != self._ring.epoch:
            return Status.WRONG_EPOCH
        if self._table_by_id(key[:16]) is None:
            return Status.UNKNOWN_TABLE
        return Status.RECOVERING

    def _is_overlaid(self, key: bytes) -> bool:
        prefix = prefix_of_key(key)
        return bool(self._store.page(prefix, prefix + STATIC, 1, RANGE_BYTES_MAX).records)

    def _page(self, page: PageRequest) -> tuple[list[Record], bool]:
        read = self._store.page_back if page.backward else self._store.page
        records, more = read(
            page.start,
            page.end,
            min(page.records_max, RANGE_RECORDS_MAX),
            min(page.bytes_max, RANGE_BYTES_MAX),
        )
        if not self._store.has_fronts(page.start[:16]):
            return records, more
        if not page.backward:
            fronts = self._fronts_before(page.start)
        elif records:
            fronts = self._fronts_before(records[-1][0])
        else:
            fronts = []
        return [*fronts, *records], more

    def _fronts_before(self, key: bytes) -> list[Record]:
        """Read the tombstones of a key's partition that lie before the key itself."""
        if len(key) <= PREFIX_HEAD_SIZE:
            return []
        prefix = prefix_of_key(key)
        end = min(key, prefix + STATIC)
        fronts: list[Record] = []
        start = prefix
        more = start < end
        while more and len(fronts) <= TOMBSTONES_SCANNED_MAX:
            page = self._store.page(start, end, RANGE_RECORDS_MAX, RANGE_BYTES_MAX)
            fronts += page.records
            more = page.more
            start = fronts[-1][0] + b"\0" if fronts else end
        return fronts


def prefix_of_key(key: bytes) -> bytes:
    """Give the partition's prefix of a full store key (a shorter key: as much as there is)."""
    return key[: PREFIX_HEAD_SIZE + int.from_bytes(key[24:26], "big")]
