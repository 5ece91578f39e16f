"""The process of one node: `python -m anel.runtime.process --config FILE`.

    --watch-fd N   stop when this descriptor, a pipe's reading end, reaches its end
    --parent PID   stop when this process is no longer our parent

SIGTERM, SIGINT and SIGHUP drain and stop within 5 s, a second one stops at once. Whatever the
node cannot go on after (a failed fsync, a broken invariant) ends the process with a line in
the log.
"""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anel.config import NodeConfig, load
from anel.errors import AnelError
from anel.runtime.listener import Connection
from anel.runtime.loop import new_event_loop
from anel.runtime.server import NodeServer

DRAIN_S = 3.0  # Well within the 5 s that a stop may take.
PARENT_PERIOD_S = 0.5
SETTLE_S = 0.25  # After the doors open: then the start's garbage is collected once.
EXIT_WELL, EXIT_FAILED, EXIT_USAGE = 0, 1, 2

log = logging.getLogger("anel.process")


class NodeProcess:
    """Runs one node until it is told to stop or cannot go on."""

    def __init__(self, config: NodeConfig, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._server = NodeServer(config, loop, on_fatal=self._cannot_go_on)
        self._stopping = asyncio.Event()
        self._is_hurried = False
        self._exit = EXIT_WELL

    async def run(self) -> int:
        """Serve, then stop; give the exit code."""
        self._loop.set_exception_handler(self._on_exception)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._loop.add_signal_handler(number, self.stop, signal.Signals(number).name)
        try:
            await self._server.start()
        except AnelError as error:
            log.critical("node does not start: %s", error)
            _tell(f"anel: {error}")
            return EXIT_FAILED
        settling = self._loop.create_task(self._settle())
        await self._stopping.wait()
        settling.cancel()
        if self._server.is_running and not self._is_hurried:
            await self._drain()
        self._server.stop()
        await asyncio.sleep(0)  # Connections close.
        return self._exit

    def stop(self, why: str) -> None:
        """Drain and stop; when called again, stop at once."""
        if self._stopping.is_set():
            log.warning("stops at once because=%s", why)
            self._is_hurried = True
        else:
            log.info("stops because=%s", why)
            self._stopping.set()

    def watch_descriptor(self, descriptor: int) -> None:
        """Stop when a pipe's other end closes: whoever holds it has died."""
        os.set_blocking(descriptor, False)

        def look() -> None:
            with contextlib.suppress(BlockingIOError):
                if not os.read(descriptor, 64):
                    self._loop.remove_reader(descriptor)
                    self.stop("the process that started it has ended")

        self._loop.add_reader(descriptor, look)

    def watch_parent(self, parent: int) -> None:
        """Stop when another process than `parent` has become our parent."""
        if os.getppid() == parent:
            self._loop.call_later(PARENT_PERIOD_S, self.watch_parent, parent)
        else:
            self.stop("the process that started it has ended")

    async def _settle(self) -> None:
        await self._server.serving()
        addresses = self._server.addresses
        _tell("anel: serves " + " ".join(f"{d}={h}:{p}" for d, (h, p) in addresses.items()))
        await asyncio.sleep(SETTLE_S)
        # What the start made stays for good: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 50)
        gc.enable()

    async def _drain(self) -> None:
        drained = self._loop.create_task(self._server.drain(DRAIN_S))
        while not drained.done() and not self._is_hurried:
            await asyncio.wait({drained}, timeout=0.05)
        if self._is_hurried:
            drained.cancel()
        elif not drained.result():
            log.warning("requests were cut off after seconds=%.1f", DRAIN_S)

    def _cannot_go_on(self, error: BaseException) -> None:
        _tell(f"anel: the node cannot go on: {error}")
        self._exit = EXIT_FAILED
        self._is_hurried = True
        self._stopping.set()

    def _on_exception(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Lose a client's connection that met a fault of ours; end the node for all else."""
        error = context.get("exception")
        if error is None or isinstance(error, OSError):
            log.warning("loop: %s", context.get("message"), exc_info=error)
            return
        is_client = isinstance(context.get("protocol"), Connection)
        if is_client and not isinstance(error, AssertionError):
            log.error("a client's connection met a fault of Anel", exc_info=error)
            return
        log.critical("a fault of Anel: %s", context.get("message"), exc_info=error)
        self._cannot_go_on(error)


def main(argv: Sequence[str]) -> int:
    """Run one node; give the exit code.

    Args:
        argv: The process's arguments without the program's name.
    """
    if not __debug__:
        _tell("anel: python -O removes the checks that keep data safe: run without it")
        return EXIT_USAGE
    options = _options(argv)
    path = options.get("--config")
    if path is None:
        _tell(
            "usage: python -m anel.runtime.process --config FILE [--watch-fd N] [--parent PID]"
        )
        return EXIT_USAGE
    gc.disable()  # Until the node has settled: nothing of a start is garbage.
    try:
        config = load(Path(path), os.environ)
    except AnelError as error:
        _tell(f"anel: {error}")
        return EXIT_USAGE
    log_to(Path(config.data) / "anel.log")
    loop = new_event_loop()
    process = NodeProcess(config, loop)
    if "--watch-fd" in options:
        process.watch_descriptor(int(options["--watch-fd"]))
    if "--parent" in options:
        process.watch_parent(int(options["--parent"]))
    try:
        return loop.run_until_complete(process.run())
    except Exception:  # The top of the process: the log says why, the exit code that.
        log.critical("a fault of Anel", exc_info=True)
        raise
    finally:
        loop.close()
        logging.shutdown()


def log_to(path: Path) -> None:
    """Send the log of this process to a file, one line of plain text per event."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, mode="a", encoding="utf-8")
    form = logging.Formatter(
        "%(asctime)s.%(msecs)03dZ level=%(levelname)s part=%(name)s %(message)s",
        "%Y-%m-%dT%H:%M:%S",
    )
    form.converter = time.gmtime
    handler.setFormatter(form)
    root = logging.getLogger("anel")
    root.setLevel(logging.INFO)
    root.propagate = False
    root.addHandler(handler)


def _options(argv: Sequence[str]) -> dict[str, str]:
    """Read --name value pairs; argparse would take 20 ms of the start."""
    return dict(zip(argv[::2], argv[1::2], strict=False))


def _tell(text: str) -> None:
    with contextlib.suppress(OSError):  # Nobody listens any more.
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - The process's own voice.


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
