"""No ack leaves before the fdatasync that covers its write: seen from outside, by strace.

`sync_order` reads a trace: the write of each row to the commit log, every fsync of that log
from its start to its end, and each ack's write. Here the crash harness's writer is traced.
"""

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.process import crash_writer

pytestmark = pytest.mark.strace

ROWS = 60
_CALL = re.compile(r"^(\d+) +(write|pwrite64|fdatasync|fsync)\(\d+<([^>]*)>(.*)$")
_RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>")
_ROW = re.compile(r"row-(\d{6})")
_ACK = re.compile(r'^, "A (\d+)\\n"')


class Order(NamedTuple):
    """What a trace shows, as line numbers.

    Attributes:
        written: Of the commit-log write of each row.
        acked: Of each row's ack.
        syncs: (start, end) of each successful sync of a commit log.
    """

    written: dict[int, int]
    acked: dict[int, int]
    syncs: list[tuple[int, int]]

    def too_early(self) -> list[int]:
        """List the rows whose ack left before a sync that began after their write had ended."""
        return [
            row
            for row, ack in sorted(self.acked.items())
            if not any(start > self.written[row] and end < ack for start, end in self.syncs)
        ]


def sync_order(lines: Iterable[str]) -> Order:
    """Read `strace -f -y` lines of write, pwrite64, fdatasync and fsync."""
    order = Order({}, {}, [])
    begun: dict[str, int] = {}
    for number, line in enumerate(lines):
        if resumed := _RESUMED.match(line):
            thread, call = resumed.groups()
            if "sync" in call and thread in begun and line.endswith("= 0"):
                order.syncs.append((begun.pop(thread), number))
        elif called := _CALL.match(line):
            thread, call, path, rest = called.groups()
            if path.endswith(".log") and "sync" in call:
                begun[thread] = number
                if rest.endswith("= 0"):
                    order.syncs.append((begun.pop(thread), number))
            elif path.endswith(".log"):
                order.written.update((int(row), number) for row in _ROW.findall(rest))
            elif ack := _ACK.match(rest):
                order.acked[int(ack[1])] = number
    return order


def trace(home: Path, mode: str) -> Order:
    """Run the writer under strace."""
    traced = home / "trace"
    command = ["strace", "-f", "-y", "-s", "300", "-o", str(traced)]
    command += ["-e", "trace=write,pwrite64,fdatasync,fsync"]
    command += [sys.executable, crash_writer.__file__, str(home / "store"), str(home / "acks")]
    subprocess.run([*command, mode, "1", "50", str(ROWS)], check=True, timeout=60)
    return sync_order(traced.read_text().splitlines())


def test_no_ack_leaves_before_the_sync_that_covers_it(tmp_path: Path) -> None:
    order = trace(tmp_path, "honest")
    assert len(order.written) == ROWS
    assert len(order.acked) == ROWS
    assert order.syncs
    assert order.too_early() == []


def test_a_writer_that_acks_early_is_seen(tmp_path: Path) -> None:
    order = trace(tmp_path, "early")
    assert len(order.acked) == ROWS
    assert order.too_early()
