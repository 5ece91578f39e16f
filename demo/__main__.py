"""Load, kill, return, check, and tell what was done and measured: `make demo`."""

import argparse
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from demo import loading
from demo.characters import characters
from demo.ring import CommandFailed, DemoRing, found_or_fresh

NODES = 3
VICTIM = 1
KILL_AT, RETURN_AT = 0.35, 0.65  # Parts of the load.
SYNC_WAIT_S = 120.0
POLL_S = 0.01


class Story:
    """One run of the demo on one ring."""

    def __init__(self, ring: DemoRing, pairs: list[loading.Pair], console: Console) -> None:
        self.ring = ring
        self.pairs = pairs
        self.console = console
        self.addresses = ring.addresses()
        self.written = 0
        self.order_failed: CommandFailed | None = None

    @contextmanager
    def bar(self, what: str) -> Iterator[loading.Progress]:
        """Show how far a pass over all keys is."""
        columns = (TextColumn("{task.description:36}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeElapsedColumn(), console=self.console) as progress:
            task = progress.add_task(what, total=len(self.pairs))
            yield lambda count: progress.advance(task, count)

    def say(self, text: str) -> None:
        """Tell what happens, above the bar."""
        self.console.print(f"  {time.strftime('%H:%M:%S')}  {text}", highlight=False)

    def torment(self) -> None:
        """Kill a node when enough is written, and bring it back some time later."""
        for part, order, text in (
            (KILL_AT, self.ring.kill, f"kill -9: node {VICTIM}"),
            (RETURN_AT, self.ring.start, f"node {VICTIM} is back"),
        ):
            while self.written < part * len(self.pairs):
                time.sleep(POLL_S)
            try:
                order(VICTIM)
            except CommandFailed as error:  # Raised again where the load ends.
                self.order_failed = error
                return
            self.say(f"{text}, at {self.written:,} of {len(self.pairs):,} keys")

    def load(self) -> tuple[loading.Tally, float]:
        """Write everything while the node dies and returns."""
        trouble = threading.Thread(target=self.torment, daemon=True)
        trouble.start()
        started = time.monotonic()
        with self.bar("writing at QUORUM") as advance:

            def count(number: int) -> None:
                self.written += number
                advance(number)

            tally = loading.write(self.pairs, self.addresses, count)
        took_s = time.monotonic() - started
        trouble.join(SYNC_WAIT_S)
        if self.order_failed:
            raise self.order_failed
        return tally, took_s

    def checks(self) -> Iterator[tuple[str, loading.Check]]:
        """Read everything: each node's own copy, then a quorum's word by each node.

        In this order, for a read at QUORUM would mend a copy that lacks something.
        """
        for own_copy in (True, False):
            for number, address in enumerate(self.addresses):
                what = f"node {number}: " + ("its own copy" if own_copy else "QUORUM")
                with self.bar(f"reading, {what}") as advance:
                    found = loading.check(
                        self.pairs, address, own_copy=own_copy, progress=advance
                    )
                yield what, found

    def run(self) -> bool:
        """Do it all; tell whether every key was found everywhere."""
        tally, took_s = self.load()
        waited_s = self.ring.wait_in_sync(SYNC_WAIT_S)
        if waited_s is None:
            self.say(f"not in sync after {SYNC_WAIT_S:.0f} s: see `anel status`")
        else:
            self.say(f"in sync again, no hints left, {waited_s:.1f} s after the last write")
        summary = Table("what", "measured", title="What was done")
        summary.columns[1].justify = "right"
        size = sum(len(text.encode()) for _, text in self.pairs)
        summary.add_row("keys written", f"{tally.written:,} ({size / 1e6:.1f} MB of JSON)")
        summary.add_row("rate", f"{tally.written / took_s:,.0f} keys/s, {took_s:.1f} s")
        summary.add_row("longest wait of a batch", f"{tally.longest_wait_s * 1000:,.0f} ms")
        for name, times in tally.failures.items():
            summary.add_row(f"batches sent again: {name}", f"{times}")
        whole = waited_s is not None
        for what, found in self.checks():
            wrong = f", {len(found.missing)} missing, {len(found.different)} different"
            summary.add_row(
                f"read back, {what}",
                f"{found.right:,} right{'' if found.is_whole else wrong}, {found.took_s:.1f} s",
            )
            whole = whole and found.is_whole
        self.console.print(summary)
        return whole


def main() -> int:
    """Run the demo; exit 0 only if every key was read back everywhere."""
    parser = argparse.ArgumentParser(
        prog="python -m demo", description="The demo on real data."
    )
    parser.add_argument(
        "--data", default="./data", help="use the ring that runs in this folder"
    )
    parser.add_argument("--limit", type=int, help="only so many characters")
    options = parser.parse_args()
    console = Console()
    pairs = list(characters(options.limit))
    with found_or_fresh(options.data, NODES) as ring:
        where = "a fresh ring" if ring.is_fresh else f"the ring in {ring.data}"
        console.print(f"{len(pairs):,} characters of Unicode into {where} of {NODES} nodes")
        whole = Story(ring, pairs, console).run()
    console.print("Every key was read back everywhere." if whole else "Something is missing.")
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
