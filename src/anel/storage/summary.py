"""Summaries on write: one XOR of record hashes per leaf of token space, per table.

A leaf is the top LEAF_BITS of the biased token in a record's key. A write turns its leaf's XOR
by the hashes of the record's old and new bytes, so equal replicas have equal leaves at any
time, at no scan's cost. On disk a leaf is kept as of its last checkpoint::

    t table            flags(1)                    the table is known; has it tombstones?
    l table chunk(1)   64 * (xor(16) records(4))   leaves at their last checkpoint; or empty
    d table group(2)   nothing                     dirty: in the batch of the first write since

A dirty mark covers a group of 8 leaves: fewer marks, and little more to read again. After a
crash only dirty leaves are read again, in slices, while writes go on. Each leaf has a
state; all but DIRTY leave the store's hot path::

    CLEAN ------first write (mark)-----> DIRTY ----checkpoint----> CLEAN
    PENDING --> SCANNING --end of leaf--> DIRTY                    after a crash
    CLEAN, DIRTY --> SCRUBBING, SCRUBBING_DIRTY --> CLEAN, DIRTY   hashed again and compared

A leaf being scanned has a cursor: a write behind it turns the scan's own XOR, a write at or
past it will be met by the scan. That is exact, since all runs on one thread.

Source: CORRECTNESS 7.
"""

from functools import reduce
from operator import xor
from struct import Struct

import mmh3

from anel.data.mutation import TABLE_SIZE
from anel.limits import LEAF_BITS, LEAVES

CLEAN = 0
DIRTY = 1
PENDING = 2
SCANNING = 3
SCRUBBING = 4
SCRUBBING_DIRTY = 5

HAS_FRONTS = 1  # On disk since format 1: never renumber.
TABLE_STATE = b"t"
LEAF_STATE = b"l"
DIRTY_STATE = b"d"

HASH_SEED = 0x414E454C  # "ANEL". On disk since format 1: a change makes all leaves differ.
LEAF_SHIFT = 16 - LEAF_BITS

GROUP_LEAVES = 8  # Under one dirty mark: so 2,048 writes a minute carry one, not 16,384.
BLOCK_SHIFT = 5  # 32 leaves: about the root of a vnode's range, so a span costs least.
CHUNK_LEAVES = 64  # Leaves kept under one name: 16,384 small values would slow each start.

_LEAF = Struct(">16sI")
_U16 = Struct(">H")
_hash128 = mmh3.hash128


def record_hash(key: bytes, value: bytes) -> int:
    """Hash one record, 128 bits; the key's size is in the seed, so that no two splits meet."""
    return _hash128(key + value, HASH_SEED + len(key))


def leaf_of(key: bytes) -> int:
    """Tell in which leaf a record's key lies."""
    return (key[TABLE_SIZE] << 8 | key[TABLE_SIZE + 1]) >> LEAF_SHIFT


def leaf_bounds(table: bytes, leaf: int) -> tuple[bytes, bytes]:
    """Give the keys [start, end) between which a leaf's records lie."""
    start = table + _U16.pack(leaf << LEAF_SHIFT)
    if leaf + 1 < LEAVES:
        return start, table + _U16.pack((leaf + 1) << LEAF_SHIFT)
    return start, after(table)


def after(prefix: bytes) -> bytes:
    """Give the least key above every key that begins with `prefix`."""
    head = prefix.rstrip(b"\xff")
    assert head, "a prefix of only FF bytes has no successor"
    return head[:-1] + bytes((head[-1] + 1,))


