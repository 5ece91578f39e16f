"""Under test: bench.report, which must say of a figure whether it reaches its aim."""

from pathlib import Path
from typing import Any

import pytest

from bench import report


def load(copies: int, durability: str, operation: str, cpu_us: float) -> dict[str, Any]:
    return {
        "copies": copies,
        "durability": durability,
        "operation": operation,
        "connections": 64,
        "pipeline": 1,
        "ops_per_s": 10_000.0,
        "p50_us": 500.0,
        "p99_us": 1500.0,
        "cpu_us": cpu_us,
        "peer": {"cpu_us": 8.0},
        "resident_mb": 45.0,
    }


@pytest.fixture
def run() -> dict[str, Any]:
    """Make a run in which every aim is just reached."""
    loads = [
        load(copies, durability, operation, 20.0)
        for copies in (1, 3)
        for durability in ("periodic", "group")
        for operation in ("SET", "GET")
    ]
    size = {"keys": 1000, "SET": loads[0], "GET": loads[1], "resident_mb": 41.0}
    return {
        "setting": {
            "commit": "c0ffee",
            "changed": False,
            "at": "2026-11-23T18:00:00Z",
            "python": "3.13.0",
            "processor": "some",
            "cpus": 2,
        },
        "load_average": 0.5,
        "loads": loads,
        "sizes": [size],
        "judged": [{"operation": "SET", "pipeline": 1, "cpu_us": 20.0, "peer_cpu_us": 8.0}],
        "starts": {report.ONE_NODE: [0.3, 0.2, 0.4], report.FIVE_NODES: [1.0]},
        "memory": {report.FRESH: 50.0, report.LOADED: 50.0},
    }


def missed(run: dict[str, Any]) -> list[str]:
    return [what for what, _, _, reached in report.aims(run) if not reached]


def test_aims_that_are_just_reached_are_reached(run: dict[str, Any]) -> None:
    assert len(list(report.aims(run))) == 8
    assert missed(run) == []


def test_a_slow_operation_misses_its_aim(run: dict[str, Any]) -> None:
    run["loads"][0]["cpu_us"] = 20.3
    (what,) = missed(run)
    assert "SET P1, RF 1" in what


def test_a_dear_group_commit_misses_its_aim(run: dict[str, Any]) -> None:
    run["loads"][6]["cpu_us"] = 33.0
    assert missed(run) == ["SET P1, RF 3: group to periodic"]


def test_a_late_start_and_a_fat_node_miss_their_aims(run: dict[str, Any]) -> None:
    run["starts"][report.FIVE_NODES] = [1.01]
    run["memory"][report.LOADED] = 51.0
    assert missed(run) == [report.FIVE_NODES, report.LOADED]


def test_the_page_keeps_its_words_and_gets_new_tables(
    run: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page = tmp_path / "performance.md"
    page.write_text(f"# Words\n\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    monkeypatch.setattr(report, "PAGE", page)
    report.write_page(run)
    report.write_page(run)
    text = page.read_text()
    assert text.startswith("# Words")
    assert text.endswith("after\n")
    assert "old" not in text
    assert text.count("RF 3 QUORUM, group | SET P1 | 64 | 10,000") == 1


def test_a_run_without_redis_server_still_makes_its_tables(run: dict[str, Any]) -> None:
    for each in run["loads"]:
        each["peer"] = None
    assert "| - | - |" in report.tables(run)
