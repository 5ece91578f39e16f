"""The event loop of a node process: uvloop where it is installed, asyncio's own elsewhere."""

import asyncio
import sys


def new_event_loop(*, plain: bool = False) -> asyncio.AbstractEventLoop:
    """Make a loop; the thread's and the process's policy stay as they are.

    Args:
        plain: asyncio's own loop, even where uvloop is installed.
    """
    if not plain and sys.platform != "win32":
        try:
            import uvloop
        except ImportError:
            pass
        else:
            return uvloop.new_event_loop()
    return asyncio.new_event_loop()
