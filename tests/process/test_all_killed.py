"""All nodes are killed with -9 at once, under load: every acknowledged write is there after.

The page cache outlives the processes; what a power loss leaves is for test_crash_harness.py.

Source: CORRECTNESS 5.
"""

import os
import signal
from functools import partial
from pathlib import Path

from tests.process.evidence import by_length, tell
from tests.process.live_ring import addresses, all_are_up, differences, is_at_rest, started
from tests.process.load import LOST, Load
from tests.process.up_process import UpProcess, anel
from tests.process.waiting import wait_until

ROUNDS = by_length(2, 8)
WRITES = by_length(300, 2000)
PATIENCE_MS = 60_000


def has_acknowledged(load: Load, count: int) -> bool:
    return load.acknowledged >= count


def kill_all(up: UpProcess) -> None:
    for pid in [up.pid(node) for node in range(3)]:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(up.pid(node) for node in range(3)))


def test_every_acknowledged_write_outlives_the_kill_of_all_nodes(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with started(data, 3) as up:
        wait_until(lambda: all_are_up(up), within_ms=PATIENCE_MS)
        with Load(addresses(up)) as load:
            for _ in range(ROUNDS):
                count = load.acknowledged + WRITES
                wait_until(partial(has_acknowledged, load, count), within_ms=PATIENCE_MS)
                kill_all(up)
                for node in range(3):
                    assert anel("start", str(node), "--data", str(data)).returncode == 0
        wait_until(lambda: all_are_up(up), within_ms=PATIENCE_MS)
        count = max(load.read_back(node) for node in range(3))
        assert not load.wrong, load.wrong[:5]
        wait_until(lambda: is_at_rest(up), within_ms=PATIENCE_MS)
        load.read_back(0)
        assert not load.wrong, load.wrong[:5]
    records, leaves, rows = differences(data, 3)
    lost = sum(trouble.code == LOST for trouble in load.troubles)
    tell(
        f"all killed: {ROUNDS} times, {load.acknowledged} writes acknowledged, {lost} requests "
        f"lost with their connection, {len(load.troubles) - lost} refused or timed out while "
        f"nodes came back, {count} keys read back from each node, {records} records on each, "
        f"{leaves} leaves and {rows} records differ"
    )
    assert (leaves, rows) == (0, 0)
