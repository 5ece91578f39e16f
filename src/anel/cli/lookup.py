"""`anel lookup KEY`: the token of a key and its replicas in order."""

from typing import Any

from anel.cli.contact import Contact
from anel.cli.data_folder import DataFolder
from anel.cli.ring_map import node_names
from anel.cli.screen import emit, facts_text, table_text


def lookup(
    contact: Contact, folder: DataFolder, key: str, *, table: str, as_json: bool
) -> None:
    """Show where a key lives."""
    report = contact.get("/lookup", key=key, table=table)
    emit(report, as_json=as_json, text=lambda: _text(report, node_names(folder)))


def _text(report: dict[str, Any], names: dict[str, str]) -> str:
    rows = [
        (
            str(copy),
            names.get(node["id"], "-"),
            node["id"][:8],
            node["state"],
            node["doors"].get("resp", "-"),
        )
        for copy, node in enumerate(report["replicas"], 1)
    ]
    told = facts_text(
        [("key", report["key"]), ("table", report["table"]), ("token", report["token"])]
    )
    replicas = table_text(("copy", "node", "id", "state", "redis"), rows, right=(0,))
    return f"{told}\n\n{replicas}"
