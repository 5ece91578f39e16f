"""Makes one run of leaves equal on two replicas, whatever either of them lacks.

    page by page:  READ_PAGE from the peer, the same keys from the local store
                   lacking or older here: merged into the store
                   lacking or older there: pushed as MUTATE, origin REPAIR

Rows move as they are stored. Each mutation is `issued` just above the truncation under which
its rows were read, so that a replica that has truncated since drops it (CORRECTNESS 12).

Source: CORRECTNESS 1 (merging is a set union, so repeats and races are harmless), 12 and 23.
"""

from collections.abc import Iterator, Sequence

from anel.data.mutation import PREFIX_HEAD_SIZE, encode, merge_record
from anel.env import NodeId
from anel.errors import InvalidRequest, Overloaded, StorageError
from anel.internode.messages import (
    Origin,
    PageRequest,
    Status,
    pack_mutate,
    pack_read_page,
    unpack_read_page_reply,
)
from anel.limits import (
    KIB,
    RANGE_BYTES_MAX,
    RANGE_RECORDS_MAX,
    READ_TIMEOUT_MS,
    ROW_BYTES_MAX,
    WRITE_TIMEOUT_MS,
)
from anel.repair.leaves import Span
from anel.repair.pace import Pace
from anel.repair.services import RepairServices, RepairTable, Slices, mutate_status
from anel.storage.store import Record
from anel.storage.summary import leaf_bounds

_GROUP_BYTES_TARGET = 64 * KIB  # One mutation's records: a merge of some 0.2 ms.
_GROUP_RECORDS_MAX = 64
_PUSHES_IN_FLIGHT = 16


class Totals:
    """What repair moved since the start of the process.

    Attributes:
        pulled: Records that were lacking or older here.
        pushed: Records that were lacking or older at a peer.
        moved_bytes: Bytes of pages read and mutations pushed.
        refused: Records that a merge would have made too large.
    """

    __slots__ = ("moved_bytes", "pulled", "pushed", "refused")

    def __init__(self) -> None:
        self.pulled = 0
        self.pushed = 0
        self.moved_bytes = 0
        self.refused = 0


