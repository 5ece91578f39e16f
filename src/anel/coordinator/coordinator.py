"""The coordinator: the node that serves one client request, through the replicas of its key.

Doors call it with bytes ready to store and a consistency level, and get the outcome as a value
through a callback, which may run before the call returns (one copy, and it is here). Each
request is a small object that takes replies (`WriteOperation`, `ReadOperation`, ...); this
class only chooses the object, bounds how many there are, and tells the time.
"""

from collections.abc import Callable
from functools import partial

from anel.coordinator.first_copy import FirstCopyWrite
from anel.coordinator.later import Later
from anel.coordinator.merged_page import MergedPage
from anel.coordinator.page import Extent, PageDone, PageOperation
from anel.coordinator.ports import Hints, Liveness, RingPort, SchemaPort
from anel.coordinator.read import OwnRead, ReadOperation, RowDone
from anel.coordinator.replica import Replica
from anel.coordinator.scan_walk import ScanWalk, TakePage, Walked
from anel.coordinator.services import (
    REQUIRED,
    RETRY_MS,
    SPECULATE_MS,
    Counters,
    Services,
)
from anel.coordinator.spans import Spans
from anel.coordinator.truncate import TruncateOperation
from anel.coordinator.write import SoleWrite, WriteOperation, Written
from anel.data.consistency import ConsistencyLevel
from anel.data.mutation import TOKEN_BIAS
from anel.data.schema import Keyspace, Table
from anel.data.timestamp import HybridClock
from anel.env import Env, NodeId
from anel.errors import Overloaded, UnknownTable
from anel.internode.messages import Origin
from anel.internode.requests import Requests
from anel.limits import RANGE_RECORDS_MAX

_TWO = ConsistencyLevel.TWO
_THREE = ConsistencyLevel.THREE


