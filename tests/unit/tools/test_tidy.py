"""Under test: tools.tidy, on planted cases of each house rule."""

import pytest

from tools import tidy
from tools.source import Source

DOC = '"""What it is for."""\n'
DEEP = "def f(a):\n if a:\n  for b in a:\n   while b:\n    with b:\n     if b: pass"
ELIF = "def f(a):\n if a: pass\n elif b: pass\n elif c: pass\n elif d: pass\n elif e: pass"


def parsed(text: str, path: str = "src/anel/ring/planted.py") -> Source:
    return Source.parse(path, text)


def said(text: str) -> list[str]:
    source = parsed(text)
    return [complaint.text for rule in (tidy.shape, tidy.words) for complaint in rule(source)]


@pytest.mark.parametrize(
    "text",
    [
        "x = 1",
        DOC + "\n" * 600,
        DOC + "def f():\n" + " x = 1\n" * 61,
        DOC + DEEP,
        DOC + "class RingManager: pass",
        DOC + "class BaseStore: pass",
        DOC + "class StoreImpl: pass",
        DOC + "def find_master(): pass",
        DOC + "class Shard: pass",
    ],
)
def test_a_broken_rule_is_named_once(text: str) -> None:
    assert len(said(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        DOC + ELIF,
        DOC + "class Baseline: pass",
        DOC + "class TokenMap: pass",
        DOC + "def remastered(): pass",
    ],
)
def test_what_keeps_the_rules_passes(text: str) -> None:
    assert said(text) == []


CODE = DOC + "def f() -> int:\n return 1"
TEST = parsed("from anel.ring import token_map", "tests/unit/ring/test_token_map.py")


def test_a_module_that_no_test_imports_is_named() -> None:
    lonely = parsed(CODE, "src/anel/ring/lonely.py")
    assert [c.path for c in tidy.untested([lonely], [TEST])] == ["src/anel/ring/lonely.py"]


def test_a_module_is_reached_through_one_beside_it() -> None:
    tested = parsed(CODE + "\nimport anel.ring.part", "src/anel/ring/token_map.py")
    part = parsed(CODE, "src/anel/ring/part.py")
    assert list(tidy.untested([tested, part], [TEST])) == []


def test_a_module_is_not_reached_through_another_folder() -> None:
    tested = parsed(CODE + "\nimport anel.data.token", "src/anel/ring/token_map.py")
    token = parsed(CODE, "src/anel/data/token.py")
    assert [c.path for c in tidy.untested([tested, token], [TEST])] == [
        "src/anel/data/token.py"
    ]


def test_a_protocol_needs_no_test() -> None:
    port = parsed(DOC + "class Port:\n def f(self) -> int:\n  ...", "src/anel/ring/port.py")
    assert list(tidy.untested([port], [])) == []


def test_a_folder_of_one_machine_is_named() -> None:
    line = f"see /{'home'}/ana/notes.txt"
    assert [c.line for c in tidy.foreign_folders("README.md", f"\n{line}\n")] == [2]


def test_a_relative_folder_is_not() -> None:
    assert list(tidy.foreign_folders("README.md", "src/home/page and ./work/x")) == []
