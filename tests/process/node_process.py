"""A node's process as tests start it: ports of its own choice, its voice kept."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.process.waiting import wait_until

SOURCES = Path(__file__).parents[2] / "src"
SETTINGS = """\
cluster_name = "process"
data = "node"
node_id = "{node:032x}"
[listen]
resp = "127.0.0.1:0"
http = "127.0.0.1:0"
internode = "127.0.0.1:{internode}"
cql = "off"
[[initial_ring]]
node_id = "{node:032x}"
address = "127.0.0.1:{internode}"
tokens = [0]
"""


class NodeProcess:
    """One process of `python -m anel.runtime.process`; killed at the end whatever happens."""

    def __init__(self, folder: Path, *flags: str, internode: int, arguments: list[str]) -> None:
        self.folder = folder
        self.voice = folder / "voice"
        config = folder / "anel.toml"
        config.write_text(SETTINGS.format(node=7, internode=internode))
        command = [sys.executable, *flags, "-P", "-m", "anel.runtime.process"]
        descriptors = [int(word) for word in arguments if word.isdecimal() and int(word) < 100]
        with self.voice.open("ab") as voice:
            self.process = subprocess.Popen(
                [*command, "--config", str(config), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=voice,
                stderr=voice,
                pass_fds=descriptors,
                env={**os.environ, "PYTHONPATH": str(SOURCES)},
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def said(self) -> str:
        """What the processes of this folder have printed so far."""
        return self.voice.read_text()

    @property
    def log(self) -> str:
        """What it logged."""
        path = self.folder / "node" / "anel.log"
        return path.read_text() if path.exists() else ""

    def address(self, door: str) -> tuple[str, int]:
        """Wait until the node serves; tell where a door listens."""
        wait_until(lambda: "serves" in self.said or self.process.poll() is not None)
        assert self.process.poll() is None, self.said + self.log
        line = [line for line in self.said.splitlines() if "serves" in line][-1]
        place = next(word for word in line.split() if word.startswith(door + "="))
        host, _, port = place.removeprefix(door + "=").rpartition(":")
        return host, int(port)

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        self.process.send_signal(number)

    def ended(self, within_s: float = 6.0) -> int:
        """Wait for its end; give the exit code."""
        return self.process.wait(within_s)
