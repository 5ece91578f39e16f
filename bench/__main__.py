"""Run every measurement, print it as it comes, and keep it.

Rings and redis-server stand side by side and are measured in turns (A B A B), so that whatever
else the machine does falls on all of them. Quote the ratios: on a shared machine absolute
figures move by tens of per cent from one minute to the next.
"""

import argparse
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Any

from bench import report
from bench.load import Load, Operation, Workload
from bench.processes import cpu_s, resident_mb
from bench.servers import ROOT, Durability, Server, redis_server, ring

COPIES = (1, 3)
DURABILITIES: tuple[Durability, ...] = ("periodic", "group")
OPERATIONS: tuple[Operation, ...] = ("SET", "GET")
SHAPES = ((64, 1), (16, 16))  # Connections, and commands in a pipeline of each.
KEYS = 100_000
JUDGE_OPERATIONS = 30_000
SIZES_DEFAULT = 6


def generate(workload: Workload) -> Load:
    """Run a workload in a process of its own."""
    command = [sys.executable, "-m", "bench.load", json.dumps(asdict(workload))]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise RuntimeError(f"the load generator failed: {answer.stderr[-2000:]}")
    load = Load(**json.loads(answer.stdout))
    if load.errors:
        raise RuntimeError(f"{load.errors} wrong replies, the first: {load.first_error}")
    return load


def measure(server: Server, workload: Workload) -> dict[str, float]:
    """Load one server and tell rate, latency, and the CPU of all its processes."""
    before = cpu_s(server.pids)
    load = generate(replace(workload, addresses=server.addresses))
    used = cpu_s(server.pids) - before
    return {
        "ops_per_s": load.operations / load.seconds,
        "p50_us": load.p50_us,
        "p99_us": load.p99_us,
        "cpu_us": used / load.operations * 1e6,
    }


