"""The store on disk: RocksDB through rocksdict, with what its recovery leaves to others.

Reads and writes run on the loop and take microseconds; only the fsync runs in the sync thread.
Damage is never served: a checksum that fails at run time raises CorruptData and leaves a note;
a store found damaged at open is set aside whole, and an empty one, `recovering`, replaces it.

Traps of rocksdict 0.3.29 met on the way: `items()` ends silently at a corrupt block, so pages
are read through an iterator whose status is asked; errors are plain `Exception`s, told apart by
their text; the lock is freed only when every handle of every column family is gone.

Source: CORRECTNESS 5, 6 and 7.
"""

from collections.abc import Callable
from pathlib import Path

from rocksdict import Rdict, RdictIter, WriteBatch, WriteOptions

from anel.errors import AnelError, CorruptData, DiskFailed, Overloaded
from anel.storage.commit import Durability, GroupCommit
from anel.storage.folder import StoreFolder
from anel.storage.opening import Opened, damage_in, open_folder, release
from anel.storage.records import Changes, RecordStore
from anel.storage.rocks_options import STATES_FAMILY
from anel.storage.store import Page, Record
from anel.storage.summary import DIRTY_STATE, LEAF_STATE, after
from anel.storage.syncer import Done, Syncer

_SIZE_PERIOD_NS = 1_000_000_000


