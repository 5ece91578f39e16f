"""Run the tests named on every other Python of this machine, each in an environment of its own.

The environment of Python 3.x is `.venv-3.x`; it holds the same pins as `.venv` and sees the
checkout through pytest's `pythonpath`, so it is filled once and then only read. Versions from
3.11 to 3.14 count; a newer one is nobody's promise yet.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTED = ("3.11", "3.12", "3.13", "3.14")
PINS = ("requirements/runtime.txt", "requirements/test.txt")


def others() -> list[tuple[str, str]]:
    """List the version and path of each Python to try, without the one of .venv."""
    found = subprocess.run(
        ["sh", "tools/find_python.sh"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    pairs = [line.split(" ", 1) for line in found.splitlines()]
    return [(version, path) for version, path in pairs if version != own and version in TESTED]


def environment(version: str, path: str) -> Path:
    """Make or find the environment of one Python and return its interpreter."""
    folder = ROOT / f".venv-{version}"
    pins = hashlib.sha256(b"".join((ROOT / pin).read_bytes() for pin in PINS)).hexdigest()
    stamp = folder / ".pins"
    python = folder / "bin" / "python"
    if not (stamp.exists() and stamp.read_text() == pins):
        subprocess.run([path, "-m", "venv", folder], check=True)
        install = [
            str(python),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]
        subprocess.run([*install, "-r", str(ROOT / PINS[-1])], check=True)
        stamp.write_text(pins)
    return python


def main(arguments: list[str]) -> int:
    """Test on each; return 1 if any failed."""
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = others()
    missing = [v for v in TESTED if v != own and v not in dict(found)]
    print(f"Python {own} is .venv's; others here: {', '.join(dict(found)) or 'none'};", end=" ")
    print(f"not here: {', '.join(missing) or 'none'}", flush=True)
    failed = []
    for version, path in found:
        print(f"-- Python {version}: {path}", flush=True)
        python = environment(version, path)
        # Not written beside the sources: several versions share the checkout.
        env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        command = [
            str(python),
            "-m",
            "pytest",
            "-q",
            "-rs",
            "-p",
            "no:cacheprovider",
            *arguments,
        ]
        if subprocess.run(command, cwd=ROOT, env=env, check=False).returncode != 0:
            failed.append(version)
    if failed:
        print(f"failed on Python {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
