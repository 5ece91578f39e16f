"""Under test: tools/find_python.sh, among Pythons that run, that cannot, that lack a part."""

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "tools" / "find_python.sh"
WELL = """#!/bin/sh
case "$2" in *ensurepip*) exit {ensurepip} ;; esac
echo "{version} $0"
"""
SHIM = "#!/bin/sh\necho 'not in this version manager' >&2\nexit 127\n"


class Machine:
    """A machine that has only the Pythons a test gives it."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        for tool in ("sh", "ls", "head"):
            found = shutil.which(tool)
            assert found is not None
            (self.bin / tool).symlink_to(found)
        self.environment = {"PATH": str(self.bin), "HOME": str(folder)}

    def has(self, name: str, text: str) -> str:
        """Install a script under a name."""
        script = self.bin / name
        script.write_text(text)
        script.chmod(0o755)
        return str(script)

    def python(self, version: str, *, can_make_venv: bool = True, name: str = "") -> str:
        """Install a Python of a version."""
        text = WELL.format(version=version, ensurepip=0 if can_make_venv else 1)
        return self.has(name or f"python{version}", text)

    def find(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the script."""
        return subprocess.run(
            [self.bin / "sh", SCRIPT, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_newest_comes_first(machine: Machine) -> None:
    old, new = machine.python("3.11"), machine.python("3.13")
    assert machine.find().stdout == f"3.13 {new}\n3.11 {old}\n"
    assert machine.find("--first").stdout == f"{new}\n"


def test_a_version_manager_s_empty_promise_is_passed_over(machine: Machine) -> None:
    machine.has("python3.14", SHIM)
    good = machine.python("3.12")
    assert machine.find("--first").stdout == f"{good}\n"


def test_a_version_is_listed_once(machine: Machine) -> None:
    machine.python("3.12")
    machine.python("3.12", name="python3")
    assert len(machine.find().stdout.splitlines()) == 1


def test_a_missing_ensurepip_is_answered_with_the_line_to_type(machine: Machine) -> None:
    machine.python("3.12", can_make_venv=False)
    answer = machine.find("--first")
    assert answer.returncode == 1
    assert "sudo apt-get install python3.12-venv" in answer.stderr


def test_no_python_at_all_is_answered_too(machine: Machine) -> None:
    answer = machine.find("--first")
    assert answer.returncode == 1
    assert "sudo apt-get install python3 python3-venv" in answer.stderr