class Coordinator:
    """This node as a coordinator.

    Args:
        env: The node's world.
        self_id: This node.
        requests: The node's requests under way; replies reach the operations through it.
        ring: The present ring view.
        schema: The present schema.
        liveness: What membership believes.
        hints: Where mutations wait for replicas that could not take them.
        replica: This node as a replica.
        clock: Stamps mutations.
    """

    def __init__(  # noqa: PLR0913 - the ports of one node, wired in one place.
        self,
        *,
        env: Env,
        self_id: NodeId,
        requests: Requests,
        ring: RingPort,
        schema: SchemaPort,
        liveness: Liveness,
        hints: Hints,
        replica: Replica,
        clock: HybridClock,
    ) -> None:
        self._services = services = Services(
            env,
            self_id,
            requests,
            ring,
            schema,
            liveness,
            hints,
            replica,
            clock,
            Spans(ring),
            Later(env, SPECULATE_MS),
            Later(env, RETRY_MS),
        )
        self.counters: Counters = services.counters
        self.now: Callable[[], int] = clock.now
        self._env = env
        self._self_id = self_id
        self._ring = ring
        self._keyspace = schema.keyspace
        self._replica = replica
        self._clock = clock

    @property
    def in_flight(self) -> int:
        """Requests that have not been answered yet."""
        return self._services.in_flight

    @property
    def in_flight_max(self) -> int:
        """How many requests may wait for their answer before Overloaded."""
        return self._services.in_flight_max

    @in_flight_max.setter
    def in_flight_max(self, count: int) -> None:
        self._services.in_flight_max = count

    def set_timeouts(self, *, write_ms: int, read_ms: int) -> None:
        """Set how long a request waits for its replicas."""
        self._services.write_timeout_ms = write_ms
        self._services.read_timeout_ms = read_ms

    def now_ms(self) -> int:
        """Tell the wall clock in milliseconds since the Unix epoch: expiry is judged by it."""
        return self._env.wall_us() // 1000

    def write(
        self,
        table: Table,
        mutation: bytes,
        level: ConsistencyLevel,
        done: Written,
        *,
        server_stamped: bool,
    ) -> None:
        """Apply a mutation at all replicas, answer once W of them hold it durably.

        In first-copy mode the level is ignored: the first living copy's ack is enough.

        Args:
            table: Whose partition the mutation changes.
            mutation: As `anel.data.mutation` builds it, stamped with `now`.
            level: W.
            done: Called once: None when written.
            server_stamped: Its timestamps are `now`'s and not the client's: then it is written
                again above whatever hides it, before the answer.
        """
        services = self._services
        if services.in_flight >= services.in_flight_max:
            services.counters.overloaded += 1
            done(_overloaded(services))
            return
        keyspace = self._keyspace(table.keyspace)
        if keyspace is None:
            done(_dropped(table))
            return
        services.in_flight += 1
        services.counters.writes += 1
        clock = self._clock
        if clock.last_us > clock.ceiling_us:
            # Kept until the clock's ceiling above its timestamp is durable (rule 9).
            clock.when_covered(
                partial(self._write, keyspace, mutation, level, done, server_stamped)
            )
        else:
            self._write(keyspace, mutation, level, done, server_stamped)

    def _write(  # noqa: PLR0917 - on the hot path, called from one place.
        self,
        keyspace: Keyspace,
        mutation: bytes,
        level: ConsistencyLevel,
        done: Written,
        server_stamped: bool,  # noqa: FBT001 - likewise.
    ) -> None:
        services = self._services
        if keyspace.replication_factor == 1 and self._is_sole(keyspace, mutation, level):
            sole = SoleWrite(services, keyspace, mutation, level, done, server_stamped)
            self._replica.mutate(self._ring.epoch, Origin.CLIENT, mutation, sole.on_ack)
        elif keyspace.first_copy:
            FirstCopyWrite(
                services, keyspace, mutation, done, server_stamped=server_stamped
            ).start()
        else:
            WriteOperation(
                services, keyspace, mutation, level, done=done, server_stamped=server_stamped
            ).start()

    def _is_sole(self, keyspace: Keyspace, mutation: bytes, level: ConsistencyLevel) -> bool:
        """Tell whether the only copy there should be is this node's, and that is enough."""
        token = int.from_bytes(mutation[24:32], "big") - TOKEN_BIAS
        return (
            self._ring.replicas(token, 1)[0] == self._self_id
            and ((level is not _TWO and level is not _THREE) or keyspace.first_copy)
            and not self._replica.is_recovering
        )

    def read_row(
        self, table: Table, key: bytes, level: ConsistencyLevel, done: RowDone
    ) -> None:
        """Read the merged row under a store key, with the tombstones over it applied.

        Args:
            table: Whose row.
            key: The partition's prefix and the row's sub (`anel.data.mutation`).
            level: R. In first-copy mode it is ignored: the first living copy answers.
            done: Called once with the raw row, b"" when there is none.
        """
        services = self._services
        if services.in_flight >= services.in_flight_max:
            services.counters.overloaded += 1
            done(_overloaded(services))
            return
        keyspace = self._keyspace(table.keyspace)
        if keyspace is None:
            done(_dropped(table))
            return
        services.in_flight += 1
        services.counters.reads += 1
        factor = keyspace.replication_factor
        if (
            not keyspace.first_copy
            and REQUIRED[factor][level] == 1
            and self._self_id
            in self._ring.replicas(int.from_bytes(key[16:24], "big") - TOKEN_BIAS, factor)
        ):
            own = OwnRead(services, keyspace, table, level, key, done)
            self._replica.read_row(self._ring.epoch, key, own.take)
        else:
            ReadOperation(services, keyspace, table, level, key, done).start()

    def read_page(  # noqa: PLR0913, PLR0917 - what a range read is made of.
        self,
        table: Table,
        start: bytes,
        end: bytes,
        level: ConsistencyLevel,
        done: PageDone,
        *,
        backward: bool = False,
        records_max: int = RANGE_RECORDS_MAX,
    ) -> None:
        """Read one page of rows with start <= store key < end.

        A page never crosses from one replica set to another, so it may be short, or empty, with
        more to follow: only `MergedPage.resume` tells the end. Deleted and expired rows are
        among the rows; partition and range tombstones are applied and not shown.

        Args:
            table: Whose rows; `start` begins with its id.
            start: Inclusive; the table's id alone is the table's beginning.
            end: Exclusive; `end_of` gives the table's end.
            level: R.
            done: Called once.
            backward: From the greatest key down; the next page then ends at `resume`.
            records_max: Records read at most from each replica; 0, and anything greater than
                it, means RANGE_RECORDS_MAX.
        """
        services = self._services
        if services.in_flight >= services.in_flight_max:
            services.counters.overloaded += 1
            done(_overloaded(services))
            return
        keyspace = self._keyspace(table.keyspace)
        if keyspace is None:
            done(_dropped(table))
            return
        if start >= end:
            done(MergedPage([], None))
            return
        services.in_flight += 1
        services.counters.pages += 1
        extent = Extent(
            start, end, backward, min(records_max or RANGE_RECORDS_MAX, RANGE_RECORDS_MAX)
        )
        PageOperation(services, keyspace, table, level, extent, done).start()

    def walk(
        self,
        table: Table,
        level: ConsistencyLevel,
        extent: Extent,
        *,
        on_page: TakePage,
        done: Walked,
    ) -> ScanWalk:
        """Read an extent page after page, across all of token space if need be.

        Args:
            table: Whose rows.
            level: R.
            extent: From where to where; `whole` gives a table's.
            on_page: Takes each page; False ends the walk.
            done: Called once at the end.

        Returns:
            The walk, to be closed when the client goes away.
        """

        def read_page(extent: Extent, done: PageDone) -> None:
            self.read_page(
                table,
                extent.start,
                extent.end,
                level,
                done,
                backward=extent.backward,
                records_max=extent.records_max,
            )

        return ScanWalk(self._env, read_page, extent, on_page, done)

    def truncate(self, table: Table, done: Written) -> None:
        """Remove everything issued so far from a table, at all nodes (CORRECTNESS 12)."""
        services = self._services
        if services.in_flight >= services.in_flight_max:
            services.counters.overloaded += 1
            done(_overloaded(services))
            return
        services.in_flight += 1
        services.counters.truncates += 1
        TruncateOperation(services, table, done).start()


def end_of(table: bytes) -> bytes:
    """Give the exclusive end of a table's store keys, from its id."""
    return (int.from_bytes(table, "big") + 1).to_bytes(len(table), "big")


def whole(table: bytes, *, backward: bool = False) -> Extent:
    """Give the extent of a whole table, from its id."""
    return Extent(table, end_of(table), backward, RANGE_RECORDS_MAX)


def _overloaded(services: Services) -> Overloaded:
    return Overloaded(
        f"{services.in_flight} requests wait on this node already "
        f"(limit {services.in_flight_max}); nothing was done, try again after a pause"
    )


def _dropped(table: Table) -> UnknownTable:
    return UnknownTable(
        f"keyspace {table.keyspace} was dropped; nothing was done, create it again first"
    )
