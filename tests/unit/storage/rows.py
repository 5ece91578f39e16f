"""Rows and stores for the tests of storage."""

import time
from collections.abc import Callable
from pathlib import Path

from anel.data import mutation, row
from anel.storage.rocks import RocksStore
from anel.storage.syncer import ImmediateSyncer, Syncer

TABLE = b"T" * 16
END = b"U" + b"\0" * 15


def key_of(number: int) -> bytes:
    """Give the store key of a numbered row; neighbours lie far apart on the ring."""
    return prefix(number) + mutation.ROW


def prefix(number: int) -> bytes:
    """Give a numbered partition's prefix."""
    token = (number * 0x9E3779B97F4A7C15) % (1 << 64) - (1 << 63)
    return mutation.prefix_of(TABLE, token, b"%d" % number)


def put(number: int, value: bytes = b"v", stamp: int = 1) -> bytes:
    """Make the mutation that writes a numbered row."""
    entries = row.encode([row.cell(b"value", value, stamp)])
    return mutation.one_row(stamp, prefix(number), mutation.ROW, entries)


def delete_partition(number: int, stamp: int) -> bytes:
    """Make the mutation that deletes a numbered row's partition."""
    value = mutation.encode_deletion(mutation.Deletion(stamp, stamp))
    return mutation.encode(stamp, prefix(number), [(mutation.PARTITION_DELETION, value)])


def die(error: BaseException) -> None:
    """Stand in for the end of the process."""
    raise AssertionError(error)


def open_store(
    path: Path,
    *,
    syncer: Syncer | None = None,
    now_ns: Callable[[], int] = time.monotonic_ns,
    fatal: Callable[[BaseException], None] = die,
    must_exist: bool = False,
) -> RocksStore:
    """Open a store that syncs on the spot."""
    return RocksStore.open(
        path,
        syncer=syncer or ImmediateSyncer(),
        now_ns=now_ns,
        fatal=fatal,
        must_exist=must_exist,
    )


def numbers_in(store: RocksStore) -> list[int]:
    """List the numbered rows that a store holds."""
    page = store.page(TABLE, END, 1 << 30, 1 << 30)
    return sorted(int(key[26 : 26 + key[25]]) for key, _ in page.records)
