"""What is kept of a run: a line of bench/history.jsonl, and tables in docs/performance.md."""

import json
import platform
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
HISTORY = ROOT / "bench" / "history.jsonl"
PAGE = ROOT / "docs" / "performance.md"
ONE_NODE = "`anel up --nodes 1` to its first PONG"
FIVE_NODES = "`anel up --nodes 5` to the first QUORUM write"
PEER = "redis-server to its first PONG"
FRESH = "resident a node, fresh (the largest)"
LOADED = "resident a node, after load on 100,000 keys (the largest)"
BEGIN, END = "<!-- made by `make bench`: begin -->", "<!-- made by `make bench`: end -->"


def git(*arguments: str) -> str:
    """Ask git about this checkout; nothing where it is none."""
    command = ["git", *arguments]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return answer.stdout.strip()


def processor() -> str:
    """Name the processor as the kernel does."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def setting(cpus: int | None) -> dict[str, Any]:
    """Describe where and on what a run was made."""
    return {
        "commit": git("rev-parse", "--short=12", "HEAD"),
        "changed": bool(git("status", "--porcelain", "--untracked-files=no")),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cpus": cpus,
    }


def keep(run: dict[str, Any]) -> None:
    """Append a run to the history."""
    with HISTORY.open("a") as history:
        history.write(json.dumps(run, separators=(",", ":")) + "\n")


def table(head: list[str], rows: list[list[str]]) -> str:
    """Write a table; every column but the first holds figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def thousands(number: float) -> str:
    """Write a count as people read it."""
    return f"{number:,.0f}"


def ring_name(load: dict[str, Any]) -> str:
    """Name the ring of one comparison."""
    level = " QUORUM" if load["copies"] > 1 else ""
    return f"RF {load['copies']}{level}, {load['durability']}"


def load_table(loads: list[dict[str, Any]]) -> str:
    """Write what an operation cost, each ring beside redis-server in the same minutes."""
    head = ["ring", "operation", "in flight", "ops/s", "p50 ms", "p99 ms", "CPU us/op"]
    head += ["ops per CPU s", "redis-server", "ratio"]
    rows = []
    for load in loads:
        peer = load.get("peer")
        rows.append(
            [
                ring_name(load),
                f"{load['operation']} P{load['pipeline']}",
                str(load["connections"] * load["pipeline"]),
                thousands(load["ops_per_s"]),
                f"{load['p50_us'] / 1000:.1f}",
                f"{load['p99_us'] / 1000:.1f}",
                f"{load['cpu_us']:.1f}",
                thousands(1e6 / load["cpu_us"]),
                thousands(1e6 / peer["cpu_us"]) if peer else "-",
                f"{peer['cpu_us'] / load['cpu_us']:.2f}" if peer else "-",
            ]
        )
    return table(head, rows)


def judged_table(loads: list[dict[str, Any]]) -> str:
    """Write what redis-benchmark found of one node and of redis-server."""
    rows = [
        [
            f"{load['operation']} P{load['pipeline']}",
            f"{load['cpu_us']:.1f}",
            f"{load['peer_cpu_us']:.1f}",
            f"{load['peer_cpu_us'] / load['cpu_us']:.2f}",
        ]
        for load in loads
    ]
    return table(["operation", "CPU us/op", "redis-server", "ratio"], rows)


def flat_table(sizes: list[dict[str, Any]]) -> str:
    """Write what an operation costs as the number of keys grows."""
    head = ["keys", "SET CPU us/op", "SET p99 ms", "GET CPU us/op", "GET p99 ms", "resident MB"]
    rows = [
        [
            thousands(size["keys"]),
            f"{size['SET']['cpu_us']:.1f}",
            f"{size['SET']['p99_us'] / 1000:.1f}",
            f"{size['GET']['cpu_us']:.1f}",
            f"{size['GET']['p99_us'] / 1000:.1f}",
            f"{size['resident_mb']:.0f}",
        ]
        for size in sizes
    ]
    return table(head, rows)


def start_table(starts: dict[str, list[float]], memory: dict[str, float]) -> str:
    """Write how long starts took and what a node holds."""
    rows = [
        [
            name,
            f"{median(times):.2f} s",
            f"{min(times):.2f} to {max(times):.2f} s, {len(times)} starts",
        ]
        for name, times in starts.items()
    ]
    rows += [[name, f"{megabytes:.0f} MB", ""] for name, megabytes in memory.items()]
    return table(["what", "median", "range"], rows)


def aims(run: dict[str, Any]) -> Iterator[tuple[str, str, str, bool]]:
    """Yield each aim, its bound, what was measured, and whether that reaches it."""
    loads = {
        (load["copies"], load["durability"], load["operation"], load["pipeline"]): load
        for load in run["loads"]
    }
    for operation in ("SET", "GET"):
        load = loads[1, "periodic", operation, 1]
        if load["peer"]:
            ratio = load["peer"]["cpu_us"] / load["cpu_us"]
            what = f"{operation} P1, RF 1, periodic: share of redis-server's per CPU second"
            yield what, ">= 0.40", f"{ratio:.2f}", ratio >= 0.4
    for copies in (1, 3):
        ratio = loads[copies, "group", "SET", 1]["cpu_us"]
        ratio /= loads[copies, "periodic", "SET", 1]["cpu_us"]
        yield f"SET P1, RF {copies}: group to periodic", "<= 1.60", f"{ratio:.2f}", ratio <= 1.6
    for name, bound in ((ONE_NODE, 0.3), (FIVE_NODES, 1.0)):
        took = median(run["starts"][name])
        yield name, f"<= {bound:.1f} s", f"{took:.2f} s", took <= bound
    for name in (FRESH, LOADED):
        megabytes = run["memory"][name]
        yield name, "<= 50 MB", f"{megabytes:.0f} MB", megabytes <= 50


def aims_table(run: dict[str, Any]) -> str:
    """Write the aims beside what was measured."""
    rows = [[what, aim, found, "yes" if ok else "no"] for what, aim, found, ok in aims(run)]
    return table(["aim", "bound", "measured", "reached"], rows)


def tables(run: dict[str, Any]) -> str:
    """Write all tables of a run."""
    where = run["setting"]
    commit = where["commit"] + (" with changes" if where["changed"] else "")
    made = f"Commit {commit}, {where['at']}, CPython {where['python']}, "
    made += f"{where['cpus']} CPUs of {where['processor']}; "
    made += f"load of {run['load_average']:.1f} before the run."
    return "\n\n".join(
        [
            made,
            "### Aims",
            aims_table(run),
            "### What an operation costs",
            load_table(run["loads"]),
            "### The same by redis-benchmark: one node, periodic",
            judged_table(run["judged"]),
            "### From a thousand keys on",
            flat_table(run["sizes"]),
            "### Start and memory",
            start_table(run["starts"], run["memory"]),
        ]
    )


def write_page(run: dict[str, Any]) -> None:
    """Put the tables of a run into the page, between its two marks."""
    page = PAGE.read_text()
    before, rest = page.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    PAGE.write_text(f"{before}{BEGIN}\n\n{tables(run)}\n\n{END}{after}")
