"""Clients of a simulated ring: they write, delete, read and scan, and remember what they saw.

Two promises are judged on the spot, by looking into every machine at the instant of the
answer: an acknowledged write is held by W replicas, and what a read shows by R of them, so that
no crash could take it back. All others are judged afterwards, from the History.
"""

from anel.coordinator.coordinator import end_of
from anel.coordinator.merged_page import MergedPage
from anel.data import mutation, row
from anel.data.consistency import ConsistencyLevel, required
from anel.errors import AnelError, Overloaded, RequestFailed, Unavailable
from anel.simulation.history import History, Read, Write
from anel.simulation.ring import COLUMN, Machine, SimulatedRing, sub_of, table_of, value_of

PAGE_RECORDS = 3  # Small, so that pages end in the middle of things.


class Clients:
    """All clients of one ring.

    Attributes:
        history: What they did and saw.
    """

    def __init__(self, ring: SimulatedRing) -> None:
        self._ring = ring
        self._values = 0
        self.history = History()

    def write(
        self,
        machine: Machine,
        key: bytes,
        level: ConsistencyLevel = ConsistencyLevel.QUORUM,
        *,
        delete: bool = False,
        ttl_ms: int = 0,
        timestamp: int | None = None,
    ) -> None:
        """Write a value of its own (or delete) through a node; the history hears how it ends.

        Args:
            machine: Whose node coordinates.
            key: What to write.
            level: W.
            delete: Delete instead.
            ttl_ms: Time to live; 0: for ever.
            timestamp: The client's own; None: the server's.
        """
        node = machine.node
        assert node is not None
        now = self._stamp(machine)
        stamp = now if timestamp is None else timestamp
        write = Write(key, None if delete else self._new_value(), self._ring.world.now_ns)
        if write.value is None:
            entry = row.row_deletion(stamp, now)
        elif ttl_ms:
            write.expires_ms = node.coordinator.now_ms() + ttl_ms
            entry = row.Entry(
                row.Kind.EXPIRING,
                COLUMN,
                b"",
                stamp,
                write.value,
                write.expires_ms,
                ttl_ms // 1000,
                now,
            )
        else:
            entry = row.cell(COLUMN, write.value, stamp)
        table = table_of(node)
        change = mutation.one_row(
            now, self._ring.prefix(table, key), sub_of(key), row.encode([entry])
        )
        self._send(machine, change, level, [write], server_stamped=timestamp is None)

    def delete_range(
        self, machine: Machine, keys: list[bytes], level: ConsistencyLevel
    ) -> None:
        """Delete all keys between the least and the greatest of these, in one partition.

        Args:
            machine: Whose node coordinates.
            keys: Every key there is between the two, in order.
            level: W.
        """
        node = machine.node
        assert node is not None
        now = self._stamp(machine)
        table = table_of(node)
        sub = mutation.range_deletion_sub(sub_of(keys[0])[1:], sub_of(keys[-1])[1:] + b"\xff")
        value = mutation.encode_deletion(mutation.Deletion(now, now))
        change = mutation.encode(now, self._ring.prefix(table, keys[0]), [(sub, value)])
        writes = [Write(key, None, self._ring.world.now_ns) for key in keys]
        self._send(machine, change, level, writes, server_stamped=True)

    def _send(
        self,
        machine: Machine,
        change: bytes,
        level: ConsistencyLevel,
        writes: list[Write],
        *,
        server_stamped: bool,
    ) -> None:
        node = machine.node
        assert node is not None
        self.history.writes += writes
        copies = required(level, self._ring.replication)
        sent = mutation.decode(change)
        sub, value = sent.records[0]

        def done(outcome: AnelError | None) -> None:
            holders = self._ring.holders(sent.prefix + sub, sub, value)
            if outcome is None and holders < copies:
                self._ring.complaints.append(
                    f"key {writes[0].key!r}: acknowledged with {holders} durable copies, "
                    f"not {copies}"
                )
            for write in writes:
                if write.acknowledged or write.refused:
                    self._ring.complaints.append(
                        f"key {write.key!r}: a write was answered twice"
                    )
                if outcome is None:
                    write.ended = self._ring.world.now_ns
                    write.acknowledged = True
                else:
                    write.refused = isinstance(outcome, Unavailable | Overloaded)
            if outcome is None:
                machine.stamp_us = max(machine.stamp_us, sent.issued)
            else:
                self._failed(outcome)

        node.coordinator.write(
            table_of(node), change, level, done, server_stamped=server_stamped
        )

    def _check_held(
        self, key: bytes, prefix: bytes, seen: bytes, level: ConsistencyLevel
    ) -> None:
        # CORRECTNESS 10: what a read at R > 1 shows, R replicas durably hold. Where a tombstone
        # of the partition may have been merged into the row, its bytes are no replica's.
        copies = required(level, self._ring.replication)
        sub = sub_of(key)
        if not seen or copies == 1 or self._ring.has_fronts(prefix):
            return
        holders = self._ring.holders(prefix + sub, sub, seen)
        if holders < copies:
            self._ring.complaints.append(
                f"key {key!r}: read although {holders} replicas durably hold it, not {copies}"
            )

    def _stamp(self, machine: Machine) -> int:
        node = machine.node
        assert node is not None
        now = node.coordinator.now()
        if now <= machine.stamp_us:
            self._ring.complaints.append(
                f"node {machine.index} gave out {now} after {machine.stamp_us}"
            )
        return now

    def _new_value(self) -> bytes:
        self._values += 1
        return b"v%d" % self._values

    def read(
        self,
        machine: Machine,
        key: bytes,
        level: ConsistencyLevel = ConsistencyLevel.QUORUM,
    ) -> None:
        """Read a key through a node; the history hears what was seen."""
        node = machine.node
        assert node is not None
        began, now_began_ms = self._ring.world.now_ns, node.coordinator.now_ms()
        table = table_of(node)
        prefix = self._ring.prefix(table, key)

        def done(outcome: bytes | AnelError) -> None:
            if isinstance(outcome, bytes):
                now_ms = node.coordinator.now_ms()
                value = value_of(outcome, now_ms)
                self._check_held(key, prefix, outcome, level)
                self.history.reads.append(
                    Read(key, value, began, self._ring.world.now_ns, now_began_ms, now_ms)
                )
            else:
                self._failed(outcome)

        node.coordinator.read_row(table, prefix + sub_of(key), level, done)

    def scan(self, machine: Machine, keys: list[bytes], level: ConsistencyLevel) -> None:
        """Read the whole table page by page; the history hears what was seen of these keys."""
        node = machine.node
        assert node is not None
        table = table_of(node)
        began, now_began_ms = self._ring.world.now_ns, node.coordinator.now_ms()
        seen: dict[bytes, bytes] = {}

        def take(outcome: MergedPage | AnelError) -> None:
            if isinstance(outcome, AnelError):
                self._failed(outcome)
                return
            for store_key, stored in outcome.rows:
                if store_key in seen:
                    self._ring.complaints.append("a scan saw one row twice")
                seen[store_key] = stored
            if outcome.resume is not None:
                ask(outcome.resume)
                return
            now_ms = node.coordinator.now_ms()
            for key in keys:
                stored = seen.get(self._ring.prefix(table, key) + sub_of(key), b"")
                self.history.reads.append(
                    Read(
                        key,
                        value_of(stored, now_ms),
                        began,
                        self._ring.world.now_ns,
                        now_began_ms,
                        now_ms,
                    )
                )

        def ask(start: bytes) -> None:
            node.coordinator.read_page(
                table, start, end_of(table.id), level, take, records_max=PAGE_RECORDS
            )

        ask(table.id)

    def _failed(self, outcome: AnelError) -> None:
        assert isinstance(outcome, RequestFailed), outcome
        if isinstance(outcome, Unavailable):
            self.history.unavailable += 1
        else:
            self.history.timeouts += 1
