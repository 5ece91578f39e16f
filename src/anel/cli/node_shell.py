"""What runs in a node's process of `anel up`: loads its modules, then waits for the word.

Most of the time a node needs to start goes into importing. So `anel up` begins with starting
this shell, on the other core, while it still tries ports and writes settings; the node itself
starts when one byte comes through the watched pipe. If that closes first, nothing was started.
"""

import os
import sys
from collections.abc import Callable

WORD = b"!"


def main() -> None:
    """Load a node's modules and become a node."""
    from anel.runtime.process import main as run_node

    become(run_node)


def become(run: Callable[[list[str]], int]) -> None:
    """Wait for the word, then run; the process's arguments are --config FILE --watch-fd N."""
    arguments = sys.argv[1:]
    watched = int(arguments[arguments.index("--watch-fd") + 1])
    if os.read(watched, 1) != WORD:
        return
    _write_to_log(os.path.dirname(arguments[arguments.index("--config") + 1]))
    sys.exit(run(arguments))


def _write_to_log(folder: str) -> None:
    """Send what is printed (a traceback of the interpreter) where the node logs."""
    log = os.open(
        os.path.join(folder, "anel.log"),  # pathlib costs 10 ms.
        os.O_WRONLY | os.O_CREAT | os.O_APPEND,
        0o644,
    )
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
