"""The folder of a store on disk: its format, its lock, and how damage is set aside.

::

    LOCK            held by the process that has the store open; stale after it died
    FORMAT          the format number of everything here; written last when a store is made
    CREATING        only while a new store is being made; its text says what it replaces
    live/db/        RocksDB
    live/synced     how far the disk had got (anel.storage.ledger)
    live/DAMAGED    only after a process met damage: why
    damaged-<n>/    former live folders that were found damaged, kept for inspection

Every step can be interrupted: a store that was never finished was never used, and is made
again; a part that is missing without CREATING was removed by someone, which is damage.

Source: CORRECTNESS 6.
"""

import fcntl
import os
import shutil
from pathlib import Path

from anel.errors import ConfigurationError, UnknownFormat

FORMAT = 1  # Of rows, keys, states and side files together: raise it when any of them changes.
_FORMAT_TEXT = "anel store format "


class StoreFolder:
    """Paths and steps on a store's folder.

    Raises:
        ConfigurationError: Another process has it open.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root
        self.live = root / "live"
        self.database = self.live / "db"
        self.synced = self.live / "synced"
        self.options = root / "options"
        self._format = root / "FORMAT"
        self._creating = root / "CREATING"
        self._note = self.live / "DAMAGED"
        self._lock = _lock(root / "LOCK")

    def close(self) -> None:
        """Let another process open it."""
        os.close(self._lock)

    def check_format(self) -> None:
        """Refuse a store that this release cannot read.

        Raises:
            UnknownFormat: What to do is in the message.
        """
        if not self._format.exists():
            return
        text = self._format.read_text().strip()
        if text != f"{_FORMAT_TEXT}{FORMAT}":
            raise UnknownFormat(
                f"the store in {self.root} says {text!r} and this release reads format "
                f"{FORMAT}: start the release that wrote it, or move the folder away and let "
                "the node be refilled from the other replicas"
            )

    def is_unfinished(self) -> bool:
        """Tell whether there is no store yet, or one whose making was interrupted."""
        return self._creating.exists() or not (self._format.exists() or self.live.exists())

    def is_creating(self) -> bool:
        """Tell whether the making of a store was interrupted."""
        return self._creating.exists()

    def missing_part(self) -> str:
        """Name what is missing or noted as damaged, opening nothing; "" if nothing is."""
        if not self._format.exists():
            return "the file FORMAT is missing"
        if not self.live.exists():
            return "the folder live is missing"
        if self._note.exists():
            return self._note.read_text().strip()
        return ""

    def note_damage(self, damage: str) -> None:
        """Leave a note so that the next open sets the store aside."""
        if not self._note.exists():
            write_durably(self._note, damage + "\n")

    def set_aside(self) -> Path | None:
        """Rename the live folder; give its new name, None when there was none."""
        if not self.live.exists():
            return None
        number = 1
        while (aside := self.root / f"damaged-{number}").exists():
            number += 1
        self.live.rename(aside)
        sync_folder(self.root)
        return aside

    def begin_creating(self, damage: str) -> str:
        """Clear the way for a new store; give the damage text that it must carry.

        Args:
            damage: Why an earlier store was set aside; "" at a first start.
        """
        if self._creating.exists():
            damage = self._creating.read_text() or damage
        write_durably(self._creating, damage)
        if self.live.exists():
            shutil.rmtree(self.live)
        self.live.mkdir()
        return damage

    def end_creating(self) -> None:
        """Declare the new store whole: call once its files are synced."""
        sync_folder(self.database)
        sync_folder(self.live)
        write_durably(self._format, f"{_FORMAT_TEXT}{FORMAT}\n")
        self._creating.unlink()
        sync_folder(self.root)


def write_durably(path: Path, text: str) -> None:
    """Write a small file so that it is there whole, or not at all, after a power loss."""
    new = path.with_name(path.name + ".new")
    with new.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a folder's entries durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise ConfigurationError(
            f"the store in {path.parent} is open in another process: "
            "stop that one first, or give this node another data folder"
        ) from error
    return descriptor
