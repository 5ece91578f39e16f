"""Under test: anel.cli.status joins what the nodes say, and names the next step."""

import json
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from anel.cli import status
from anel.cli.contact import Contact
from anel.cli.data_folder import DataFolder

Json: TypeAlias = Any

LEVELS = {"ONE": 1.0, "QUORUM": 1.0, "ALL": 0.0}


def node(letter: str, state: str = "up", *, rows: int = 0, is_self: bool = False) -> Json:
    return {
        "id": letter * 32,
        "address": "127.0.0.1:7000",
        "doors": {"http": f"{letter}:1", "resp": f"{letter}:2"},
        "state": state,
        "is_self": is_self,
        "share": 0.5,
        "rows": rows,
        "disk_bytes": 1024,
        "hints": 0,
        "in_sync": True,
        "damage": "",
    }


def report(*nodes: Json, behind: tuple[str, ...] = ()) -> Json:
    return {
        "cluster_name": "c",
        "epoch": 1,
        "nodes": list(nodes),
        "keyspaces": [
            {"name": "redis", "replication": 3, "first_copy": False, "levels": LEVELS}
        ],
        "behind": list(behind),
        "next_step": "",
    }


class FixedContact(Contact):
    def __init__(self, answer: Json) -> None:
        super().__init__([], "")
        self.answer = answer

    def get(self, path: str, **_: str) -> Json:
        assert path == "/status"
        return self.answer


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(str(tmp_path))


def test_each_node_is_believed_about_itself(
    monkeypatch: pytest.MonkeyPatch, folder: DataFolder
) -> None:
    own = report(node("b", rows=7, is_self=True), behind=("b lags",))
    monkeypatch.setattr(status, "ask_all", lambda *_: {"b:1": own})
    seen = report(node("a", is_self=True), node("b", rows=3), behind=("a lags",))
    joined = status.gather(FixedContact(seen), folder)
    assert [each["rows"] for each in joined["nodes"]] == [0, 7]
    assert joined["behind"] == ["a lags", "b lags"]
    assert joined["nodes"][0]["state"] == "silent"


def test_a_stopped_node_of_anel_up_is_numbered_and_its_start_is_the_next_step(
    monkeypatch: pytest.MonkeyPatch,
    folder: DataFolder,
    capsys: pytest.CaptureFixture[str],
) -> None:
    facts = {"node": 1, "node_id": "b" * 32, "pid": None, "http": "b:1"}
    folder.write({"format": 1, "nodes": [facts], "up": None})
    folder.lock()
    seen = report(node("a", is_self=True), node("b", "dead"))
    monkeypatch.setattr(status, "ask_all", lambda *_: {"a:1": seen})
    assert status.status(FixedContact(seen), folder, as_json=False) == 1
    text = capsys.readouterr().out
    assert "1 of 2 nodes up" in text
    assert "stopped" in text
    assert f"anel start 1 --data {folder.path}" in text
    assert "redis (replication 3): ONE, QUORUM; not ALL" in text


def test_all_well_ends_with_0_and_json_holds_everything(
    monkeypatch: pytest.MonkeyPatch,
    folder: DataFolder,
    capsys: pytest.CaptureFixture[str],
) -> None:
    seen = report(node("a", is_self=True))
    monkeypatch.setattr(status, "ask_all", lambda *_: {"a:1": seen})
    assert status.status(FixedContact(seen), folder, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["nodes"][0]["disk_bytes"] == 1024