def mark_name(table: bytes, leaf: int) -> bytes:
    """Name the state that marks a leaf's group dirty."""
    return DIRTY_STATE + table + _U16.pack(leaf // GROUP_LEAVES)


def chunk_name(table: bytes, chunk: int) -> bytes:
    """Name the state that keeps the checkpoint of a chunk of leaves."""
    return LEAF_STATE + table + bytes((chunk,))


class TableSummary:
    """The live leaves of one table (the port's `Summary`) and what is kept beside them.

    Attributes:
        table: Table id.
        has_fronts: The table may hold partition or range tombstones.
        leaves: XOR per leaf.
        blocks: XOR per BLOCK_LEAVES leaves, so that `span` need not look at each leaf.
        records: Number of records per leaf.
        states: One of CLEAN ... per leaf.
        rows: Number of records in all; an estimate of the last checkpoint while incomplete.
        pending: Leaves that must still be read again.
    """

    __slots__ = (
        "_cursor",
        "_scan_records",
        "_scan_xor",
        "blocks",
        "has_fronts",
        "leaves",
        "pending",
        "records",
        "rows",
        "states",
        "table",
    )

    def __init__(self, table: bytes, *, has_fronts: bool = False) -> None:
        self.table = table
        self.has_fronts = has_fronts
        self.leaves = [0] * LEAVES
        self.blocks = [0] * (LEAVES >> BLOCK_SHIFT)
        self.records = [0] * LEAVES
        self.states = bytearray(LEAVES)
        self.rows = 0
        self.pending = 0
        self._cursor = b""
        self._scan_xor = 0
        self._scan_records = 0

    @property
    def is_complete(self) -> bool:
        """Whether every leaf is what a full scan would give."""
        return not self.pending

    def leaf(self, index: int) -> int:
        """Give one leaf's XOR."""
        return self.leaves[index]

    def span(self, first: int, last: int) -> int:
        """Give the XOR of leaves first..last, both included."""
        end = last + 1
        first_block = -(-first >> BLOCK_SHIFT)
        end_block = end >> BLOCK_SHIFT
        if first_block >= end_block:
            return reduce(xor, self.leaves[first:end], 0)
        found = reduce(xor, self.blocks[first_block:end_block])
        found = reduce(xor, self.leaves[first : first_block << BLOCK_SHIFT], found)
        return reduce(xor, self.leaves[end_block << BLOCK_SHIFT : end], found)

    def note(self, leaf: int, key: bytes, old: bytes, new: bytes) -> None:
        """Take in one record's change, whatever the leaf's state.

        Args:
            leaf: Where it lies.
            key: The record's key.
            old: The value before, b"" if there was none.
            new: The value now, b"" if it was removed.
        """
        state = self.states[leaf]
        if state == PENDING:
            return
        change = (record_hash(key, old) if old else 0) ^ (record_hash(key, new) if new else 0)
        added = bool(new) - bool(old)
        if state >= SCANNING and key < self._cursor:
            self._scan_xor ^= change
            self._scan_records += added
        if state != SCANNING:
            self.leaves[leaf] ^= change
            self.blocks[leaf >> BLOCK_SHIFT] ^= change
            self.records[leaf] += added
            self.rows += added

    def _sum_block(self, block: int) -> None:
        first = block << BLOCK_SHIFT
        self.blocks[block] = reduce(xor, self.leaves[first : first + (1 << BLOCK_SHIFT)])

    def load_chunk(self, chunk: int, checkpoint: bytes) -> None:
        """Take in a chunk of leaves as its last checkpoint left it."""
        leaf = chunk * CHUNK_LEAVES
        for digest, records in _LEAF.iter_unpack(checkpoint):
            if records:
                self.leaves[leaf] = int.from_bytes(digest, "big")
                self.records[leaf] = records
                self.rows += records
            leaf += 1
        for block in range(chunk * CHUNK_LEAVES >> BLOCK_SHIFT, leaf >> BLOCK_SHIFT):
            self._sum_block(block)

    def checkpoint_of(self, chunk: int) -> bytes | None:
        """Write a chunk of leaves for the disk; None when all are empty."""
        first = chunk * CHUNK_LEAVES
        counts = self.records[first : first + CHUNK_LEAVES]
        if not any(counts):
            return None
        digests = self.leaves[first : first + CHUNK_LEAVES]
        return b"".join(
            _LEAF.pack(digest.to_bytes(16, "big"), records)
            for digest, records in zip(digests, counts, strict=True)
        )

    def load_mark(self, group: int) -> None:
        """Note that a group was dirty when the process died: its leaves must be read again."""
        first = group * GROUP_LEAVES
        self.states[first : first + GROUP_LEAVES] = bytes((PENDING,)) * GROUP_LEAVES
        self.pending += GROUP_LEAVES

    def mark(self, leaf: int) -> None:
        """Note that a leaf's group has its dirty mark on disk."""
        first = leaf - leaf % GROUP_LEAVES
        for other in range(first, first + GROUP_LEAVES):
            if self.states[other] == CLEAN:
                self.states[other] = DIRTY
            elif self.states[other] == SCRUBBING:
                self.states[other] = SCRUBBING_DIRTY

    def unmarkable(self, chunk: int) -> list[int]:
        """List the first leaves of a chunk's dirty groups in which nothing is being read."""
        groups = []
        first = chunk * CHUNK_LEAVES
        for leaf in range(first, first + CHUNK_LEAVES, GROUP_LEAVES):
            states = self.states[leaf : leaf + GROUP_LEAVES]
            if DIRTY in states and max(states) == DIRTY:
                groups.append(leaf)
        return groups

    def unmark(self, leaf: int) -> None:
        """Note that a group's mark is gone: its leaves are as of the checkpoint."""
        self.states[leaf : leaf + GROUP_LEAVES] = bytes((CLEAN,)) * GROUP_LEAVES

    def next_in(self, state: int, leaf: int) -> int:
        """Find the first leaf from `leaf` on that is in a state; -1 when none is."""
        return self.states.find(state, leaf)

    def begin_scan(self, leaf: int) -> bytes:
        """Start reading a leaf; give the key to begin at."""
        state = self.states[leaf]
        self.states[leaf] = {PENDING: SCANNING, CLEAN: SCRUBBING, DIRTY: SCRUBBING_DIRTY}[state]
        self._cursor = leaf_bounds(self.table, leaf)[0]
        self._scan_xor = 0
        self._scan_records = 0
        return self._cursor

    def scanned(self, records: list[tuple[bytes, bytes]]) -> bytes:
        """Take in a run of records read from the cursor on; give the new cursor."""
        digest = self._scan_xor
        for key, value in records:
            digest ^= record_hash(key, value)
        self._scan_xor = digest
        self._scan_records += len(records)
        if records:
            self._cursor = records[-1][0] + b"\0"
        return self._cursor

    def abandon_scan(self, leaf: int) -> None:
        """Leave off reading a leaf; it is as before `begin_scan`, or DIRTY if written since."""
        state = self.states[leaf]
        self.states[leaf] = {SCANNING: PENDING, SCRUBBING: CLEAN, SCRUBBING_DIRTY: DIRTY}[state]

    def end_scan(self, leaf: int) -> bool:
        """Finish a leaf; tell whether the live leaf was what the scan found."""
        state = self.states[leaf]
        found = (self._scan_xor, self._scan_records)
        equal = found == (self.leaves[leaf], self.records[leaf])
        self.rows += self._scan_records - self.records[leaf]
        self.leaves[leaf], self.records[leaf] = found
        self._sum_block(leaf >> BLOCK_SHIFT)
        if state == SCANNING:
            self.pending -= 1
            self.states[leaf] = DIRTY
        else:
            self.states[leaf] = CLEAN if state == SCRUBBING else DIRTY
        return equal
