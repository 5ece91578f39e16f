"""Under test: what the repository says of itself is so: targets, pins, decisions, tools."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PIN = re.compile(r"^([\w.-]+)==([\w.]+)(?:; .+)?$")
PINS = sorted((ROOT / "requirements").glob("*.txt"))


def name(requirement: str) -> str:
    """Cut a requirement to the name of its package, as registries spell it."""
    found = re.match(r"[\w.-]+", requirement)
    assert found is not None
    return found[0].lower().replace("_", "-")


def pinned(file: str) -> dict[str, str]:
    """Read one file of pins, with those it includes."""
    pins: dict[str, str] = {}
    for line in (ROOT / "requirements" / file).read_text().splitlines():
        if line.startswith("-r "):
            pins |= pinned(line.removeprefix("-r "))
        elif found := PIN.match(line):
            pins[name(found[1])] = found[2]
    return pins


@pytest.mark.parametrize("file", PINS, ids=lambda file: file.name)
def test_a_file_of_pins_holds_exact_versions_and_no_address(file: Path) -> None:
    for line in file.read_text().splitlines():
        assert not line or line.startswith(("#", "-r ")) or PIN.match(line), line
        assert "://" not in line


def test_every_dependency_of_the_package_is_pinned() -> None:
    assert {name(need) for need in PROJECT["project"]["dependencies"]} <= pinned(
        "runtime.txt"
    ).keys()


@pytest.mark.parametrize("group", ["test", "check"])
def test_every_dependency_of_a_group_is_pinned(group: str) -> None:
    wanted = {name(need) for need in PROJECT["dependency-groups"][group]}
    assert wanted <= pinned(f"{group}.txt").keys()


def test_one_package_has_one_version_everywhere() -> None:
    seen: dict[str, str] = {}
    for file in PINS:
        for package, version in pinned(file.name).items():
            assert seen.setdefault(package, version) == version, package


def targets() -> dict[str, str]:
    """List the make targets with the words that `make help` prints beside them."""
    pattern = re.compile(r"^([a-z-]+):.*?## (.+)$", re.MULTILINE)
    return dict(pattern.findall((ROOT / "Makefile").read_text()))


def test_make_alone_lists_every_target() -> None:
    shown = subprocess.run(
        ["make"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for target, words in targets().items():
        assert f"make {target} " in shown
        assert words in shown


def test_every_phony_target_says_what_it_does() -> None:
    phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == targets().keys()


def test_the_pages_name_only_targets_that_exist() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    named = re.compile(r"(?:`|^)make ([a-z-]+)", re.MULTILINE)
    for page in pages:
        assert set(named.findall(page.read_text())) <= targets().keys(), page


def test_the_help_of_the_tools_is_executable() -> None:
    for script in (".ci/run", "tools/find_python.sh"):
        assert (ROOT / script).stat().st_mode & 0o111
        assert subprocess.run(["bash", "-n", script], cwd=ROOT, check=False).returncode == 0


def test_python_has_no_upper_bound() -> None:
    assert PROJECT["project"]["requires-python"] == ">=3.11"


def test_every_decision_has_all_its_parts() -> None:
    template = (ROOT / "docs/decisions/0000-template.md").read_text()
    parts = re.findall(r"^## .+$", template, re.MULTILINE)
    for record in sorted((ROOT / "docs/decisions").glob("*.md")):
        found = re.findall(r"^## .+$", record.read_text(), re.MULTILINE)
        assert found == parts, record.name


def test_decisions_are_numbered_without_gap() -> None:
    numbers = [int(file.name[:4]) for file in sorted((ROOT / "docs/decisions").glob("*.md"))]
    assert numbers == list(range(len(numbers)))
