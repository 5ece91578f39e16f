"""What tests ask of a running ring: its state over HTTP, its stores once it has stopped."""

import json
import os
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, TypeAlias

from anel.cli.ports import first_taken
from anel.limits import LEAVES
from anel.storage.rocks import RocksStore
from anel.storage.summary import after
from anel.storage.syncer import ImmediateSyncer
from tests.process.up_process import UpProcess

OFFSET_MIN, OFFSET_MAX = 3_000, 22_000  # All ports stay below those that clients are given.

Json: TypeAlias = Any  # What a node sends; its forms stand in anel.doors.http.backend.


def started(
    data: Path, nodes: int, *arguments: str, variables: dict[str, str] | None = None
) -> UpProcess:
    """Start a ring on ports of its own.

    Runs of tests side by side begin to look for free ports at different places, since two that
    look in the same instant may find the same ones.
    """
    places = range(OFFSET_MIN, OFFSET_MAX, 100)
    first = os.getpid() * 7 % len(places)
    offset = next(
        places[(first + turn) % len(places)]
        for turn in range(len(places))
        if first_taken(nodes, places[(first + turn) % len(places)]) is None
    )
    return UpProcess(
        data,
        *("--nodes", str(nodes), "--port-offset", str(offset), *arguments),
        variables=variables,
    )


def get(up: UpProcess, node: int, path: str) -> Json:
    """Ask a node's HTTP door; None when it does not answer."""
    connection = HTTPConnection("127.0.0.1", up.port(node, "http"), timeout=5)
    try:
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()


def addresses(up: UpProcess) -> list[tuple[str, int]]:
    """Give the nodes' Redis doors."""
    return [("127.0.0.1", up.port(node)) for node in range(len(up.ring()["nodes"]))]


def states_at(up: UpProcess, node: int) -> dict[int, str]:
    """Give the state of each node, by its number, as one of them sees it."""
    report = get(up, node, "/status")
    if report is None:
        return {}
    number = {facts["node_id"]: facts["node"] for facts in up.ring()["nodes"]}
    return {number[other["id"]]: other["state"] for other in report["nodes"]}


def all_are_up(up: UpProcess) -> bool:
    """Tell whether every node says that every node is up."""
    count = len(up.ring()["nodes"])
    wanted = dict.fromkeys(range(count), "up")
    return all(states_at(up, node) == wanted for node in range(count))


def is_dead_for_all(up: UpProcess, dead: int) -> bool:
    """Tell whether all other nodes that have a process have given a node up."""
    others = [node for node in range(len(up.ring()["nodes"])) if up.pid(node)]
    if dead in others:
        return False
    return all(states_at(up, node).get(dead) == "dead" for node in others)


def own_reports(up: UpProcess) -> list[Json]:
    """Give what each node says of itself; a silent one is left out."""
    reports = [get(up, node, "/status") for node in range(len(up.ring()["nodes"]))]
    return [
        node
        for report in reports
        if report is not None
        for node in report["nodes"]
        if node["is_self"]
    ]


def is_at_rest(up: UpProcess) -> bool:
    """Tell whether all nodes are up and in sync, and keep no hints."""
    reports = own_reports(up)
    return len(reports) == len(up.ring()["nodes"]) and all(
        report["state"] == "up" and report["in_sync"] and report["hints"] == 0
        for report in reports
    )


def contents(data: Path, node: int) -> tuple[dict[bytes, list[int]], dict[bytes, bytes]]:
    """Read a stopped node's store: each table's leaves, and all records by key."""
    store = RocksStore.open(
        data / f"node{node}" / "store",
        syncer=ImmediateSyncer(),
        now_ns=time.monotonic_ns,
        fatal=_broken,
    )
    try:
        assert not store.recovering, store.damage
        leaves = {}
        records: dict[bytes, bytes] = {}
        for table in store.tables():
            summary = store.summary(table)
            while not summary.is_complete:
                store.work(time.monotonic_ns() + 10_000_000)
            leaves[table] = [summary.leaf(leaf) for leaf in range(LEAVES)]
            page = store.page(table, after(table), 1 << 30, 1 << 40)
            records |= dict(page.records)
        return leaves, records
    finally:
        store.close()


def differences(data: Path, nodes: int) -> tuple[int, int, int]:
    """Compare the stores of a stopped ring whose replication is its number of nodes.

    Returns:
        How many records there are, how many leaves differ, how many records differ.
    """
    leaves, records = contents(data, 0)
    differing_leaves = differing_records = 0
    for node in range(1, nodes):
        other_leaves, other_records = contents(data, node)
        tables = leaves.keys() | other_leaves.keys()
        nothing = [0] * LEAVES
        differing_leaves += sum(
            mine != theirs
            for table in sorted(tables)
            for mine, theirs in zip(
                leaves.get(table, nothing), other_leaves.get(table, nothing), strict=True
            )
        )
        keys = records.keys() | other_records.keys()
        differing_records += sum(records.get(key) != other_records.get(key) for key in keys)
    return len(records), differing_leaves, differing_records


def _broken(error: BaseException) -> None:
    raise error
