"""Build the wheel and try it as a user would: in empty environments, outside the checkout.

By pip: `anel version`, `anel up --nodes 3` until all three answer over RESP, and a test of a
user's own that takes the fixture `anel_ring`. By `uv tool install`: `anel version`, and a ring.
Nothing of the checkout is on the path while it is tried.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ANSWER_WAIT_S = 30.0
STEP_WAIT_S = 600
USERS_TEST = '''\
"""A user's own test, with the fixtures that the wheel brings."""

import socket


def ask(address, request):
    with socket.create_connection(address, 5) as link:
        link.sendall(request)
        return link.recv(100)


def test_a_value_is_read_from_another_node(anel_ring):
    assert len(anel_ring.nodes) == 3
    first, last = anel_ring.nodes[0], anel_ring.nodes[2]
    assert ask(first.address("resp"), b"SET k v\\r\\n") == b"+OK\\r\\n"
    assert ask(last.address("resp"), b"GET k\\r\\n") == b"$1\\r\\nv\\r\\n"
'''


def step(*command: str | Path, folder: Path, environment: dict[str, str]) -> str:
    """Run one step outside the checkout and give what it printed.

    Raises:
        SystemExit: It failed; what it said is printed.
    """
    print("$", *command, flush=True)
    answer = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=STEP_WAIT_S,
        check=False,
    )
    if answer.returncode != 0:
        raise SystemExit(f"exit {answer.returncode}:\n{answer.stdout}")
    return answer.stdout


def build(folder: Path) -> Path:
    """Build the wheel with the pinned tools of this environment; no network is asked."""
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    command = (
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        dist,
        ROOT,
    )
    step(*command, folder=folder, environment=dict(os.environ))
    (wheel,) = dist.glob("*.whl")
    return wheel


def clean_environment(folder: Path) -> dict[str, str]:
    """Make the variables of a user who never saw the checkout."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "VIRTUAL_ENV", "ANEL_", "UV_"))
    }
    tools = {"UV_TOOL_DIR": "tools", "UV_TOOL_BIN_DIR": "bin", "UV_CACHE_DIR": "cache"}
    return kept | {name: str(folder / "uv" / each) for name, each in tools.items()}


def answers(address: str, until: float) -> bool:
    """Tell whether a Redis door answers PING before a moment."""
    host, _, port = address.rpartition(":")
    while time.monotonic() < until:
        with (
            contextlib.suppress(OSError),
            socket.create_connection((host, int(port)), 1) as link,
        ):
            link.sendall(b"PING\r\n")
            if link.recv(16) == b"+PONG\r\n":
                return True
        time.sleep(0.05)
    return False


@contextlib.contextmanager
def ring(anel: Path, folder: Path, environment: dict[str, str]) -> Iterator[list[str]]:
    """Run three nodes and yield where their Redis doors are."""
    data = folder / "data"
    command = [anel, "up", "--nodes", "3", "--json", "--data", data]
    print("$", *command, flush=True)
    child = subprocess.Popen(
        [str(word) for word in command],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
    )
    try:
        assert child.stdout is not None
        told = json.loads(next(line for line in child.stdout if line.startswith("{")))
        yield [node["resp"] for node in told["nodes"]]
    finally:
        child.terminate()
        child.communicate(timeout=30)
        shutil.rmtree(data, ignore_errors=True)


def try_command(anel: Path, folder: Path, environment: dict[str, str]) -> None:
    """Try an installed `anel`: its version, and a ring of three."""
    version = step(anel, "version", folder=folder, environment=environment)
    print(version.strip())
    with ring(anel, folder, environment) as addresses:
        until = time.monotonic() + ANSWER_WAIT_S
        silent = [address for address in addresses if not answers(address, until)]
        if silent or len(addresses) != 3:
            raise SystemExit(f"of {addresses} these do not answer: {silent}")
        print(f"three nodes answer: {', '.join(addresses)}")


def try_pip(wheel: Path, folder: Path, environment: dict[str, str]) -> None:
    """Install by pip into an empty environment; try the command and the fixture."""
    bin_folder = folder / "venv" / "bin"
    step(sys.executable, "-m", "venv", folder / "venv", folder=folder, environment=environment)
    install = (bin_folder / "python", "-m", "pip", "install", "--quiet")
    step(*install, wheel, folder=folder, environment=environment)
    try_command(bin_folder / "anel", folder, environment)
    step(*install, "pytest", folder=folder, environment=environment)
    test = folder / "test_users_own.py"
    test.write_text(USERS_TEST)
    command = (bin_folder / "python", "-W", "error", "-m", "pytest", "-q", test)
    print(step(*command, folder=folder, environment=environment).strip())


def try_uv(wheel: Path, folder: Path, environment: dict[str, str]) -> None:
    """Install by `uv tool install`, and try the command."""
    uv = Path(sys.executable).with_name("uv")
    python = ("--python", sys.executable)
    step(
        uv, "tool", "install", "--quiet", *python, wheel, folder=folder, environment=environment
    )
    try_command(folder / "uv" / "bin" / "anel", folder, environment)


def main() -> int:
    """Build, install, try; exit 0 only if everything worked."""
    with tempfile.TemporaryDirectory(prefix="anel-wheel-") as name:
        folder = Path(name)
        environment = clean_environment(folder)
        wheel = build(folder)
        print(f"{wheel.name}: {wheel.stat().st_size / 1000:.0f} kB")
        try_pip(wheel, folder, environment)
        try_uv(wheel, folder, environment)
    print("The wheel works, by pip and by uv.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
