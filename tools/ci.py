"""Run every gate in turn, each within its share of fifteen minutes, and fail on any skip.

A part that takes three times its share is stopped, with everything it started, and fails. A
part that fails does not keep the later ones from running: one run tells all that is wrong. The
times of the parts come near the end; the closing line is pytest's own, of the first pytest part
that failed, or else of the last one.
"""

import argparse
import collections
import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

OVERRUN_FACTOR = 3
KILL_AFTER_S = 10
TAIL_LINES = 40
NO_SKIPS = "ARGS=--no-skips --color=no"
CLOSING = re.compile(r"(\d+ (passed|failed|errors?|skipped)\b.*|no tests ran) in \d")


@dataclass(frozen=True)
class Part:
    """One make target and the seconds it should take on the build machine."""

    name: str
    share_s: int
    is_pytest: bool = True

    @property
    def command(self) -> list[str]:
        """The command that runs this part, as a person would type it."""
        flags = [NO_SKIPS] if self.is_pytest else []
        return ["make", "--no-print-directory", self.name, *flags]


PARTS = (
    Part("check", 90, is_pytest=False),
    Part("test", 150),
    Part("pythons", 150),
    Part("process", 330),
    Part("clients", 180),
)


@dataclass
class Outcome:
    """How a part ended."""

    part: Part
    ok: bool
    took_s: float
    note: str
    closing: str | None

    def line(self) -> str:
        """Say it in one line of the table."""
        state = "ok" if self.ok else "FAILED"
        times = f"{self.took_s:6.1f} s of {self.part.share_s} s"
        return f"{self.part.name:10} {state:7} {times}  {self.note}".rstrip()


def pass_on(source: IO[str], tail: collections.deque[str]) -> None:
    """Write what a part says as it says it, and remember the end."""
    with source:
        for line in source:
            sys.stdout.write(line)
            sys.stdout.flush()
            tail.append(line.rstrip("\n"))


def stop(child: subprocess.Popen[str]) -> None:
    """Stop a part with its whole process group, kindly and then not."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(KILL_AFTER_S)
            return


def run(part: Part, command: Sequence[str] | None = None) -> Outcome:
    """Run one part to its end or to its bound, passing its output on as it comes."""
    started = time.monotonic()
    child = subprocess.Popen(
        command or part.command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    assert child.stdout is not None
    tail = collections.deque[str](maxlen=TAIL_LINES)
    reader = threading.Thread(target=pass_on, args=(child.stdout, tail), daemon=True)
    reader.start()
    note = ""
    try:
        status = child.wait(part.share_s * OVERRUN_FACTOR)
        note = f"exit {status}" if status else ""
    except subprocess.TimeoutExpired:
        stop(child)
        note = f"stopped: over {OVERRUN_FACTOR} times its share"
    reader.join(KILL_AFTER_S)  # Something a part left behind may hold the pipe for ever.
    closing = next((line for line in reversed(tail) if CLOSING.search(line)), None)
    return Outcome(part, not note, time.monotonic() - started, note, closing)


def closing_line(outcomes: Sequence[Outcome]) -> str | None:
    """Choose pytest's line to end with: that of the first failure, or else the last."""
    ran = [outcome for outcome in outcomes if outcome.closing is not None]
    failed = [outcome for outcome in ran if not outcome.ok]
    return failed[0].closing if failed else ran[-1].closing if ran else None


def main() -> int:
    """Run the parts named, or all; return 1 if any failed."""
    parser = argparse.ArgumentParser(description="Run every gate in turn.")
    parser.add_argument("parts", nargs="*", metavar="PART")
    wanted = parser.parse_args().parts
    outcomes = []
    for part in PARTS:
        if wanted and part.name not in wanted:
            continue
        print(f"\n== {part.name}: {' '.join(part.command)}", flush=True)
        outcomes.append(run(part))
        print(f"== {outcomes[-1].line()}", flush=True)
    print()
    for outcome in outcomes:
        print(outcome.line())
    took_s = sum(outcome.took_s for outcome in outcomes)
    print(f"{'all':10} {'':7} {took_s:6.1f} s of {sum(part.share_s for part in PARTS)} s")
    if closing := closing_line(outcomes):
        print(closing)
    return 0 if all(outcome.ok for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
