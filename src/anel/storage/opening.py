"""Opening a store's folder: whole, or set aside as damaged and begun anew.

What counts as damage: a part that is missing, a note left by a process that met corrupt bytes,
RocksDB refusing with Corruption or a missing file, a manifest shorter or older than the ledger
says, a sequence number below the ledger's. Anything else (permission, no space, too many open
files) is DiskFailed: the node does not start and nothing is touched.

Source: CORRECTNESS 6.
"""

from typing import NamedTuple

from rocksdict import Rdict

from anel.errors import DiskFailed
from anel.storage.folder import StoreFolder
from anel.storage.ledger import Ledger, Mark, manifest_in_use, manifest_path, read_mark
from anel.storage.records import RECOVERING
from anel.storage.rocks_options import STATES_FAMILY, open_database

GONE = "the store is gone; nothing of it is left, being refilled from the other replicas"
_DAMAGE = ("Corruption", "No such file", "does not exist")


class Opened(NamedTuple):
    """An open database and its ledger."""

    database: Rdict
    ledger: Ledger


def open_folder(folder: StoreFolder, now_ns: int, *, must_exist: bool = False) -> Opened:
    """Open the store in a folder; make one when there is none or it is damaged.

    Args:
        folder: Where.
        now_ns: The monotonic clock.
        must_exist: There was a store here: if nothing is left of it, that is damage.

    Raises:
        UnknownFormat: Another release wrote it.
        DiskFailed: It cannot be opened, for a reason that is not damage.
    """
    folder.check_format()
    if folder.is_unfinished():
        return _create(folder, GONE if must_exist and not folder.is_creating() else "", now_ns)
    damage = folder.missing_part()
    mark = read_mark(folder.synced)
    if not damage and mark is None:
        damage = "the file synced is missing or unreadable"
    if not damage and mark is not None:
        damage = _manifest_damage(folder, mark)
    if not damage and mark is not None:
        opened = _open_whole(folder, mark, now_ns)
        if isinstance(opened, Opened):
            return opened
        damage = opened
    aside = folder.set_aside()
    where = "nothing of it is left" if aside is None else f"set aside in {aside}"
    return _create(folder, f"{damage}; {where}, being refilled from the other replicas", now_ns)


def damage_in(error: Exception) -> str:
    """Tell the damage that an error of RocksDB speaks of; "" when it is not about damage."""
    text = str(error)
    return text if text.startswith("Corruption") or "No such file" in text else ""


def _manifest_damage(folder: StoreFolder, mark: Mark) -> str:
    number = manifest_in_use(folder.database)
    if number < 0:
        return "the file CURRENT is missing or unreadable"
    if number < mark.manifest:
        return f"CURRENT names manifest {number}, older than {mark.manifest} in use before"
    if number > mark.manifest:
        return ""  # A later one took its place after the last sync.
    path = manifest_path(folder.database, number)
    if not path.exists():
        return f"the file {path.name} is missing"
    size = path.stat().st_size
    if size < mark.manifest_size:
        return f"{path.name} has {size} bytes where {mark.manifest_size} had been synced"
    return ""


def _open_whole(folder: StoreFolder, mark: Mark, now_ns: int) -> Opened | str:
    """Open what looks whole; give the damage instead if it turns out not to be."""
    database = None
    try:
        database = open_database(folder.database, folder.options, create=False)
        sequence = database.latest_sequence_number()
        if sequence >= mark.sequence:
            return _begin_ledger(folder, database, now_ns)
        damage = f"commit log ends at change {sequence}; {mark.sequence} had been synced"
    except Exception as error:
        damage = damage_in(error)
        if not damage:
            raise DiskFailed(f"the store in {folder.live} cannot be opened: {error}") from error
    if database is not None:
        release(database)
    return damage


def release(database: Rdict) -> str:
    """Close a database even when its last writes fail; give the damage met, or ""."""
    try:
        database.close()
    except Exception as error:  # noqa: BLE001  # All that is left to do is to tell.
        return damage_in(error) or f"the disk refused the last writes: {error}"
    return ""


def _create(folder: StoreFolder, damage: str, now_ns: int) -> Opened:
    damage = folder.begin_creating(damage)
    database = open_database(folder.database, folder.options, create=True)
    if damage:
        states = database.get_column_family(STATES_FAMILY)
        states.put(RECOVERING, damage.encode())
        database.flush_wal(True)  # With an fsync; rocksdict wants a position.
        release(states)
    opened = _begin_ledger(folder, database, now_ns)
    folder.end_creating()
    return opened


def _begin_ledger(folder: StoreFolder, database: Rdict, now_ns: int) -> Opened:
    # Opening has written what it recovered to synced sstables, and synced the manifest.
    ledger = Ledger(folder.synced, folder.database)
    ledger.write(database.latest_sequence_number(), now_ns)
    return Opened(database, ledger)
