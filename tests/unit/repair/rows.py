"""Rows of the table `redis.data` for repair's tests, and a look at what a store holds."""

from anel.data import row
from anel.data.mutation import ROW, one_row, prefix_of
from anel.data.schema import REDIS_TABLE_ID
from anel.ring.partitioner import murmur3_token
from anel.storage.store import Record, Store

REDIS_TABLE = REDIS_TABLE_ID


def prefix(key: bytes, table: bytes = REDIS_TABLE) -> bytes:
    """Give the store prefix of a partition."""
    return prefix_of(table, murmur3_token(key), key)


def put(key: bytes, value: bytes, timestamp: int, table: bytes = REDIS_TABLE) -> bytes:
    """Make the mutation that sets a key's value."""
    cells = row.encode([row.cell(b"value", value, timestamp)])
    return one_row(timestamp, prefix(key, table), ROW, cells)


def records(store: Store) -> list[Record]:
    """Read every record of the table."""
    end = REDIS_TABLE + b"\xff" * 10
    found: list[Record] = []
    start = REDIS_TABLE
    while True:
        page = store.page(start, end, 500, 1 << 20)
        found += page.records
        if not page.more:
            return found
        start = found[-1][0] + b"\0"
