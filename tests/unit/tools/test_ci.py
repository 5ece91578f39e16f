"""Under test: tools.ci, with commands that end well, badly and never."""

import sys

from tools import ci

QUICK = ci.Part("quick", 30)
SLOW = ci.Part("slow", 0)  # No share at all: three times nothing is over at once.


def python(script: str) -> list[str]:
    return [sys.executable, "-c", script]


def test_a_part_that_ends_well_is_ok_and_its_closing_line_is_kept() -> None:
    outcome = ci.run(QUICK, python("print('=== 3 passed in 0.10s ==='); print('later')"))
    assert outcome.ok
    assert outcome.closing == "=== 3 passed in 0.10s ==="


def test_a_part_that_fails_is_not_ok() -> None:
    outcome = ci.run(QUICK, python("raise SystemExit(3)"))
    assert not outcome.ok
    assert "exit 3" in outcome.line()


def test_a_part_over_its_bound_is_stopped_with_what_it_started() -> None:
    child = f"import subprocess; subprocess.run([{sys.executable!r}, '-c', 'input()'])"
    outcome = ci.run(SLOW, python(child))
    assert not outcome.ok
    assert "stopped" in outcome.note
    assert outcome.took_s < ci.KILL_AFTER_S


def test_the_closing_line_is_that_of_the_first_failure() -> None:
    lines = ["3 passed in 1s", "1 failed in 2s", "9 failed in 3s", "4 passed in 4s"]
    outcomes = [ci.Outcome(QUICK, "passed" in text, 1.0, "", text) for text in lines]
    assert ci.closing_line(outcomes) == "1 failed in 2s"
    assert ci.closing_line([outcomes[0], outcomes[3]]) == "4 passed in 4s"
    assert ci.closing_line([]) is None
