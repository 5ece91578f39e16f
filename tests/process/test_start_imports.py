"""Under test: what a node's process loads before its first answer: nothing that is slow."""

import re
import socket
import subprocess
import sys
from pathlib import Path

from tests.process.redis_wire import answers
from tests.process.waiting import wait_until

LINE = re.compile(r"import time: +(\d+) \| +(\d+) \| ( *)(\S+)")
# Each takes tens of milliseconds or more; the process may load it later, or not at all.
SLOW = {
    "cassandra",
    "click",
    "http.client",
    "http.server",
    "hypothesis",
    "importlib.metadata",
    "multiprocessing",
    "prometheus_client",
    "pytest",
    "redis",
    "rich",
    "structlog",
    "unittest",
    "urllib.request",
    "xml",
}
SETTINGS = """
cluster_name = "imports"
data = "node"
[listen]
cql = "off"
resp = "127.0.0.1:{resp}"
http = "127.0.0.1:{http}"
internode = "127.0.0.1:{internode}"
"""


def free_ports(count: int) -> list[int]:
    """Ask the kernel for ports that nobody has."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def loaded_before_the_first_answer(folder: Path) -> set[str]:
    """Run a node until it answers PING, and list the modules that it had loaded by then."""
    resp, http, internode = free_ports(3)
    settings = folder / "anel.toml"
    settings.write_text(SETTINGS.format(resp=resp, http=http, internode=internode))
    said = folder / "imports.txt"
    command = [sys.executable, "-X", "importtime", "-m", "anel.runtime.process"]
    with (
        said.open("w") as errors,
        subprocess.Popen(
            [*command, "--config", str(settings)], cwd=folder, stderr=errors
        ) as node,
    ):
        try:
            wait_until(lambda: answers(("127.0.0.1", resp), b"PING", reply=b"+PONG\r\n"))
            text = said.read_text()
        finally:
            node.terminate()
    return {found[4] for found in LINE.finditer(text)}


def test_nothing_slow_is_loaded_before_the_first_answer(tmp_path: Path) -> None:
    loaded = loaded_before_the_first_answer(tmp_path)
    assert "anel.node.node" in loaded, "the list of imports was not read"
    parts = {".".join(name.split(".")[:end]) for name in loaded for end in (1, 2)}
    assert not SLOW & parts
