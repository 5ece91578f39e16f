"""The servers under test: a ring started by `anel up`, and redis-server."""

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parent.parent
START_WAIT_S = 30
STOP_WAIT_S = 10
PORTS = (6379, 7000, 8000, 8500, 9042)  # What `anel up` adds its offset to.
PING = b"*1\r\n$4\r\nPING\r\n"
SET = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n"

Durability = Literal["group", "periodic", "none"]


@dataclass(frozen=True)
class Server:
    """What runs: where its Redis doors are, and the processes whose CPU and memory count."""

    name: str
    addresses: list[tuple[str, int]]
    pids: list[int]
    ready_s: float
    """From the start of the command to the first answer on its first door."""


def anel() -> str:
    """Find the command of this environment."""
    return str(Path(sys.executable).with_name("anel"))


def free_port() -> int:
    """Ask the kernel for a port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def free_offset(nodes: int) -> int:
    """Find an offset at which all ports of a ring are free, away from where people run them."""
    for offset in range(20_000, 30_000, 100):
        if all_free([base + offset + node for base in PORTS for node in range(nodes)]):
            return offset
    raise OSError("no hundred free ports between 26379 and 39142")


def all_free(ports: list[int]) -> bool:
    """Tell whether nobody has any of the ports now."""
    with contextlib.ExitStack() as held:
        try:
            for port in ports:
                held.enter_context(socket.create_server(("127.0.0.1", port)))
        except OSError:
            return False
    return True


def first_answer(
    address: tuple[str, int], request: bytes, wanted: bytes, until: float
) -> float:
    """Ask until the wanted answer comes; tell when it came.

    Raises:
        TimeoutError: It did not come in time.
    """
    last = b""
    while time.perf_counter() < until:
        with contextlib.suppress(OSError), socket.create_connection(address, 1) as link:
            link.settimeout(1)
            link.sendall(request)
            last = link.recv(256)
            if last.startswith(wanted):
                return time.perf_counter()
        time.sleep(0.002)
    raise TimeoutError(f"{address} did not answer {wanted!r}; the last answer was {last!r}")


@contextlib.contextmanager
def running(command: list[str], log: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a server in the foreground and stop it at the end, with a bound."""
    with log.open("w") as errors:
        child = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
        )
        try:
            yield child
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                child.communicate(timeout=STOP_WAIT_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.communicate()


@contextlib.contextmanager
def ring(
    folder: Path, nodes: int, *, replication: int, durability: Durability = "group"
) -> Iterator[Server]:
    """Run a fresh ring; its first QUORUM write has been answered when this yields."""
    offset = free_offset(nodes)
    data = folder / f"ring-{nodes}-{replication}-{durability}"
    shutil.rmtree(data, ignore_errors=True)
    command = [anel(), "up", "--json", "--nodes", str(nodes), "--replication", str(replication)]
    command += ["--durability", durability, "--data", str(data), "--port-offset", str(offset)]
    started = time.perf_counter()
    with running(command, folder / f"{data.name}.log") as child:
        address = ("127.0.0.1", 6379 + offset)
        if nodes == 1:
            answered = first_answer(address, PING, b"+PONG", started + START_WAIT_S)
        else:
            answered = first_answer(address, SET, b"+OK", started + START_WAIT_S)
        assert child.stdout is not None
        told = json.loads(next(line for line in child.stdout if line.startswith("{")))
        where = [node["resp"].rpartition(":") for node in told["nodes"]]
        yield Server(
            f"anel, {nodes} node{'s' if nodes > 1 else ''}, {durability}",
            [(host, int(port)) for host, _, port in where],
            [node["pid"] for node in told["nodes"]],
            answered - started,
        )
    shutil.rmtree(data, ignore_errors=True)


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[Server | None]:
    """Run redis-server without persistence; yields None where it is not installed."""
    program = shutil.which("redis-server")
    if program is None:
        yield None
        return
    port = free_port()
    command = [
        program,
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--dir",
        str(folder),
    ]
    started = time.perf_counter()
    with running(command, folder / "redis.log") as child:
        address = ("127.0.0.1", port)
        answered = first_answer(address, PING, b"+PONG", started + START_WAIT_S)
        # Its chatter is not read while it runs; it says far less than a pipe holds.
        yield Server("redis-server", [address], [child.pid], answered - started)
