"""A process that is like a node to `anel up` and starts in no time: it answers PING."""

import select
import socket
import tomllib
from pathlib import Path

from anel.cli.node_shell import become


def main() -> None:
    become(run)


def run(arguments: list[str]) -> int:
    """Listen where the settings say, until told to stop or left alone."""
    watched = int(arguments[arguments.index("--watch-fd") + 1])
    settings = tomllib.loads(Path(arguments[arguments.index("--config") + 1]).read_text())
    host, port = settings["listen"]["resp"].split(":")
    with socket.create_server((host, int(port))) as listener:
        while True:
            ready, _, _ = select.select([listener.fileno(), watched], [], [])
            if watched in ready:
                return 0
            connection, _ = listener.accept()
            connection.recv(1024)
            connection.sendall(b"+PONG\r\n")
            connection.close()
