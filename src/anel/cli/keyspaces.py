"""`anel keyspace`: lists and changes keyspaces through a node's HTTP door."""

from typing import Any

from anel.cli.contact import Contact
from anel.cli.screen import emit, share_text, table_text

DONE = {"create": "made", "alter": "changed", "drop": "dropped"}


def show(contact: Contact, *, as_json: bool) -> None:
    """List the keyspaces."""
    report = contact.get("/keyspaces")
    emit(report, as_json=as_json, text=lambda: _text(report))


def change(
    contact: Contact, what: str, name: str, body: dict[str, Any], *, as_json: bool
) -> None:
    """Make, change or drop a keyspace."""
    contact.change("POST", "/keyspaces", {"do": what, "name": name, **body})
    text = f"keyspace {name} is {DONE[what]}"
    emit({"keyspace": name, "done": what}, as_json=as_json, text=lambda: text)


def _text(report: list[dict[str, Any]]) -> str:
    rows = [
        (
            keyspace["name"],
            str(keyspace["replication"]),
            "on" if keyspace["first_copy"] else "off",
            ", ".join(keyspace["tables"]) or "-",
            ", ".join(
                name if part >= 1 else f"{name} {share_text(part)}"
                for name, part in keyspace["levels"].items()
                if part > 0
            )
            or "none",
        )
        for keyspace in report
    ]
    return table_text(
        ("keyspace", "replication", "first copy", "tables", "levels that work"),
        rows,
        right=(1,),
    )
