"""`anel up`: a ring of nodes on this machine, from nothing to serving.

    load processes -> lock folder -> read or draw up ring -> try every port -> start -> table

The processes load their modules while this one does the rest, because that is what a start
waits for; they become nodes only when every port has been found free. So this module imports
next to nothing before they run.
"""

import contextlib
import os
import sys
from collections.abc import Callable

from anel.cli.node_process import NodeProcess
from anel.cli.up_options import UpOptions

Say = Callable[[str], None]
Show = Callable[[str, bool], None]


def run_or_tell(options: UpOptions, started_at: float) -> int:
    """Run a ring; tell on standard error why it could not be, and give the exit code."""
    from anel.errors import AnelError

    try:
        return run(options, started_at)
    except AnelError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def run(options: UpOptions, started_at: float) -> int:
    """Run a ring until it is stopped; give the exit code.

    Args:
        options: What was asked.
        started_at: The monotonic time in seconds at which the command began.

    Raises:
        AnelError: It cannot start; the message says why and what to do.
    """
    if options.detach:
        from anel.cli.detach import run_detached

        return run_detached(options, started_at)
    return serve(options, started_at, show=lambda text, _: write(text), say=teller(options))


def serve(options: UpOptions, started_at: float, *, show: Show, say: Say) -> int:
    """Run a ring in this process's foreground.

    Args:
        options: What was asked.
        started_at: The monotonic time in seconds at which the command began.
        show: Takes the table of the ring once it has started, and whether every node is up.
        say: Takes each line that tells what happened to it.
    """
    engines = [] if options.in_process else _load(options)
    from anel.cli.ring_start import start_ring

    try:
        return start_ring(options, engines, started_at, show=show, say=say)
    finally:
        for engine in engines:
            engine.let_go()


def write(text: str) -> None:
    """Write to standard output, which may be a terminal that has been closed."""
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except OSError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115


def teller(options: UpOptions) -> Say:
    """Give what writes a line with its time: to standard error where the output is JSON."""
    import time

    def say(line: str) -> None:
        text = f"{time.strftime('%H:%M:%S')}  {line}"
        if options.json:
            with contextlib.suppress(OSError):
                sys.stderr.write(text + "\n")
        else:
            write(text)

    return say


def _load(options: UpOptions) -> list[NodeProcess]:
    engines = [
        NodeProcess(os.path.join(os.path.abspath(options.data), f"node{node}"))
        for node in range(options.nodes or 1)
    ]
    for engine in engines:
        engine.load()
    return engines
