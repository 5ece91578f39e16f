"""Make the stored data folder of the present format, for later releases to open.

Run once per format, by the release that introduces it: python -m tests.formats.make_store
It leaves `store-<format>/` as a killed process would (rows in an sstable and in the commit
log, leaves at a checkpoint and dirty ones) and `store-<format>.json`: what must be read from
it.
"""

import json
import shutil
import tempfile
from pathlib import Path

from anel.data import mutation, row
from anel.data.row import Entry, Kind
from anel.storage.folder import FORMAT
from anel.storage.rocks import RocksStore
from anel.storage.syncer import ImmediateSyncer

HERE = Path(__file__).parent
PLAIN, WITH_TOMBSTONES = b"p" * 16, b"t" * 16
NOT_DATA = ("LOG", "LOG.old*", "LOCK", "OPTIONS-*", "IDENTITY", "*.json", "options")


def mutations() -> list[bytes]:
    """Make one mutation of every kind that a store can hold."""
    entries = [
        row.cell(b"plain", b"value", 10),
        row.cell(b"map", b"element", 9, b"path"),
        row.tombstone(b"gone", 8, 7),
        Entry(Kind.EXPIRING, b"soon", b"", 10, b"x", 1_900_000_000_000, 60, 10),
        Entry(Kind.COLLECTION_DELETION, b"map", b"", 9, issued=9),
        row.liveness(10),
        row.row_deletion(5, 5),
    ]
    deletion = mutation.encode_deletion(mutation.Deletion(3, 4))
    many = mutation.prefix_of(WITH_TOMBSTONES, -5, b"many")
    made = [
        mutation.encode(
            10,
            many,
            [
                (mutation.PARTITION_DELETION, deletion),
                (mutation.range_deletion_sub(b"a", b"c"), deletion),
                (mutation.STATIC, row.encode([row.cell(b"s", b"static", 10)])),
                (mutation.ROW + b"b", row.encode(entries)),
            ],
        )
    ]
    for number in range(20):
        token = number * (1 << 59) - (1 << 63)
        prefix = mutation.prefix_of(PLAIN, token, b"key%d" % number)
        value = row.encode([row.cell(b"value", b"v%d" % number, 100 + number)])
        made.append(mutation.one_row(100 + number, prefix, mutation.ROW, value))
    return made


def content(store: RocksStore) -> dict[str, object]:
    """Read everything that must survive into a later release, as JSON."""

    def page(table: bytes) -> list[list[str]]:
        records = store.page(table, table + b"\xff" * 20, 1 << 20, 1 << 30).records
        return [[key.hex(), value.hex()] for key, value in records]

    return {
        "records": {table.hex(): page(table) for table in store.tables()},
        "fronts": {table.hex(): store.has_fronts(table) for table in store.tables()},
        "rows": {table.hex(): store.summary(table).rows for table in store.tables()},
        "leaves": {
            table.hex(): f"{store.summary(table).span(0, 1 << 13):032x}"
            for table in store.tables()
        },
        "metas": [[name.hex(), value.hex()] for name, value in store.metas(b"", b"", 1 << 20)],
    }


def open_store(path: Path) -> RocksStore:
    """Open a store with imagined time."""
    return RocksStore.open(path, syncer=ImmediateSyncer(), now_ns=lambda: 0, fatal=_die)


def _die(error: BaseException) -> None:
    raise error


def main() -> None:
    """Make both files."""
    made = HERE / f"store-{FORMAT}"
    shutil.rmtree(made, ignore_errors=True)
    changes = mutations()
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder))
        for change in changes[:12]:
            store.apply(change)
        store.put_metas([(b"clock", b"\x01"), (b"hint/1", b"\xff")])
        store._upkeep.checkpoint_all()  # What `work` does each minute.
        store._database.flush()
        for change in changes[12:]:
            store.apply(change)
        store.put_meta(b"ring", b"view")
        store.when_durable(lambda: None)
        shutil.copytree(folder, made, ignore=shutil.ignore_patterns(*NOT_DATA))
        text = json.dumps(content(store), indent=1)
        made.with_suffix(".json").write_text(text + "\n")
        store.close()


if __name__ == "__main__":
    main()
