"""A node's identity on disk: an id for life, a generation per start, and clear refusals."""

import json
from pathlib import Path

import pytest

from anel.env import NodeId
from anel.errors import ConfigurationError, UnknownFormat
from anel.runtime.identity import begin_life, note_store

OWN = NodeId(b"0123456789abcdef")


def test_the_id_stays_and_the_generation_grows(tmp_path: Path) -> None:
    first = begin_life(tmp_path / "new", "anel", None)
    second = begin_life(tmp_path / "new", "anel", None)
    assert (first.generation, second.generation) == (1, 2)
    assert first.node == second.node
    assert len(first.node) == 16
    assert begin_life(tmp_path / "other", "anel", None).node != first.node


def test_an_id_can_be_given_and_is_kept(tmp_path: Path) -> None:
    assert begin_life(tmp_path, "anel", OWN).node == OWN
    assert begin_life(tmp_path, "anel", None).node == OWN
    with pytest.raises(ConfigurationError, match="keeps its id for life"):
        begin_life(tmp_path, "anel", NodeId(bytes(16)))


def test_the_rings_name_never_changes(tmp_path: Path) -> None:
    begin_life(tmp_path, "anel", None)
    with pytest.raises(ConfigurationError, match=r"'other' and .* says 'anel'"):
        begin_life(tmp_path, "other", None)


def test_another_releases_folder_is_refused_untouched(tmp_path: Path) -> None:
    text = json.dumps({"format": 2, "something": "else"})
    (tmp_path / "node.json").write_text(text)
    with pytest.raises(UnknownFormat, match="format 2 and this release reads 1"):
        begin_life(tmp_path, "anel", None)
    assert (tmp_path / "node.json").read_text() == text


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", '{"format": 1}', '{"format": 1, "node_id": 3}']
)
def test_a_broken_file_is_named_with_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / "node.json").write_text(text)
    with pytest.raises(ConfigurationError, match=r"node\.json cannot be read .* restore it"):
        begin_life(tmp_path, "anel", None)


def test_a_store_without_its_node_is_not_given_a_new_id(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "FORMAT").write_text("x")
    with pytest.raises(ConfigurationError, match="is missing although"):
        begin_life(tmp_path, "anel", None)
    assert begin_life(tmp_path, "anel", OWN).node == OWN


def test_that_a_store_was_made_is_remembered_over_starts(tmp_path: Path) -> None:
    first = begin_life(tmp_path, "anel", None)
    assert not first.has_store
    assert not begin_life(tmp_path, "anel", None).has_store
    note_store(tmp_path, first)
    assert begin_life(tmp_path, "anel", None).has_store
