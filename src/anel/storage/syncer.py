"""Who runs a store's fsync: one thread beside the loop, or the simulation's events.

The store decides what a sync covers; a syncer only runs it, and calls `done` on the node's one
thread after `run` has returned (`ImmediateSyncer`: before).
"""

from collections.abc import Callable
from typing import Protocol, TypeAlias

Done: TypeAlias = Callable[[BaseException | None], None]


class Syncer(Protocol):
    """Something that runs blocking work away from the loop, one piece at a time, in order."""

    def run(self, blocking: Callable[[], None], done: Done) -> None:
        """Run `blocking` in the one sync thread, then `done` on the node's thread.

        Args:
            blocking: May take milliseconds; touches no state of the node but the disk.
            done: Gets None, or what `blocking` raised.
        """


class ImmediateSyncer:
    """Sync on the spot: for tests and tools that have no loop."""

    def run(self, blocking: Callable[[], None], done: Done) -> None:
        """Run both at once."""
        try:
            blocking()
        except Exception as error:  # noqa: BLE001  # Whatever it was, it is handed to `done`.
            done(error)
        else:
            done(None)
