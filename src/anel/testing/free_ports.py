"""Free ports that stay ours while a node is down, so that rings never get in each other's way.

A bound socket that does not listen keeps its port from being given to anyone who asks for a
free one, in any process; a listener that names the port may still have it (both say
SO_REUSEADDR). Linux does so. Elsewhere a port is let go at once and very likely stays free.
"""

import socket
import sys

HOST = "127.0.0.1"


class FreePorts:
    """Takes free ports and holds them until `close`."""

    def __init__(self) -> None:
        self._held: list[socket.socket] = []

    def take(self) -> int:
        """Take one more port."""
        holder = socket.socket()
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((HOST, 0))
        port = int(holder.getsockname()[1])
        self._held.append(holder)
        return port

    def ready(self) -> None:
        """Let nodes listen on what was taken."""
        if sys.platform != "linux":
            self.close()

    def close(self) -> None:
        """Let all ports go."""
        for holder in self._held:
            holder.close()
        self._held.clear()
