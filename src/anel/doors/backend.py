"""What a door asks of its node: the coordinator, the schema and the clock behind one port.

Doors speak to this protocol only, so that a session is tested against a table of bytes in
memory. Every callback may run before the call that takes it returns (the data is here and the
ring has one copy), or much later; it runs once, on the node's one thread.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from anel.data.consistency import ConsistencyLevel
from anel.env import Callback
from anel.errors import AnelError


class Table(Protocol):
    """The part of a table's schema that a door needs (`anel.data.schema.Table`)."""

    @property
    def id(self) -> bytes:
        """16 bytes, the first part of every store key."""

    @property
    def keyspace(self) -> str:
        """Name of the keyspace, which decides the replication."""

    @property
    def name(self) -> str:
        """Name within the keyspace."""

    @property
    def truncated_at(self) -> int:
        """Mutations issued at or before this HLC are dropped; 0 for none."""


class Page(Protocol):
    """A run of merged rows (`anel.coordinator.scan.MergedPage`)."""

    @property
    def rows(self) -> Sequence[tuple[bytes, bytes]]:
        """Store keys and raw rows; partition tombstones are already in the rows."""

    @property
    def resume(self) -> bytes | None:
        """Where the next page starts; None at the end."""


class Backend(Protocol):
    """One node, as a door sees it."""

    @property
    def ready(self) -> bool:
        """False while the node reads its store or is stopping."""

    def table(self, keyspace: str, name: str) -> Table | None:
        """Give a table as the schema has it now, None when there is none."""

    def write(
        self,
        table: Table,
        mutation: bytes,
        level: ConsistencyLevel,
        done: Callable[[AnelError | None], None],
        *,
        server_stamped: bool,
    ) -> None:
        """Apply a mutation at W replicas; None means written."""

    def read_row(
        self,
        table: Table,
        key: bytes,
        level: ConsistencyLevel,
        done: Callable[[bytes | AnelError], None],
    ) -> None:
        """Read the merged row under a store key, b"" when there is none."""

    def read_page(  # noqa: PLR0917 - The coordinator's own signature.
        self,
        table: Table,
        start: bytes,
        end: bytes,
        level: ConsistencyLevel,
        done: Callable[[Page | AnelError], None],
        *,
        records_max: int,
    ) -> None:
        """Read rows with start <= store key < end, in key order, at most so many."""

    def truncate(self, table: Table, done: Callable[[AnelError | None], None]) -> None:
        """Discard everything in a table, at all nodes."""

    def now(self) -> int:
        """Give a new timestamp, microseconds, greater than all before on this node."""

    def now_ms(self) -> int:
        """Tell the wall clock, milliseconds since the Unix epoch: what expiry is judged by."""

    def post(self, callback: Callback) -> None:
        """Run a callback soon, after other work of the loop."""
