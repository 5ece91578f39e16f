"""Play seeds of the simulation: one to look at, many to search, or without end.

    python -m tools.soak --seed 7        one run, with what it was made of
    python -m tools.soak --runs 1000     a thousand seeds that nobody has played yet
    python -m tools.soak                 until stopped

Prints each bad verdict as it comes; exits 1 if there was any. Every seed that ends badly can be
played again: that is the point.
"""

import argparse
import itertools
import logging
import multiprocessing
import sys
import time
from collections.abc import Iterable, Iterator

from anel.simulation.storm import Verdict, play

SAY_EVERY_S = 10.0


def fresh_seeds(runs: int | None) -> Iterable[int]:
    """Count up from a seed that depends on the time, so that each soak plays others."""
    first = time.time_ns() // 1_000_000 % 1_000_000_000 * 1000
    return itertools.count(first) if runs is None else range(first, first + runs)


def be_quiet() -> None:
    """Keep the nodes' own log lines away: a verdict says what matters."""
    logging.disable(logging.CRITICAL)


def verdicts(seeds: Iterable[int], processes: int) -> Iterator[Verdict]:
    """Play seeds in parallel, each in a process that starts anew now and then."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, be_quiet, maxtasksperchild=200) as pool:
        yield from pool.imap_unordered(play, seeds)


def soak(runs: int | None, processes: int) -> int:
    """Play seeds and tell of the bad ones; give their number."""
    played = bad = 0
    said_at = time.monotonic()
    for verdict in verdicts(fresh_seeds(runs), processes):
        played += 1
        if verdict.complaints:
            bad += 1
            print(verdict, flush=True)
        if time.monotonic() - said_at > SAY_EVERY_S:
            said_at = time.monotonic()
            print(f"{played} seeds played, {bad} bad", flush=True)
    print(f"{played} seeds played, {bad} bad")
    return bad


def main() -> int:
    """Play what was asked; return 1 if a verdict was bad."""
    parser = argparse.ArgumentParser(prog="python -m tools.soak", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seed", type=int, help="play this one")
    parser.add_argument("--runs", type=int, help="play so many; without it, until stopped")
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    options = parser.parse_args()
    be_quiet()
    if options.seed is not None:
        verdict = play(options.seed)
        print(verdict)
        return 1 if verdict.complaints else 0
    try:
        return 1 if soak(options.runs, options.processes) else 0
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
