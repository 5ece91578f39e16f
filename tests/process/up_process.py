"""Runs the command line as a person would, with real nodes or with fast stand-ins."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.process.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
REAL = "from anel.cli.main import main; main()"
STAND_IN = (
    "import anel.cli.node_process as p;"
    "p.SHELL = 'from tests.process.stub_node import main; main()';"
) + REAL


def environment() -> dict[str, str]:
    """Give the environment in which the command line finds this checkout."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("ANEL_")}
    # Compiled once for all processes, also where Python is told to leave no files behind.
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept | {
        "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
        "PYTHONPYCACHEPREFIX": str(ROOT / ".pytest_cache" / "compiled"),
        "COLUMNS": "100",
    }


def anel(*arguments: str, stand_in: bool = False) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-c", STAND_IN if stand_in else REAL, *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


# Whoever ends the tests by force ends the rings that they run: PR_SET_PDEATHSIG is 1.
WITH_US = "import ctypes, signal; ctypes.CDLL(None).prctl(1, signal.SIGTERM);"


class UpProcess:
    """A running `anel up`; leaving the block stops it and all its nodes."""

    def __init__(
        self,
        data: Path,
        *arguments: str,
        stand_in: bool = False,
        variables: dict[str, str] | None = None,
    ) -> None:
        self.data = data
        self._log = (data.parent / f"{data.name}.up").open("w+", encoding="utf-8")
        code = WITH_US + (STAND_IN if stand_in else REAL)
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, "up", "--data", str(data), *arguments],
            env=environment() | (variables or {}),
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        wait_until(self.has_started, within_ms=20_000)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _: TracebackType | None,
    ) -> None:
        pids = [node["pid"] for node in self.ring()["nodes"] if node["pid"]]
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(8)
            self.process.kill()
        self.process.wait()
        if error is not None:
            sys.stderr.write(self.output)
            for log in sorted(self.data.glob("node*/anel.log")):
                sys.stderr.write(f"--- {log.parent.name}\n{log.read_text()[-3000:]}\n")
        self._log.close()
        wait_until(lambda: not any(is_running(pid) for pid in pids))

    @property
    def output(self) -> str:
        """What it has written so far."""
        return (self.data.parent / f"{self.data.name}.up").read_text()

    def ring(self) -> dict[str, Any]:
        """Read ring.json."""
        ring: dict[str, Any] = json.loads((self.data / "ring.json").read_text())
        return ring

    def has_started(self) -> bool:
        """Tell whether it has shown its table."""
        assert self.process.poll() is None, self.output
        return "  stop      " in self.output or '"ready_seconds"' in self.output

    def pid(self, node: int) -> int:
        """Give a node's process id; 0 while it is stopped."""
        return self.ring()["nodes"][node]["pid"] or 0

    def port(self, node: int, door: str = "resp") -> int:
        """Give a port of a node."""
        return int(self.ring()["nodes"][node][door].rpartition(":")[2])


def is_running(pid: int) -> bool:
    """Tell whether a process is there and not merely waiting to be reaped."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
