"""`anel up --detach`: the ring goes on behind the terminal, the command returns when it serves.

The command forks; the child leaves the terminal's session and runs the ring, the parent waits
for the child's one message (what to show, and whether all is well) and ends.
"""

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

from anel.cli.failures import EXIT_FAILED, EXIT_WELL
from anel.cli.up import serve, teller, write
from anel.cli.up_options import UpOptions
from anel.errors import AnelError


def run_detached(options: UpOptions, started_at: float) -> int:
    """Start the ring in a process of its own; give the exit code of the waiting command."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _be_the_ring(options, started_at, writer)
    os.close(writer)
    try:
        return _wait(reader)
    except KeyboardInterrupt:
        os.kill(child, signal.SIGTERM)
        write("the ring is told to stop before it served")
        return EXIT_FAILED


def _wait(reader: int) -> int:
    received = bytearray()
    while chunk := os.read(reader, 65_536):
        received += chunk
    if not received:
        write("the ring ended before it served; `anel up` without --detach shows why")
        return EXIT_FAILED
    message = json.loads(received)
    if message["failed"]:
        sys.stderr.write(message["text"] + "\n")
        return EXIT_FAILED
    write(message["text"])
    return EXIT_WELL if message["all_up"] else EXIT_FAILED


def _be_the_ring(options: UpOptions, started_at: float, writer: int) -> NoReturn:
    code = EXIT_FAILED
    try:
        os.setsid()
        _point_to_nowhere(0)
        code = _run_ring(options, started_at, writer)
    finally:
        os._exit(code)


def _run_ring(options: UpOptions, started_at: float, writer: int) -> int:
    log = Path(options.data) / "up.log"
    served = False
    tell = teller(options)

    def show(text: str, all_up: bool) -> None:  # noqa: FBT001
        nonlocal served
        served = True
        # Whoever reads the command's output must see its end when the command ends.
        _point_to_nowhere(1)
        _point_to_nowhere(2)
        _send(writer, text, all_up=all_up)

    def say(line: str) -> None:
        if not served:
            tell(line)
        with contextlib.suppress(OSError), log.open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {line}\n")

    try:
        return serve(options, started_at, show=show, say=say)
    except AnelError as error:
        if served:
            say(str(error))
        else:
            _send(writer, str(error), failed=True)
        return EXIT_FAILED


def _send(writer: int, text: str, *, all_up: bool = False, failed: bool = False) -> None:
    message = json.dumps({"text": text, "all_up": all_up, "failed": failed}).encode()
    with contextlib.suppress(BrokenPipeError), os.fdopen(writer, "wb") as pipe:
        pipe.write(message)


def _point_to_nowhere(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
