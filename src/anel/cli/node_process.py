"""One node of `anel up` as a process of its own: started, stopped and signalled here."""

import contextlib
import os
import signal
import sys
from collections.abc import Mapping

from anel.cli.node_shell import WORD

WATCH_FD = 3
ABOVE_STANDARD_FDS = 10
SHELL = "from anel.cli.node_shell import main; main()"
# RocksDB's buffers come and go by the megabyte: glibc is to give them back to the system, and
# not to keep a heap for each of its threads. Costs nothing measurable, saves a tenth of a node.
MALLOC = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "131072"}
VARIABLES_KEPT = ("ANEL_LIMITS_", "ANEL_RESP_")


class NodeProcess:
    """The process of one node, dead or alive.

    The node holds the reading end of a pipe whose other end is here: it stops when that closes,
    so it never outlives `anel up`, not even one that was killed.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._word: int | None = None
        self.pid: int | None = None

    def load(self) -> None:
        """Start the process: it loads its modules and waits for the word."""
        reader, writer = os.pipe()
        source = _moved_up(reader)
        settings = os.path.join(self._folder, "anel.toml")  # pathlib costs 10 ms.
        arguments = ["--config", settings, "--watch-fd", str(WATCH_FD)]
        try:
            self.pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-P", "-c", SHELL, *arguments],
                variables_for_nodes(os.environ),
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, source, WATCH_FD),
                ],
                # A group of its own: Ctrl-C reaches `anel up` alone, which drains the nodes;
                # and when it dies the kernel wakes a paused node, so that it can stop too.
                setpgroup=0,
            )
        finally:
            os.close(source)
        self._word = writer

    def start(self) -> None:
        """Give the word, loading first where that has not been done."""
        if self.pid is None:
            self.load()
        assert self._word is not None
        with contextlib.suppress(BrokenPipeError):  # It died while loading: reaped as such.
            os.write(self._word, WORD)

    def drain(self) -> None:
        """Ask the node to finish what it has begun and stop."""
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)  # A paused node could not hear it.

    def kill(self) -> None:
        """End the process as a power cut of its machine would, but for the disk's cache."""
        self._signal(signal.SIGKILL)

    def pause(self) -> None:
        """Stop the process where it is; its connections stay open and silent."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on."""
        self._signal(signal.SIGCONT)

    def ended(self) -> str | None:
        """Say how the process ended, once; None while it runs."""
        if self.pid is None:
            return None
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid == 0:
            return None
        self.pid = None
        self.let_go()
        code = os.waitstatus_to_exitcode(status)
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"ended with code {code}" if code else "ended"

    def _signal(self, number: signal.Signals) -> None:
        # The process is our child and not waited for yet, so the id is still its own.
        if self.pid is not None:
            os.kill(self.pid, number)

    def let_go(self) -> None:
        """Close the watched pipe: a node that has not had the word goes, another one stops."""
        if self._word is not None:
            os.close(self._word)
            self._word = None


def variables_for_nodes(variables: Mapping[str, str]) -> dict[str, str]:
    """Leave out ANEL_ variables that would give all nodes the same address or folder.

    How memory is given back is added, unless the user has chosen that.
    """
    kept = {
        name: value
        for name, value in variables.items()
        if not name.startswith("ANEL_") or name.startswith(VARIABLES_KEPT)
    }
    return {**MALLOC, **kept}


def _moved_up(fd: int) -> int:
    """Move a descriptor above those that the new process gets, so that none is overwritten."""
    import fcntl

    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, ABOVE_STANDARD_FDS)
    os.close(fd)
    return moved
