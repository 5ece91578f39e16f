"""Nodes of an earlier `anel up` on the same folder that still run although it is gone.

They stop by themselves when it dies; this waits for those that are not done, and ends those
that cannot (a stopped process, say), so that nothing left behind keeps a ring from starting.
"""

import contextlib
import os
import signal
import time
from typing import Any

from anel.cli.data_folder import DataFolder
from anel.cli.ports import command_of
from anel.cli.up import Say

PATIENCE_SECONDS = 3.0
STEP_SECONDS = 0.01


def clear(ring: dict[str, Any], folder: DataFolder, say: Say) -> None:
    """Wait until no node of this folder runs; after a few seconds end those that still do."""
    left = _running(ring, folder)
    if not left:
        return
    names = ", ".join(f"node {node} (process {pid})" for node, pid in left)
    say(f"waiting for nodes of an earlier run that are still stopping: {names}")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while left and time.monotonic() < deadline:
        time.sleep(STEP_SECONDS)
        left = _running(ring, folder)
    for node, pid in left:
        say(f"node {node} of an earlier run (process {pid}) did not stop: killed with -9")
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    while _running(ring, folder):
        time.sleep(STEP_SECONDS)


def _running(ring: dict[str, Any], folder: DataFolder) -> list[tuple[int, int]]:
    return [
        (node["node"], node["pid"])
        for node in ring["nodes"]
        if node.get("pid") and is_node(node["pid"], folder, node["node"])
    ]


def is_node(pid: int, folder: DataFolder, node: int) -> bool:
    """Tell whether a process id is still that node's: its command line names its settings."""
    return str(folder.node_folder(node) / "anel.toml") in command_of(pid, shortened=False)
