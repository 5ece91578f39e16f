"""Coordinate one page of a range: records of one replica set, merged, repaired and overlaid.

::

    ask R replicas for [start, end) cut to one replica set
      -> merge up to where all of them speak (`merge_replies`)
      -> differing records: R replicas hold the merged ones first (`ReadRepair`)
      -> rows with the tombstones over them, and where the next page starts

Rows of one partition in one page come from one snapshot of each replica; across partitions and
pages there is none. Source: CORRECTNESS 10 and 11.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from anel.coordinator.gathering import Gathering
from anel.coordinator.merged_page import (
    Merged,
    MergedPage,
    PageReply,
    merge_replies,
    mutations_of,
    overlaid_rows,
)
from anel.coordinator.services import Failure, Services
from anel.data.consistency import ConsistencyLevel
from anel.data.mutation import TOKEN_BIAS
from anel.data.schema import Keyspace, Table
from anel.env import NodeId
from anel.errors import RequestFailed
from anel.internode.messages import (
    PageRequest,
    Status,
    pack_read_page,
    unpack_read_page_reply,
)
from anel.limits import RANGE_BYTES_MAX
from anel.storage.store import Record

PageDone: TypeAlias = Callable[[MergedPage | Failure], None]
"""Called once: the page, or why it could not be read."""

_TOKEN_MAX = 2 * TOKEN_BIAS - 1  # As stored, plus 2**63.


class Extent(NamedTuple):
    """Which records of one table to read: start <= key < end, at most so many, which way."""

    start: bytes
    end: bytes
    backward: bool
    records_max: int


class PageOperation(Gathering):
    """One page, from R replicas."""

    __slots__ = ("_done", "_end_key", "_extent", "_merged", "_replies", "_start_key")

    def __init__(  # noqa: PLR0917 - called from one place.
        self,
        services: Services,
        keyspace: Keyspace,
        table: Table,
        level: ConsistencyLevel,
        extent: Extent,
        done: PageDone,
    ) -> None:
        super().__init__(services, keyspace, table, level)
        assert extent.start.startswith(table.id)
        assert extent.start < extent.end
        self._extent = extent
        self._start_key = extent.start
        self._end_key = extent.end
        self._done = done
        self._replies: list[PageReply] = []
        self._merged: Merged | None = None

    def start(self) -> None:
        """Cut the extent to one replica set's tokens in the present ring, and ask."""
        extent = self._extent
        self._start_key, self._end_key = extent.start, extent.end
        first, last = self._services.spans.around(self._token(), self._keyspace)
        table = self._table.id
        if extent.backward:
            if first + TOKEN_BIAS > 0:
                bound = table + (first + TOKEN_BIAS).to_bytes(8, "big")
                self._start_key = max(extent.start, bound)
        elif last + TOKEN_BIAS < _TOKEN_MAX:
            bound = table + (last + TOKEN_BIAS + 1).to_bytes(8, "big")
            self._end_key = min(extent.end, bound)
        super().start()

    def _token(self) -> int:
        """Give the token of the first key of the extent, in the direction of the read."""
        if not self._extent.backward:
            return _biased_token(self._extent.start) - TOKEN_BIAS
        end = self._extent.end
        if not end.startswith(self._table.id):
            return _TOKEN_MAX - TOKEN_BIAS  # The end of the table.
        # Nothing but zeros behind the token: the end itself lies in the token before it.
        is_bound = not end[24:].strip(b"\0")
        return max(_biased_token(end) - is_bound, 0) - TOKEN_BIAS

    def _request(self) -> PageRequest:
        extent = self._extent
        return PageRequest(
            self._epoch,
            extent.backward,
            extent.records_max,
            RANGE_BYTES_MAX,
            self._start_key,
            self._end_key,
        )

    def _message(self, request: int) -> bytes:
        return pack_read_page(request, self._request())

    def _ask_here(self, this_round: int) -> None:
        self_id = self._services.self_id

        def on_page(status: Status, more: bool, records: list[Record]) -> None:  # noqa: FBT001
            if this_round == self._round and self._repair is None and not self._ended:
                self._take(status, PageReply(self_id, more, records))

        self._services.replica.read_page(self._request(), on_page)

    def _take_reply(self, peer: NodeId, message: bytes) -> None:
        status, more, records = unpack_read_page_reply(message)
        self._take(status, PageReply(peer, more, records))

    def _take(self, status: Status, reply: PageReply) -> None:
        if reply.peer not in self._waiting:
            return  # A repeated answer.
        self._waiting.remove(reply.peer)
        if status is not Status.OK:
            self._refused(reply.peer, status)
            return
        self._replies.append(reply)
        if len(self._replies) == self._required:
            self._resolve()

    def _answers(self) -> int:
        return len(self._replies)

    def _forget_answers(self) -> None:
        self._replies = []

    def _resolve(self) -> None:
        merged = self._merged = merge_replies(self._replies, backward=self._extent.backward)
        if not merged.lacking:
            self._close()
            self._end_repaired()
            return
        lacking = [
            (peer, mutations_of(records, self._issued)) for peer, records in merged.lacking
        ]
        whole = mutations_of(merged.differing, self._issued)
        self._start_repair(len(self._replies) - len(lacking), lacking, whole)

    def _end_repaired(self) -> None:
        assert self._merged is not None
        rows = overlaid_rows(self._merged.records)
        self._done(MergedPage(rows, self._resume(self._merged.bound)))

    def _resume(self, bound: bytes | None) -> bytes | None:
        extent = self._extent
        if extent.backward:
            resume = self._start_key if bound is None else bound
            return resume if resume > extent.start else None
        resume = self._end_key if bound is None else bound + b"\0"
        return resume if resume < extent.end else None

    def _end_with(self, failure: RequestFailed) -> None:
        self._done(failure)


def _biased_token(key: bytes) -> int:
    """Read the token of a store key, however short: missing bytes count as zeros."""
    return int.from_bytes(key[16:24].ljust(8, b"\0"), "big")
