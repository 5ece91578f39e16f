"""The store port: what a node asks of its disk, and what both stores promise.

Everything is called on the node's one thread and returns at once; only `when_durable` waits. A
change is seen by reads as soon as `apply` returns and may be lost by a crash until the callback
of a later `when_durable` has run.

    records     one ordered space of bytes: prefix + sub -> value   (see anel.data.mutation)
    meta        small named states of the node itself: clock ceiling, schema, ring, hints
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeAlias

Record: TypeAlias = tuple[bytes, bytes]
"""A full store key and its value."""


class Page(NamedTuple):
    """Records in key order.

    Attributes:
        records: (key, value) pairs.
        more: A bound was hit: more records may follow the last one.
    """

    records: list[Record]
    more: bool


class Summary(Protocol):
    """The leaf hashes of one table: XOR of the hashes of all its records, per leaf (rule 7)."""

    def leaf(self, index: int) -> int:
        """Give one leaf's 128-bit XOR; 0 when it holds nothing."""

    def span(self, first: int, last: int) -> int:
        """Give the XOR of leaves first..last, both included."""

    @property
    def rows(self) -> int:
        """How many records the table holds here, live or not."""

    @property
    def is_complete(self) -> bool:
        """False while dirty leaves are still being read again after a crash."""


class Store(Protocol):
    """One node's store."""

    @property
    def recovering(self) -> bool:
        """The store was found damaged and set aside: acknowledged rows may be missing here."""

    def recovered(self) -> None:
        """Note, durably, that everything was refilled from ALL other replicas."""

    @property
    def waits(self) -> bool:
        """Whether acks and reads wait for syncs here: under `group`.

        While False `when_durable` runs its callback at once and `is_durable` is always True, so
        that the hot path need not ask.
        """

    @property
    def damage(self) -> str:
        """What was found damaged, for the log and `anel status`; empty when nothing was."""

    def apply(self, mutation: bytes) -> int | None:
        """Merge a mutation's records into the store, all or nothing.

        Returns:
            The greatest timestamp by which stored data hides part of it, or None
            (`anel.data.row.dominant`).

        Raises:
            InvalidRequest: A merged row would pass ROW_BYTES_MAX; nothing was changed.
            CorruptData: Stored or given bytes cannot be read.
            DiskFailed: The disk refuses writes.
            Overloaded: RocksDB would make the loop wait; nothing was changed.
        """

    def get(self, key: bytes) -> bytes | None:
        """Read one record, as stored.

        Raises:
            CorruptData: The stored bytes fail their checksum.
        """

    def has_fronts(self, table: bytes) -> bool:
        """Tell whether the table may hold partition or range tombstones on this node.

        While False, a row's value alone tells what is live, and one `get` reads it.
        """

    def page(self, start: bytes, end: bytes, records_max: int, bytes_max: int) -> Page:
        """Read records with start <= key < end, in order; at least one when there is one."""

    def page_back(self, start: bytes, end: bytes, records_max: int, bytes_max: int) -> Page:
        """The same from the greatest key down."""

    def is_durable(self, key: bytes) -> bool:
        """Tell whether everything applied to this key has been synced (or need not be)."""

    def when_durable(self, callback: Callable[[], None], *, forced: bool = False) -> None:
        """Call back once everything applied so far is durable under the durability setting.

        Under `group` that is after the next fsync that begins from now on; under `periodic` and
        `none` the callback runs at once, before this returns, unless `forced` asks for it.
        """

    def truncate(self, table: bytes) -> None:
        """Remove every record of a table and zero its summary; the caller records when."""

    def summary(self, table: bytes) -> Summary:
        """Give the table's live summary."""

    def tables(self) -> Sequence[bytes]:
        """List the ids of tables that hold or held records here."""

    def put_meta(self, name: bytes, value: bytes | None) -> None:
        """Write (None: delete) one named state; durable like a mutation."""

    def put_metas(self, changes: Sequence[tuple[bytes, bytes | None]]) -> None:
        """Write several named states, all or nothing."""

    def get_meta(self, name: bytes) -> bytes | None:
        """Read one named state."""

    def metas(self, prefix: bytes, start: bytes, count_max: int) -> list[Record]:
        """List named states that begin with `prefix`, from `start` on, in order."""

    def work(self, until_ns: int) -> bool:
        """Do background work (re-reading dirty leaves, checkpoints) until this monotonic time.

        Returns:
            True when more is waiting.
        """

    def disk_bytes(self) -> int:
        """Tell how much disk the store takes, for `anel status`."""

    def close(self, *, flush: bool = True) -> None:
        """Give the store's files back. Without `flush` it is as if the process had died."""
