"""The ring that the demo runs on: the one that runs in ./data, or a fresh one of its own."""

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ANEL = str(Path(sys.executable).with_name("anel"))
POLL_S = 0.1


class CommandFailed(Exception):  # noqa: N818 - what happened, as in anel.errors.
    """A command of `anel` failed; holds what it said."""


def anel(*arguments: str) -> str:
    """Run a command of `anel` and give what it printed.

    Raises:
        CommandFailed: It failed.
    """
    answer = subprocess.run([ANEL, *arguments], capture_output=True, text=True, check=False)
    if answer.returncode != 0 and "--json" not in arguments:
        raise CommandFailed(f"anel {' '.join(arguments)}: {answer.stderr or answer.stdout}")
    return answer.stdout


@dataclass(frozen=True)
class DemoRing:
    """A ring that `anel up` runs, spoken to as a person would: by the command line."""

    data: str
    is_fresh: bool

    def status(self) -> dict[str, Any]:
        """Ask what `anel status` knows.

        Raises:
            CommandFailed: No node answers.
        """
        text = anel("status", "--json", "--data", self.data)
        if not text.startswith("{"):
            raise CommandFailed(f"no ring answers in {self.data}")
        answer: dict[str, Any] = json.loads(text)
        return answer

    def addresses(self) -> list[tuple[str, int]]:
        """List the Redis doors, node 0 first."""
        ring = json.loads((Path(self.data) / "ring.json").read_text())
        where = [node["resp"].rpartition(":") for node in ring["nodes"]]
        return [(host, int(port)) for host, _, port in where]

    def kill(self, node: int) -> None:
        """Kill a node with -9."""
        anel("kill", str(node), "--data", self.data)

    def start(self, node: int) -> None:
        """Start a node that was killed."""
        anel("start", str(node), "--data", self.data)

    def wait_in_sync(self, within_s: float) -> float | None:
        """Wait until every node is up, in sync, without hints; tell the seconds it took."""
        started = time.monotonic()
        while time.monotonic() - started < within_s:
            with contextlib.suppress(CommandFailed):
                nodes = self.status()["nodes"]
                if all(n["state"] == "up" and n["in_sync"] and n["hints"] == 0 for n in nodes):
                    return time.monotonic() - started
            time.sleep(POLL_S)
        return None


@contextlib.contextmanager
def found_or_fresh(data: str, nodes: int) -> Iterator[DemoRing]:
    """Take the ring that runs in a folder, or run a fresh one that is removed at the end."""
    running = DemoRing(data, is_fresh=False)
    with contextlib.suppress(CommandFailed, OSError, ValueError):
        if (Path(data) / "ring.json").exists() and len(running.status()["nodes"]) >= nodes:
            yield running
            return
    with tempfile.TemporaryDirectory(prefix="anel-demo-") as folder:
        fresh = DemoRing(f"{folder}/data", is_fresh=True)
        anel("up", "--nodes", str(nodes), "--detach", "--data", fresh.data)
        try:
            yield fresh
        finally:
            anel("down", "--data", fresh.data)
