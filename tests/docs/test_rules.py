"""Under test: every rule that a comment names by number is explained in docs/correctness.md."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "correctness.md"
NAMED = re.compile(r"CORRECTNESS (\d+(?:(?:, | and )\d+)*)")
EXPLAINED = re.compile(r"\*\*(\d+)(?: to (\d+))?[.*]")


def named() -> dict[int, Path]:
    """Map the rules that the code names to a file that does."""
    found: dict[int, Path] = {}
    for folder in ("src", "tests", "tools"):
        for file in (ROOT / folder).rglob("*.py"):
            for numbers in NAMED.findall(file.read_text()):
                found |= {int(number): file for number in re.findall(r"\d+", numbers)}
    return found


def explained() -> set[int]:
    """List the rules that the page explains."""
    rules: set[int] = set()
    for first, last in EXPLAINED.findall(PAGE.read_text()):
        rules |= set(range(int(first), int(last or first) + 1))
    return rules


def test_every_rule_that_the_code_names_is_explained() -> None:
    unknown = {rule: str(file) for rule, file in named().items() if rule not in explained()}
    assert unknown == {}


def test_the_rules_are_numbered_without_gap() -> None:
    assert explained() == set(range(1, 27))
