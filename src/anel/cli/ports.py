"""The ports of a ring on one machine: which they are, whether they are free, who holds one.

    node k:  RESP 6379 + k    HTTP 8500 + k    between nodes 7000 + k
             CQL 9042 + k     DynamoDB 8000 + k                            all plus an offset

CQL's and DynamoDB's are reserved: nothing listens there yet, but they are tried with the
others, so that a ring keeps its ports when those doors open.
"""

import os
import socket
from collections.abc import Iterator

from anel.cli.failures import PortTaken
from anel.cli.up_options import OFFSET_MAX

HOST = "127.0.0.1"
BASES = {"resp": 6379, "http": 8500, "internode": 7000, "cql": 9042, "dynamodb": 8000}
OFFSET_STEP = 100


def port_of(door: str, node: int, offset: int) -> int:
    """Give the port of a node's door."""
    return BASES[door] + node + offset


def all_ports(nodes: int, offset: int) -> Iterator[int]:
    """List every port of a ring."""
    for door in BASES:
        for node in range(nodes):
            yield port_of(door, node, offset)


def choose_offset(nodes: int, wanted: int | None) -> tuple[int, str]:
    """Find an offset at which every port of the ring is free.

    Args:
        nodes: How many nodes the ring has.
        wanted: The offset that was asked for, or None for the first free one.

    Returns:
        The offset, and what to say when it is not the default (empty otherwise).

    Raises:
        PortTaken: A port of the wanted offset is taken, or no offset is free.
    """
    taken = first_taken(nodes, wanted or 0)
    if taken is None:
        return wanted or 0, ""
    who = holder(taken)
    if wanted is not None:
        raise PortTaken(
            f"port {taken} (needed with --port-offset {wanted}) is taken by {who}; stop it, or "
            "leave --port-offset out and the next free offset is taken"
        )
    for offset in range(OFFSET_STEP, OFFSET_MAX + 1, OFFSET_STEP):
        if first_taken(nodes, offset) is None:
            return offset, f"port {taken} is taken by {who}: every port is moved up by {offset}"
    raise PortTaken(f"port {taken} is taken by {who}, and no other offset is free; stop it")


def first_taken(nodes: int, offset: int) -> int | None:
    """Try every port of a ring; give the first that cannot be listened on."""
    for port in all_ports(nodes, offset):
        if not is_free(port):
            return port
    return None


def is_free(port: int) -> bool:
    """Tell whether a node could listen on this port now."""
    with socket.socket() as listener:
        # As the node's own listener does: a connection that lingers after close is no obstacle.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
            listener.listen(1)
        except OSError:
            return False
    return True


def holder(port: int) -> str:
    """Name the process that listens on a port, as far as this user may know it."""
    inodes = set(_listening_inodes(port))
    try:
        pids = [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    except OSError:
        return f"another process (lsof -i :{port} may name it)"
    for pid in sorted(pids):
        if inodes & set(_socket_inodes(pid)):
            return f"process {pid} ({command_of(pid)})"
    return f"a process of another user (sudo ss -tlnp sport = :{port} names it)"


def command_of(pid: int, *, shortened: bool = True) -> str:
    """Give a process's command line."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read(4096).decode("utf-8", "replace").split("\0")
    except OSError:
        return "unknown"
    text = " ".join(word for word in words if word)
    return text[:67] + "..." if shortened and len(text) > 70 else text


def _listening_inodes(port: int) -> Iterator[str]:
    """Read the kernel's socket tables: local address, state 0A (listen), inode."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table, encoding="ascii") as file:
                rows = file.read().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            if fields[3] == "0A" and fields[1].endswith(f":{port:04X}"):
                yield fields[9]


def _socket_inodes(pid: int) -> Iterator[str]:
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        try:
            target = os.readlink(f"{folder}/{name}")
        except OSError:
            continue
        if target.startswith("socket:["):
            yield target[8:-1]
