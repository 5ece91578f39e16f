"""One node of `anel up --in-process`: all nodes share one loop in a second thread."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from anel.config import load
from anel.errors import AnelError
from anel.runtime.server import NodeServer
from anel.testing.log_tap import LogTap
from anel.testing.loop_thread import LoopThread

DRAIN_SECONDS = 3.0


class NodeThread:
    """A node beside `anel up` in the same process."""

    def __init__(self, number: int, folder: Path, rest: "InProcess") -> None:
        self._number = number
        self._folder = folder
        self._rest = rest
        self._server: NodeServer | None = None
        self._how = ""
        self.pid: int | None = None

    def load(self) -> None:
        """Nothing is to be got ready."""

    def let_go(self) -> None:
        """Nothing was got ready."""

    def start(self) -> None:
        """Start the node; it is watched through its doors."""
        self.pid = os.getpid()
        self._rest.begin(self._number, self._start)

    def drain(self) -> None:
        """Let what is under way end, then stop."""
        self._rest.begin(self._number, self._drain)

    def kill(self) -> None:
        """End without any flush."""
        self._rest.begin(self._number, self._kill)

    def pause(self) -> None:
        """Be silent with all connections open."""
        self._rest.begin(self._number, self._pause)

    def resume(self) -> None:
        """Go on."""
        self._rest.begin(self._number, self._resume)

    def ended(self) -> str | None:
        """Say how the node ended, once; None while it runs."""
        if not self._how:
            return None
        how, self._how, self.pid = self._how, "", None
        return how

    async def _start(self) -> None:
        try:
            config = load(self._folder / "anel.toml")
            self._server = NodeServer(config, self._rest.thread.loop, on_fatal=self._fatal)
            await self._server.start()
        except AnelError as error:
            self._has_ended(f"did not start: {error}")

    async def _drain(self) -> None:
        if self._server is not None:
            self._server.resume()
            await self._server.drain(DRAIN_SECONDS)
            self._server.stop()
        self._has_ended("ended")

    async def _kill(self) -> None:
        if self._server is not None:
            self._server.kill()
        self._has_ended("was killed")

    async def _pause(self) -> None:
        if self._server is not None:
            self._server.pause()

    async def _resume(self) -> None:
        if self._server is not None:
            self._server.resume()

    def _fatal(self, error: BaseException) -> None:
        self._has_ended(f"cannot go on: {error}")

    def _has_ended(self, how: str) -> None:
        self._server = None
        self._how = how
        self._rest.wake()


class InProcess:
    """What the nodes of one process share: their loop, their logs, who watches them."""

    def __init__(self, folders: list[Path]) -> None:
        self.thread = LoopThread("anel nodes")
        self.wake: Callable[[], None] = _nobody
        self._logs = [(folder / "anel.log").open("a", encoding="utf-8") for folder in folders]
        self.tap = LogTap(len(folders), also=self._write)

    def begin(self, number: int, steps: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Begin something of a node on the nodes' loop."""

        async def speaking() -> None:
            self.tap.speaking(number)
            await steps()

        asyncio.run_coroutine_threadsafe(speaking(), self.thread.loop)

    def close(self) -> None:
        """End the loop and the logs."""
        self.thread.close()
        self.tap.close()
        for log in self._logs:
            log.close()

    def _write(self, node: int, line: str) -> None:
        self._logs[node].write(line + "\n")
        self._logs[node].flush()


def _nobody() -> None:
    """Nobody watches yet."""
