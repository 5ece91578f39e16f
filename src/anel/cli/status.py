"""`anel status`: each node's own word, what works now, what lags, what to do next."""

from typing import Any

from anel.cli.contact import Contact, ask_all
from anel.cli.data_folder import DataFolder
from anel.cli.failures import EXIT_FAILED, EXIT_WELL
from anel.cli.screen import bytes_text, emit, facts_text, share_text, table_text

UP = "up"
UNKNOWN = -1


def status(contact: Contact, folder: DataFolder, *, as_json: bool) -> int:
    """Show how the ring is; exit 0 only when every node is up and in order."""
    report = gather(contact, folder)
    emit(report, as_json=as_json, text=lambda: _text(report))
    well = all(node["state"] == UP and not node["damage"] for node in report["nodes"])
    return EXIT_WELL if well else EXIT_FAILED


def gather(contact: Contact, folder: DataFolder) -> dict[str, Any]:
    """Ask every node of the ring and join what they say.

    Each node is the best witness of its own rows, disk and hints; of a node that does not
    answer the others' word is kept.
    """
    report: dict[str, Any] = contact.get("/status")
    doors = {node["id"]: node["doors"].get("http", "") for node in report["nodes"]}
    local = {node["node_id"]: node for node in _local_nodes(folder)}
    for node, facts in local.items():
        if not doors.get(node) and node in doors:
            doors[node] = facts.get("http", "")
    answers = ask_all([door for door in doors.values() if door], "/status")
    behind = list(report["behind"])
    for node in report["nodes"]:
        _number(node, local)
        own = answers.get(doors[node["id"]])
        if own is None:
            if node["state"] == UP:
                node["state"] = "silent"
            continue
        behind += [line for line in own["behind"] if line not in behind]
        for mine in own["nodes"]:
            if mine["is_self"] and mine["id"] == node["id"]:
                node.update({name: mine[name] for name in mine if name != "is_self"})
    report["behind"] = behind
    report["next_step"] = _next_step(report, folder)
    return report


def _local_nodes(folder: DataFolder) -> list[dict[str, Any]]:
    ring = folder.read()
    return ring["nodes"] if ring else []


def _number(node: dict[str, Any], local: dict[str, dict[str, Any]]) -> None:
    """Give a node of `anel up` its number there, and say `paused` or `stopped` if it is."""
    facts = local.get(node["id"])
    if facts is None:
        return
    node["node"] = facts["node"]
    if facts.get("paused"):
        node["state"] = "paused"
    elif not facts.get("pid"):
        node["state"] = "stopped"


def _next_step(report: dict[str, Any], folder: DataFolder) -> str:
    where = folder.option
    for node in report["nodes"]:
        if "node" in node and node["state"] == "stopped":
            if folder.is_locked():
                return f"anel start {node['node']}{where}"
            return f"anel up{where}"
        if "node" in node and node["state"] == "paused":
            return f"anel resume {node['node']}{where}"
    return str(report["next_step"])


def _text(report: dict[str, Any]) -> str:
    nodes = sorted(report["nodes"], key=lambda node: (node.get("node", 0), node["id"]))
    up = sum(node["state"] == UP for node in nodes)
    title = (
        f"Ring {report['cluster_name']}: {up} of {len(nodes)} nodes up, epoch {report['epoch']}"
    )
    head = ("node", "id", "state", "in sync", "share", "rows", "disk", "hints kept", "redis")
    rows = [
        (
            str(node.get("node", "-")),
            node["id"][:8],
            node["state"],
            "yes" if node["in_sync"] else "not yet",
            share_text(node["share"]),
            _count(node["rows"]),
            bytes_text(node["disk_bytes"]),
            _count(node["hints"]),
            node["doors"].get("resp", "-"),
        )
        for node in nodes
    ]
    return (
        f"{title}\n\n{table_text(head, rows, right=(0, 4, 5, 6, 7))}\n\n"
        f"{facts_text(_facts(report, nodes))}"
    )


def _facts(report: dict[str, Any], nodes: list[dict[str, Any]]) -> list[tuple[str, str]]:
    pairs = [
        ("works now", "\n".join(_levels(keyspace) for keyspace in report["keyspaces"]) or "-"),
        ("not everywhere", "\n".join(report["behind"]) or "nothing is known to lack"),
    ]
    damage = [f"{node['id'][:8]}: {node['damage']}" for node in nodes if node["damage"]]
    if damage:
        pairs.append(("damage", "\n".join(damage)))
    pairs.append(("next", report["next_step"] or "nothing to do"))
    return pairs


def _levels(keyspace: dict[str, Any]) -> str:
    everywhere = [name for name, part in keyspace["levels"].items() if part >= 1]
    partly = [
        f"{name} for {share_text(part)} of keys"
        for name, part in keyspace["levels"].items()
        if 0 < part < 1
    ]
    nowhere = [name for name, part in keyspace["levels"].items() if part <= 0]
    words = [", ".join(everywhere) or "no level everywhere", *partly]
    words += [f"not {', '.join(nowhere)}"] if nowhere else []
    first_copy = ", first copy" if keyspace["first_copy"] else ""
    return (
        f"{keyspace['name']} (replication {keyspace['replication']}{first_copy}): "
        f"{'; '.join(words)}"
    )


def _count(number: int) -> str:
    return "-" if number == UNKNOWN else f"{number:,}"
