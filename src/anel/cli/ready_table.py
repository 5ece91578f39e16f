"""What `anel up` shows once its ring has started: addresses, how to connect, how to stop."""

import json
from typing import Any

import anel
from anel.cli.data_folder import DataFolder
from anel.cli.member import SERVING
from anel.cli.supervisor import Supervisor
from anel.cli.table import facts, plain

ACKNOWLEDGED = {
    "group": "on disk: a write is answered once the replicas it waits for have synced it",
    "periodic": "in memory, synced about once a second (--durability group: on disk first)",
    "none": "in memory, synced when the system likes (--durability group: on disk first)",
}


def ready_text(folder: DataFolder, ring: dict[str, Any], supervisor: Supervisor) -> str:
    """Write the table of a ring that has started."""
    members = supervisor.members
    up = sum(member.state == SERVING for member in members)
    count = f"{len(members)} node{'s' * (len(members) > 1)}"
    how_many = f"{count} up" if up == len(members) else f"{up} of {count} up"
    rows = [
        (
            str(member.number),
            member.facts["resp"],
            f"http://{member.facts['http']}/",
            member.facts["internode"],
            "-" if member.ready_after is None else f"{member.ready_after:.2f} s",
            "stopped" if member.engine.pid is None else str(member.engine.pid),
        )
        for member in members
    ]
    head = ("node", "redis", "status page", "between nodes", "ready", "process")
    first = next((m.facts for m in members if m.state == SERVING), members[0].facts)
    table = plain(head, rows, right=(0, 4, 5))
    return (
        f"Anel {anel.__version__}: {how_many} in {supervisor.ready_after or 0:.2f} s\n\n"
        f"{table}\n\n{facts(_hints(folder, ring, first))}\n"
    )


def _hints(
    folder: DataFolder, ring: dict[str, Any], first: dict[str, Any]
) -> list[tuple[str, str]]:
    port = first["resp"].rpartition(":")[2]
    where = folder.option
    return [
        ("connect", f"redis-cli -p {port}    or in Python: redis.Redis(port={port})"),
        ("look", f"anel status{where}    or open http://{first['http']}/"),
        ("data", f"{folder.path}    logs: {folder.path}/nodeK/anel.log"),
        ("an ack", ACKNOWLEDGED[ring["durability"]]),
        ("break it", f"anel kill 0{where}    then anel start 0; or pause 0, resume 0"),
        ("stop", f"Ctrl-C here, or anel down{where}"),
    ]


def ready_json(folder: DataFolder, ring: dict[str, Any], supervisor: Supervisor) -> str:
    """Write the same for programs, on one line."""
    nodes = [
        {
            "node": member.number,
            "node_id": member.facts["node_id"],
            "state": member.state,
            "pid": member.engine.pid,
            "ready_seconds": member.ready_after,
            "resp": member.facts["resp"],
            "http": member.facts["http"],
            "internode": member.facts["internode"],
        }
        for member in supervisor.members
    ]
    return json.dumps(
        {
            "version": anel.__version__,
            "data": str(folder.path),
            "ready_seconds": supervisor.ready_after,
            "port_offset": ring["port_offset"],
            "durability": ring["durability"],
            "nodes": nodes,
        }
    )
