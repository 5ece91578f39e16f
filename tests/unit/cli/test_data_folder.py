"""Under test: anel.cli.data_folder: rings drawn up, kept, recognised, and locked."""

import json
import os
import tomllib
from pathlib import Path

import pytest

from anel.cli.data_folder import DataFolder, make_ring, node_text, place
from anel.cli.failures import CommandFailed, DataInUse, NothingRuns, RingDiffers
from anel.cli.up_options import UpOptions
from anel.config import check


def asked(**wanted: object) -> UpOptions:
    options = UpOptions()
    for name, value in wanted.items():
        setattr(options, name, value)
    return options


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(str(tmp_path))


def test_a_new_ring_has_its_own_ids_tokens_and_replication(folder: DataFolder) -> None:
    ring = make_ring(folder, asked(nodes=5))
    assert ring["replication"] == 3
    assert len({node["node_id"] for node in ring["nodes"]}) == 5
    tokens = [token for node in ring["nodes"] for token in node["tokens"]]
    assert len(set(tokens)) == 5 * 16
    assert make_ring(folder, asked(nodes=2))["replication"] == 2
    assert make_ring(folder, asked())["nodes"][2:]


def test_the_settings_written_for_a_node_are_ones_a_node_accepts(folder: DataFolder) -> None:
    ring = make_ring(folder, asked(nodes=3))
    place(folder, ring, 200, "periodic")
    text = (folder.node_folder(1) / "anel.toml").read_text()
    assert text == node_text(ring, ring["nodes"][1])
    config = check(tomllib.loads(text), {})
    assert config.address("resp") == ("127.0.0.1", 6580)
    assert config.advertised == config.initial_ring[1].endpoint
    assert config.id == config.initial_ring[1].id
    assert config.tokens == config.initial_ring[1].tokens
    assert config.redis_replication == 3
    assert not config.has_served
    ring["nodes"][1]["has_served"] = True
    assert check(tomllib.loads(node_text(ring, ring["nodes"][1])), {}).has_served


def test_a_kept_ring_is_read_back_and_others_are_refused(folder: DataFolder) -> None:
    ring = make_ring(folder, asked(nodes=2))
    folder.write(ring)
    assert make_ring(folder, asked()) == ring
    assert make_ring(folder, asked(nodes=2, replication=2)) == ring
    with pytest.raises(RingDiffers, match="2 nodes, not 3"):
        make_ring(folder, asked(nodes=3))
    with pytest.raises(RingDiffers, match="replication 2, not 1"):
        make_ring(folder, asked(replication=1))


def test_data_without_its_ring_is_not_taken_for_a_new_one(folder: DataFolder) -> None:
    folder.node_folder(0).mkdir()
    (folder.node_folder(0) / "node.json").write_text("{}")
    with pytest.raises(RingDiffers, match=r"no ring\.json"):
        make_ring(folder, asked())


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 99}'])
def test_a_ring_file_that_makes_no_sense_is_refused(folder: DataFolder, text: str) -> None:
    folder.ring_file.write_text(text)
    with pytest.raises(CommandFailed):
        folder.read()


def test_a_folder_is_locked_once_and_a_leftover_lock_is_nothing(folder: DataFolder) -> None:
    folder.ring_file.write_text(json.dumps({"format": 1, "nodes": []}))
    (folder.path / "up.lock").write_text("99999\n")
    assert not folder.is_locked()
    folder.lock()
    assert folder.is_locked()
    with pytest.raises(DataInUse, match=f"process {os.getpid()}"):
        DataFolder(str(folder.path)).lock()
    folder.unlock()
    assert not folder.is_locked()


def test_nothing_runs_where_no_up_holds_the_lock(folder: DataFolder) -> None:
    with pytest.raises(NothingRuns, match="there is no ring"):
        folder.running()
    folder.write({"format": 1, "nodes": [], "up": {"pid": 1, "control": "x"}})
    with pytest.raises(NothingRuns, match="no `anel up` runs"):
        folder.running()
