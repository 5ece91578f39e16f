"""`anel ring`: the vnodes in token order, and who holds them."""

from typing import Any

from anel.cli.contact import Contact
from anel.cli.data_folder import DataFolder
from anel.cli.screen import emit, table_text


def ring_map(contact: Contact, folder: DataFolder, *, as_json: bool) -> None:
    """Show which node holds which token range."""
    report = contact.get("/ring")
    emit(report, as_json=as_json, text=lambda: _text(report, node_names(folder)))


def node_names(folder: DataFolder) -> dict[str, str]:
    """Map node ids to the numbers that `anel up` gave them."""
    ring = folder.read()
    return {node["node_id"]: f"node {node['node']}" for node in ring["nodes"]} if ring else {}


def _text(report: dict[str, Any], names: dict[str, str]) -> str:
    ranges = report["ranges"]
    rows = []
    for index, piece in enumerate(ranges):
        # The first range begins after the last token: a ring has no end.
        before = ranges[index - 1]["token"]
        rows.append((before, piece["token"], names.get(piece["node"], "-"), piece["node"][:8]))
    table = table_text(("after token", "up to", "node", "id"), rows, right=(0, 1))
    return (
        f"{len(ranges)} ranges, epoch {report['epoch']}, {report['partitioner']}; each node "
        f"holds the first copy of its ranges, the next nodes the others\n\n{table}"
    )
