"""`anel down`: stops the ring of a data folder, and on request deletes it."""

import contextlib
import shutil
import sys
from typing import Any

from anel.cli.control import tell
from anel.cli.data_folder import DataFolder
from anel.cli.failures import EXIT_FAILED, EXIT_WELL, CommandFailed, NothingRuns
from anel.cli.screen import emit
from anel.cli.up import write

OWN_FILES = ("ring.json", "ring.json.new", "up.lock", "up.sock", "up.log")


def down(data: str, *, delete_data: bool, yes: bool, as_json: bool = False) -> int:
    """Stop the ring; give the exit code."""
    folder = DataFolder(data)
    if folder.read() is None:
        raise NothingRuns(f"there is no ring in {folder.path}; say where it is with --data DIR")
    if delete_data and not yes and not _agreed(folder):
        write("nothing was stopped or deleted")
        return EXIT_FAILED
    done = [_stop(folder)]
    if delete_data:
        _delete(folder)
        done.append("its data is deleted")
    answer: dict[str, Any] = {
        "data": str(folder.path),
        "deleted": delete_data,
        "text": "; ".join(done),
    }
    emit(answer, as_json=as_json, text=lambda: str(answer["text"]))
    return EXIT_WELL


def _stop(folder: DataFolder) -> str:
    try:
        tell(folder, {"do": "stop"})
    except NothingRuns:
        if folder.is_locked():
            raise
        return f"no ring runs on {folder.path}"
    return f"the ring in {folder.path} has stopped"


def _agreed(folder: DataFolder) -> bool:
    if not sys.stdin.isatty():
        raise CommandFailed(
            "--delete-data asks first, and there is no terminal to ask at; --yes goes ahead"
        )
    sys.stdout.write(f"Stop the ring in {folder.path} and delete all its data? [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _delete(folder: DataFolder) -> None:
    """Delete what `anel up` made and nothing else: the folder may hold a person's own files."""
    ring = folder.read() or {"nodes": []}
    folder.lock()
    try:
        for node in ring["nodes"]:
            shutil.rmtree(folder.node_folder(node["node"]), ignore_errors=False)
        for name in OWN_FILES:
            with contextlib.suppress(FileNotFoundError):
                (folder.path / name).unlink()
    except OSError as error:
        raise CommandFailed(f"not all could be deleted: {error}; try again") from error
    finally:
        folder.unlock()
    with contextlib.suppress(OSError):  # Kept when it holds files of others.
        folder.path.rmdir()
