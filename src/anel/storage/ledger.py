"""The side file that says how far the disk had got: what RocksDB's recovery does not check.

After each fsync it takes the sequence number that the fsync covered, and the manifest's size.
RocksDB opens without complaint when its last commit log or the manifest's end is gone; what it
then holds lies below this file. Two slots are written in turn, so a torn write spoils one::

    slot = magic(8) count(8) sequence(8) manifest(8) manifest_size(8) crc32(4)     at 0 and 512

Source: CORRECTNESS 6.
"""

import os
import zlib
from pathlib import Path
from struct import Struct
from typing import NamedTuple

_MAGIC = b"ANELSYN1"  # On disk since format 1: never change.
_SLOT = Struct(">8sQQQQ")
_CRC = Struct(">I")
_SLOT_STRIDE = 512  # A disk sector: slots never share one.
SYNC_PERIOD_NS = 1_000_000_000  # Of the ledger itself; a fsync of each write would double them.


class Mark(NamedTuple):
    """How far the disk had got.

    Attributes:
        number: Of this mark, ascending.
        sequence: RocksDB's sequence number, all of which had been synced.
        manifest: Number of the manifest file in use.
        manifest_size: Bytes of it that had been synced.
    """

    number: int
    sequence: int
    manifest: int
    manifest_size: int


def read_mark(path: Path) -> Mark | None:
    """Read the latest mark; None when the file is missing or neither slot is whole."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    marks = []
    for at in (0, _SLOT_STRIDE):
        body = data[at : at + _SLOT.size]
        crc = data[at + _SLOT.size : at + _SLOT.size + _CRC.size]
        if body[:8] == _MAGIC and crc == _CRC.pack(zlib.crc32(body)):
            marks.append(Mark._make(_SLOT.unpack(body)[1:]))
    return max(marks, default=None)


def manifest_in_use(database: Path) -> int:
    """Read which manifest CURRENT names; -1 when that cannot be read."""
    try:
        name = (database / "CURRENT").read_text().strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return -1
    number = name.removeprefix("MANIFEST-")
    return int(number) if number.isdecimal() else -1


def manifest_path(database: Path, number: int) -> Path:
    """Name a manifest file."""
    return database / f"MANIFEST-{number:06}"


class Ledger:
    """The open side file of a database just opened. `write` runs in the sync thread only."""

    def __init__(self, path: Path, database: Path) -> None:
        mark = read_mark(path)
        self._database = database
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._count = 0 if mark is None else mark.number
        self._synced_ns: int | None = None
        self._folder_mtime_ns = -1
        self._manifest = -1
        self._manifest_size = -1

    def write(self, sequence: int, now_ns: int) -> None:
        """Note that everything up to this sequence number has been synced."""
        self._look_at_manifest()
        self._count += 1
        body = _SLOT.pack(_MAGIC, self._count, sequence, self._manifest, self._manifest_size)
        slot = body + _CRC.pack(zlib.crc32(body))
        os.pwrite(self._file, slot, (self._count & 1) * _SLOT_STRIDE)
        if self._synced_ns is None or now_ns - self._synced_ns >= SYNC_PERIOD_NS:
            self._synced_ns = now_ns
            os.fsync(self._file)

    def sync(self) -> None:
        """Make the last mark durable."""
        os.fsync(self._file)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _look_at_manifest(self) -> None:
        # A new manifest changes the folder; reading CURRENT each time would cost too much.
        mtime_ns = self._database.stat().st_mtime_ns
        if mtime_ns != self._folder_mtime_ns:
            self._folder_mtime_ns = mtime_ns
            self._manifest = manifest_in_use(self._database)
        path = manifest_path(self._database, self._manifest)
        try:
            size = path.stat().st_size
            if size != self._manifest_size and self._synced_ns is not None:
                _sync_file(path)  # Else a power loss could leave less of it than we claim.
            self._manifest_size = size
        except FileNotFoundError:  # Replaced this instant: the next sync looks again.
            self._folder_mtime_ns = -1
            self._manifest_size = 0


def _sync_file(path: Path) -> None:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