class RocksStore(RecordStore):
    """The store port on RocksDB. Make it with `open`."""

    def __init__(
        self,
        folder: StoreFolder,
        opened: Opened,
        now_ns: Callable[[], int],
        *,
        syncer: Syncer,
        commit: GroupCommit,
    ) -> None:
        self._folder = folder
        self._ledger = opened.ledger
        self._database: Rdict = opened.database
        self._states: Rdict = opened.database.get_column_family(STATES_FAMILY)
        self._states_handle = opened.database.get_column_family_handle(STATES_FAMILY)
        self._patience = WriteOptions()
        self._syncer = syncer
        self._synced_sequence = opened.database.latest_sequence_number()
        self._disk_bytes = 0
        self._disk_bytes_due_ns = 0
        self._is_open = True
        super().__init__(now_ns, commit)
        self._get = opened.database.get
        self._put = opened.database.put  # type: ignore[method-assign]  # One call less.
        self.is_durable = commit.is_durable  # type: ignore[method-assign]  # Likewise.
        self.when_durable = commit.when_durable  # type: ignore[method-assign]
        commit.begin_with(self._begin_sync, self._has_unsynced)

    @classmethod
    def open(  # noqa: PLR0913 - one call site, all by name.
        cls,
        path: Path,
        *,
        syncer: Syncer,
        now_ns: Callable[[], int],
        fatal: Callable[[BaseException], None],
        durability: Durability = "group",
        gather: Callable[[Callable[[], None]], None] | None = None,
        must_exist: bool = False,
    ) -> "RocksStore":
        """Open the store in a folder, or make one there.

        Args:
            path: The store's own folder; made when absent.
            syncer: Runs the fsyncs. End it before `close`.
            now_ns: The monotonic clock; also called in the sync thread.
            fatal: Told of an fsync that failed: the process must end, for the kernel may have
                dropped what it could not write, and say so only once.
            durability: See `anel.storage.commit.GroupCommit`.
            gather: Likewise.
            must_exist: There was a store here: if it is gone, the new one is `recovering`.

        Raises:
            ConfigurationError: Another process has it open.
            UnknownFormat: Another release wrote it.
            DiskFailed: The disk refuses.
        """

        def once() -> RocksStore:
            folder = StoreFolder(path)
            try:
                opened = open_folder(folder, now_ns(), must_exist=must_exist)
            except BaseException:
                folder.close()
                raise
            commit = GroupCommit(durability, fatal, gather)
            return cls(folder, opened, now_ns, syncer=syncer, commit=commit)

        store = once()
        if not store._loads():  # noqa: SLF001 - Its own.
            store = once()  # What was met has been noted: that store is set aside now.
            store._load()  # noqa: SLF001 - Likewise.
        return store

    def _loads(self) -> bool:
        """Read what is read at open; False when that met damage, and the store is closed."""
        try:
            self._load()
        except CorruptData:
            if not self.found_corrupt:
                self.close(flush=False)
                raise
        except BaseException:
            self.close(flush=False)
            raise
        else:
            return True
        # Only here, where the error is gone, whose frames would keep RocksDB's handles open.
        self.close(flush=False)
        return False

    # The port.

    def disk_bytes(self) -> int:
        """Tell how much disk the store takes; looked up once a second at most."""
        now_ns = self._now_ns()
        if now_ns >= self._disk_bytes_due_ns:
            self._disk_bytes_due_ns = now_ns + _SIZE_PERIOD_NS
            files = sorted(self._folder.database.iterdir())
            self._disk_bytes = sum(_size_of(file) for file in files)
        return self._disk_bytes

    def close(self, *, flush: bool = True) -> None:
        """Give the files back. End the syncer first: no fsync may be under way.

        Raises:
            DiskFailed: The disk refused the last writes or the last fsync; the files are given
                back all the same. Damage met now is noted for the next open.
        """
        assert self._is_open, "closed twice"
        self._is_open = False
        self.commit.close()
        try:
            if flush and not self.found_corrupt:
                self._upkeep.checkpoint_all()
                self._sync()
                self._ledger.sync()
        except Exception as error:
            raise self._fault(error) from error
        finally:
            self._ledger.close()
            self._close_database()
            self._folder.close()

    def _close_database(self) -> None:
        del self._states_handle, self._get, self._put
        damage = release(self._states) or release(self._database)
        if damage:
            self._folder.note_damage(damage)
        del self._states, self._database

    # What `RecordStore` asks for.

    def _read(self, key: bytes) -> bytes | None:
        value: bytes | None = self._database.get(key)
        return value

    def _put(self, key: bytes, value: bytes) -> None:
        self._database.put(key, value)

    def write(self, records: Changes, states: Changes) -> None:
        """Write to both spaces, all or nothing.

        States alone wait out a stall: they are few, and their writers have nobody to refuse to.
        """
        batch = WriteBatch(True)  # Raw mode; rocksdict takes it by position.
        for key, value in records:
            assert value is not None, "records are removed only by `_drop`"
            batch.put(key, value)
        self._add_states(batch, states)
        self._write(batch, patient=not records)

    def _drop(self, table: bytes, states: Changes) -> None:
        batch = WriteBatch(True)  # As above.
        batch.delete_range(table, after(table))
        for kind in (LEAF_STATE, DIRTY_STATE):
            batch.delete_range(kind + table, after(kind + table), self._states_handle)
        self._add_states(batch, states)
        self._write(batch, patient=True)

    def _add_states(self, batch: WriteBatch, states: Changes) -> None:
        handle = self._states_handle
        for name, value in states:
            if value is None:
                batch.delete(name, handle)
            else:
                batch.put(name, value, handle)

    def _write(self, batch: WriteBatch, *, patient: bool) -> None:
        try:
            self._database.write(batch, self._patience if patient else None)
        except Exception as error:
            raise self._fault(error) from error

    def read_state(self, name: bytes) -> bytes | None:
        """Read one state."""
        try:
            value: bytes | None = self._states.get(name)
        except Exception as error:
            raise self._fault(error) from error
        return value

    def states(self, start: bytes, end: bytes, count_max: int) -> list[Record]:
        """Read states in order."""
        return self._run(self._states, start, end, (count_max, 1 << 62)).records

    def scan(self, start: bytes, end: bytes, records_max: int, bytes_max: int) -> Page:
        """Read records in order."""
        return self._run(self._database, start, end, (records_max, bytes_max))

    def _scan_back(self, start: bytes, end: bytes, records_max: int, bytes_max: int) -> Page:
        try:
            rows = self._database.iter()
            rows.seek_for_prev(end)
            if rows.valid() and rows.key() == end:
                rows.prev()
            return _read_back(rows, start, records_max, bytes_max)
        except Exception as error:
            raise self._fault(error) from error

    def _run(self, family: Rdict, start: bytes, end: bytes, most: tuple[int, int]) -> Page:
        try:
            rows = family.iter()
            rows.seek(start)
            return _read_on(rows, end, *most)
        except Exception as error:
            raise self._fault(error) from error

    def _fault(self, error: Exception) -> Exception:
        if isinstance(error, AnelError):
            return error
        text = str(error)
        damage = damage_in(error)
        if damage:
            self.found_corrupt = True
            self.damage = damage
            self._folder.note_damage(damage)
            return CorruptData(f"{damage}; restart the node: its store will be refilled")
        if "ncomplete" in text:
            return Overloaded("the disk cannot keep up with the writes; try again shortly")
        return DiskFailed(f"the disk refuses: {text}")

    # Syncs.

    def _begin_sync(self, done: Done) -> None:
        self._syncer.run(self._sync, done)

    def _sync(self) -> None:
        """Make everything applied so far durable. Runs in the sync thread."""
        sequence = self._database.latest_sequence_number()
        self._database.flush_wal(True)  # With an fsync.
        self._ledger.write(sequence, self._now_ns())
        self._synced_sequence = sequence

    def _has_unsynced(self) -> bool:
        return bool(self._database.latest_sequence_number() > self._synced_sequence)


def _read_on(rows: RdictIter, end: bytes, records_max: int, bytes_max: int) -> Page:
    records: list[Record] = []
    size = 0
    valid, key_of, value_of, step = rows.valid, rows.key, rows.value, rows.next
    while valid():
        key = key_of()
        if key >= end:
            return Page(records, more=False)
        if len(records) == records_max or (records and size >= bytes_max):
            return Page(records, more=True)
        value = value_of()
        records.append((key, value))
        size += len(key) + len(value)
        step()
    rows.status()  # Raises when it ended at a corrupt block rather than at the last record.
    return Page(records, more=False)


def _read_back(rows: RdictIter, start: bytes, records_max: int, bytes_max: int) -> Page:
    records: list[Record] = []
    size = 0
    while rows.valid():
        key = rows.key()
        if key < start:
            return Page(records, more=False)
        if len(records) == records_max or (records and size >= bytes_max):
            return Page(records, more=True)
        value = rows.value()
        records.append((key, value))
        size += len(key) + len(value)
        rows.prev()
    rows.status()
    return Page(records, more=False)


def _size_of(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # Compacted away this instant.
        return 0
