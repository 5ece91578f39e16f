"""The process that the crash harness kills: it writes rows and logs what it promised.

Log lines, in the order in which things became true::

    W number          the row was handed to the store
    S name=size ...   a sync has ended that covers these bytes of each commit log
    A number          the row was acknowledged

    F why             the store refused a write as DiskFailed; the process ends

Arguments: the store's folder, the log's path, mode, a seed, bytes per value, rows. Modes:
honest; early acknowledges before the sync, a planted bug that the harness must catch; full has
a disk on which no file may pass a megabyte.
"""

import os
import resource
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from random import Random
from typing import TypeAlias

from anel.data import mutation, row
from anel.errors import DiskFailed
from anel.storage.rocks import RocksStore
from anel.storage.syncer import Done

TABLE = b"T" * 16
IN_FLIGHT = 8
Job: TypeAlias = tuple[Callable[[], None], Done]


def put(number: int, value: bytes) -> bytes:
    """Make the mutation of a numbered row; its value begins with the number."""
    value = b"%d:" % number + value
    token = (number * 0x9E3779B97F4A7C15) % (1 << 64) - (1 << 63)
    prefix = mutation.prefix_of(TABLE, token, b"row-%06d" % number)
    entries = row.encode([row.cell(b"value", value, number + 1)])
    return mutation.one_row(number + 1, prefix, mutation.ROW, entries)


class Writer:
    """Write rows with several in flight; a syncer of its own thread."""

    def __init__(self, log: Path, *, early: bool) -> None:
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._early = early
        self._jobs: SimpleQueue[Job] = SimpleQueue()
        self._ended: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.in_flight = 0
        self.database = Path()

    def run(self, blocking: Callable[[], None], done: Done) -> None:
        """Be the store's syncer."""
        if self._early:
            self._ended.put(lambda: done(None))
            self._jobs.put((blocking, lambda _: None))
        else:
            self._jobs.put((blocking, done))

    def sync_for_ever(self) -> None:
        """Be the sync thread."""
        while True:
            blocking, done = self._jobs.get()
            sizes = {log.name: log.stat().st_size for log in self.database.glob("*.log")}
            blocking()
            self.say("S " + " ".join(f"{name}={size}" for name, size in sizes.items()))
            self._ended.put(lambda done=done: done(None))  # type: ignore[misc]

    def say(self, line: str) -> None:
        """Add a line to the log, whole."""
        os.write(self._log, line.encode() + b"\n")

    def write(self, store: RocksStore, number: int, value: bytes) -> None:
        """Write one row, once there is room in flight."""
        while self.in_flight >= IN_FLIGHT:
            self.take()
        self.say(f"W {number}")
        store.apply(put(number, value))
        self.in_flight += 1

        def acked() -> None:
            self.in_flight -= 1
            self.say(f"A {number}")

        store.when_durable(acked)

    def take(self) -> None:
        """Run what a finished sync asks for, as a loop would."""
        try:
            self._ended.get(timeout=10)()
        except Empty:
            sys.exit("the sync thread is gone")


def die(error: BaseException) -> None:
    """End the process as a failed fsync must."""
    sys.stderr.write(f"fatal: {error}\n")
    os._exit(70)


def main(folder: str, log: str, mode: str, *numbers: str) -> None:
    """Write until killed, or all rows."""
    seed, value_bytes, rows = map(int, numbers)
    random = Random(seed)
    if mode == "full":
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    writer = Writer(Path(log), early=mode == "early")
    store = RocksStore.open(Path(folder), syncer=writer, now_ns=time.monotonic_ns, fatal=die)
    writer.database = Path(folder) / "live/db"
    threading.Thread(target=writer.sync_for_ever, daemon=True).start()
    try:
        for number in range(rows):
            writer.write(store, number, random.randbytes(value_bytes))
            if number % 50 == 0:
                store.put_meta(b"clock", b"%d" % number)
            if number % 10 == 0:
                store.work(time.monotonic_ns() + 100_000)
        while writer.in_flight:
            writer.take()
    except DiskFailed as error:
        writer.say(f"F {error}")
    os._exit(0)  # As everywhere here: no orderly end.


if __name__ == "__main__":
    main(*sys.argv[1:])
