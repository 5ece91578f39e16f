"""Under test: docs/reference/errors.md has every error code, and no other."""

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import anel
from anel import errors

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/errors.md"
LINE = re.compile(r"^\| `(\w+)` \| `(\w+)` \|", re.MULTILINE)


@pytest.fixture(scope="module")
def codes() -> dict[str, str]:
    """Import every module of Anel, so that every error class is known, and list the codes."""
    for module in pkgutil.walk_packages(anel.__path__, "anel."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    ours = {
        code: kind.__name__
        for code, kind in errors.all_errors().items()
        if kind.__module__.startswith("anel.")
    }
    return {errors.AnelError.code: "AnelError", **ours}


def test_every_code_is_documented_under_its_class(codes: dict[str, str]) -> None:
    assert dict(LINE.findall(PAGE.read_text())) == codes


def test_no_code_is_documented_twice() -> None:
    documented = [code for code, _ in LINE.findall(PAGE.read_text())]
    assert len(documented) == len(set(documented))