class Exchange:
    """One table's leaves, between this node and one peer.

    Attributes:
        failure: Why `settle` gave up, for people; empty while all is well.

    Args:
        services: The node's ports.
        pace: Bounds what is moved.
        totals: Counts it.
        peer: The other replica.
        table: The table as it was when it was compared.
        pushes: Also give the peer what it lacks.
    """

    def __init__(
        self,
        services: RepairServices,
        pace: Pace,
        totals: Totals,
        *,
        peer: NodeId,
        table: RepairTable,
        pushes: bool,
    ) -> None:
        self._services = services
        self._pace = pace
        self._totals = totals
        self._peer = peer
        self._table = table
        self._pushes = pushes
        self._slices = Slices(services.env)
        self.failure = ""

    async def settle(self, span: Span) -> bool:
        """Make the leaves of a span equal; False when that failed (`failure` says why)."""
        start = leaf_bounds(self._table.id, span[0])[0]
        end = leaf_bounds(self._table.id, span[1])[1]
        try:
            while start < end and not self.failure:
                start = await self._settle_page(start, end)
        except (StorageError, Overloaded) as error:
            self.failure = str(error)
        return not self.failure

    async def _settle_page(self, start: bytes, end: bytes) -> bytes:
        page = PageRequest(
            self._services.ring.epoch, False, RANGE_RECORDS_MAX, RANGE_BYTES_MAX, start, end
        )
        reply = await self._services.ask(
            self._peer,
            lambda request: pack_read_page(request, page),
            unpack_read_page_reply,
            READ_TIMEOUT_MS,
        )
        if reply is None:
            return self._fail("the peer did not answer")
        status, more, records = reply
        if status is not Status.OK:
            return self._fail(f"the peer could not read: {status.name}")
        theirs = {key: value for key, value in records if start <= key < end}
        if more and not theirs:
            return self._fail("the peer sent an empty page")
        await self._account(sum(len(key) + len(value) for key, value in records))
        resume = max(theirs) + b"\0" if more else end
        await self._merge(theirs, start, resume)
        return resume

    async def _merge(self, theirs: dict[bytes, bytes], start: bytes, end: bytes) -> None:
        lacking_here: list[Record] = []
        at: bytes | None = start
        while at is not None and not self.failure:
            page = self._services.store.page(at, end, RANGE_RECORDS_MAX, RANGE_BYTES_MAX)
            lacking_there: list[Record] = []
            for key, ours in page.records:
                value = theirs.pop(key, b"")
                if value == ours:
                    continue
                merged = merge_record(key[_prefix_size(key) :], ours, value)
                if merged != ours:
                    lacking_here.append((key, value))
                if merged != value and self._fits(merged):
                    lacking_there.append((key, merged))
            await self._slices.breathe()
            if self._pushes:
                await self._push(lacking_there)
            at = page.records[-1][0] + b"\0" if page.more else None
        lacking_here += theirs.items()
        await self._pull(sorted(lacking_here))

    def _fits(self, merged: bytes) -> bool:
        if len(merged) <= ROW_BYTES_MAX:
            return True
        self._totals.refused += 1
        return False

    async def _pull(self, records: Sequence[Record]) -> None:
        for group in _groups(records):
            await self._slices.breathe()
            if not self._is_current():
                return
            try:
                self._services.store.apply(_mutation(self._table.truncated_at + 1, group))
            except InvalidRequest:
                self._totals.refused += len(group)
            else:
                self._totals.pulled += len(group)

    async def _push(self, records: Sequence[Record]) -> None:
        groups = list(_groups(records))
        for first in range(0, len(groups), _PUSHES_IN_FLIGHT):
            window = groups[first : first + _PUSHES_IN_FLIGHT]
            mutations = [_mutation(self._table.truncated_at + 1, group) for group in window]
            await self._account(sum(len(mutation) for mutation in mutations))
            if not self._is_current():
                return
            answers = [
                self._services.ask(
                    self._peer,
                    _Push(self._services.ring.epoch, mutation),
                    mutate_status,
                    WRITE_TIMEOUT_MS,
                )
                for mutation in mutations
            ]
            for group, answer in zip(window, answers, strict=True):
                self._pushed(group, await answer)
            if self.failure:
                return

    def _pushed(self, group: Sequence[Record], status: Status | None) -> None:
        if status is Status.OK:
            self._totals.pushed += len(group)
        elif status is Status.TOO_LARGE:
            self._totals.refused += len(group)
        else:
            answer = "nothing" if status is None else status.name
            self._fail(f"the peer answered {answer} to a repair")

    async def _account(self, size_bytes: int) -> None:
        self._totals.moved_bytes += size_bytes
        await self._pace.take(size_bytes)

    def _is_current(self) -> bool:
        """Whether what was read may still be written: no truncation or drop came between."""
        known = self._services.tables.get(self._table.id)
        if known is None or known.truncated_at != self._table.truncated_at:
            self._fail("the table was truncated or dropped meanwhile")
            return False
        if self._services.is_fenced(self._table.id):
            # What came after the truncation on the peer would be removed by ours.
            self._fail("the table is being truncated")
            return False
        return True

    def _fail(self, reason: str) -> bytes:
        self.failure = reason
        return b"\xff"  # Beyond every key that matters: the loop looks at `failure` first.


class _Push:
    """Makes a repair's message once its request id is known."""

    __slots__ = ("_epoch", "_mutation")

    def __init__(self, epoch: int, mutation: bytes) -> None:
        self._epoch = epoch
        self._mutation = mutation

    def __call__(self, request: int) -> bytes:
        return pack_mutate(request, self._epoch, Origin.REPAIR, self._mutation)


def _prefix_size(key: bytes) -> int:
    return PREFIX_HEAD_SIZE + int.from_bytes(key[24:26], "big")


def _mutation(issued: int, group: Sequence[Record]) -> bytes:
    size = _prefix_size(group[0][0])
    return encode(issued, group[0][0][:size], [(key[size:], value) for key, value in group])


def _groups(records: Sequence[Record]) -> Iterator[list[Record]]:
    """Cut records in key order into mutations: one partition each, none too large."""
    group: list[Record] = []
    prefix = b""
    size = 0
    for key, value in records:
        is_full = size >= _GROUP_BYTES_TARGET or len(group) >= _GROUP_RECORDS_MAX
        if group and (is_full or key[: _prefix_size(key)] != prefix):
            yield group
            group = []
            size = 0
        prefix = key[: _prefix_size(key)]
        group.append((key, value))
        size += len(key) + len(value)
    if group:
        yield group