def middle(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Take the median of each figure over the rounds."""
    return {name: median(figures[name] for figures in rounds) for name in rounds[0]}


def fill(server: Server, keys: int) -> None:
    """Set each key once."""
    generate(Workload(server.addresses, "FILL", connections=32, pipeline=32, keys=keys))


def beside(folder: Path, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Measure a ring of each durability and redis-server in turns: one copy, then three."""
    for copies in COPIES:
        with contextlib.ExitStack() as stack:
            rings = [
                stack.enter_context(ring(folder, copies, replication=copies, durability=each))
                for each in DURABILITIES
            ]
            peer = stack.enter_context(redis_server(folder))
            for server in (*rings, *([peer] if peer else [])):
                fill(server, KEYS)
            for (connections, pipeline), operation in itertools.product(SHAPES, OPERATIONS):
                work = Workload([], operation, options.seconds, connections, pipeline, KEYS)
                for result in compare(rings, peer, work, options.rounds):
                    yield {"copies": copies, **result}


def compare(
    rings: list[Server], peer: Server | None, work: Workload, rounds: int
) -> Iterator[dict[str, Any]]:
    """Yield what one workload cost on each ring, and beside it on the peer."""
    found = in_turns([*rings, *([peer] if peer else [])], work, rounds)
    for durability, server, figures in zip(DURABILITIES, rings, found, strict=False):
        yield {
            "durability": durability,
            "operation": work.operation,
            "connections": work.connections,
            "pipeline": work.pipeline,
            **figures,
            "peer": found[-1] if peer else None,
            "resident_mb": max(resident_mb(pid) for pid in server.pids),
        }


def in_turns(servers: list[Server], work: Workload, rounds: int) -> list[dict[str, float]]:
    """Measure servers A B C A B C; give each one's middle figures."""
    kept: list[list[dict[str, float]]] = [[] for _ in servers]
    for _ in range(rounds):
        for server, figures in zip(servers, kept, strict=True):
            figures.append(measure(server, work))
    return [middle(figures) for figures in kept]


def judged(folder: Path, rounds: int) -> Iterator[dict[str, Any]]:
    """Measure one node and redis-server with redis-benchmark, so that two generators agree."""
    program = shutil.which("redis-benchmark")
    with (
        ring(folder, 1, replication=1, durability="periodic") as ours,
        redis_server(folder) as peer,
    ):
        if program is None or peer is None:
            return
        for (connections, pipeline), operation in itertools.product(SHAPES, OPERATIONS):
            count = JUDGE_OPERATIONS * (1 if pipeline == 1 else 4)
            words = ["-n", str(count), "-c", str(connections), "-P", str(pipeline), "-d", "100"]
            words += ["-r", str(KEYS), "-q", "-t", operation.lower()]
            used: list[list[float]] = [[], []]
            for _ in range(rounds):
                for server, kept in zip((ours, peer), used, strict=True):
                    before = cpu_s(server.pids)
                    command = [program, "-p", str(server.addresses[0][1]), *words]
                    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
                    kept.append((cpu_s(server.pids) - before) / count * 1e6)
            yield {
                "operation": operation,
                "pipeline": pipeline,
                "cpu_us": median(used[0]),
                "peer_cpu_us": median(used[1]),
            }


def growing(folder: Path, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Measure one node as it holds more and more keys."""
    with ring(folder, 1, replication=1, durability="periodic") as ours:
        for power in range(3, options.sizes + 1):
            keys = 10**power
            fill(ours, keys)
            found: dict[str, dict[str, float]] = {}
            for operation in OPERATIONS:
                work = Workload([], operation, options.seconds, 64, 1, keys)
                found[operation] = in_turns([ours], work, options.rounds)[0]
            yield {"keys": keys, **found, "resident_mb": resident_mb(ours.pids[0])}


def starts(folder: Path, times: int) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Start rings again and again; tell how long each took and what a fresh node holds."""
    found: dict[str, list[float]] = {
        report.ONE_NODE: [],
        report.FIVE_NODES: [],
        report.PEER: [],
    }
    fresh: list[float] = []
    for _ in range(times):
        with ring(folder, 1, replication=1) as server:
            found[report.ONE_NODE].append(server.ready_s)
            fresh.append(resident_mb(server.pids[0]))
        with ring(folder, 5, replication=3) as server:
            found[report.FIVE_NODES].append(server.ready_s)
            fresh += [resident_mb(pid) for pid in server.pids]
        with redis_server(folder) as peer:
            if peer:
                found[report.PEER].append(peer.ready_s)
    kept = {name: seconds for name, seconds in found.items() if seconds}
    return kept, {report.FRESH: max(fresh)}


def arguments() -> argparse.Namespace:
    """Read what was asked."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure a ring.")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="of each pair, A B A B")
    parser.add_argument(
        "--sizes", type=int, default=SIZES_DEFAULT, metavar="N",
        help="up to 10^N keys in the table of sizes (default 6; 7 takes several minutes)",
    )  # fmt: skip
    parser.add_argument("--starts", type=int, default=5, help="starts to take the median of")
    parser.add_argument("--dry", action="store_true", help="print only; keep nothing")
    return parser.parse_args()


def told(
    what: Iterator[dict[str, Any]], line: Callable[[dict[str, Any]], str]
) -> list[dict[str, Any]]:
    """Gather results, printing a line for each as it comes."""
    kept = []
    for result in what:
        kept.append(result)
        print(line(result), flush=True)
    return kept


def load_line(load: dict[str, Any]) -> str:
    """Tell one comparison in a line."""
    peer = load["peer"]
    ratio = f", {peer['cpu_us'] / load['cpu_us']:.2f} of redis-server" if peer else ""
    return (
        f"{report.ring_name(load):22} {load['operation']} P{load['pipeline']:<3}"
        f"{load['ops_per_s']:9,.0f} ops/s  {load['cpu_us']:6.1f} us CPU an operation{ratio}"
    )


def judged_line(load: dict[str, Any]) -> str:
    """Tell one comparison by redis-benchmark in a line."""
    return (
        f"by redis-benchmark     {load['operation']} P{load['pipeline']:<3}"
        f"{load['cpu_us']:6.1f} us CPU an operation, "
        f"{load['peer_cpu_us'] / load['cpu_us']:.2f} of redis-server"
    )


def size_line(size: dict[str, Any]) -> str:
    """Tell one size in a line."""
    return (
        f"{size['keys']:10,} keys    SET {size['SET']['cpu_us']:6.1f} us    "
        f"GET {size['GET']['cpu_us']:6.1f} us    {size['resident_mb']:.0f} MB"
    )


def main() -> int:
    """Measure, print, keep."""
    options = arguments()
    run: dict[str, Any] = {
        "setting": report.setting(os.cpu_count()),
        "load_average": os.getloadavg()[0],
        "seconds": options.seconds,
        "rounds": options.rounds,
    }
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="anel-bench-")))
        run["starts"], run["memory"] = starts(folder, options.starts)
        for name, times in run["starts"].items():
            print(f"{name}: {median(times):.2f} s", flush=True)
        run["loads"] = told(beside(folder, options), load_line)
        run["judged"] = told(judged(folder, options.rounds), judged_line)
        run["sizes"] = told(growing(folder, options), size_line)
    run["memory"][report.LOADED] = max(load["resident_mb"] for load in run["loads"])
    print(report.aims_table(run))
    if not options.dry:
        report.keep(run)
        report.write_page(run)
        print("kept in bench/history.jsonl, tables in docs/performance.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
