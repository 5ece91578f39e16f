"""Data folders of every released store format are opened and read by this release."""

import json
import shutil
from pathlib import Path

import pytest

from anel.storage.folder import FORMAT
from tests.formats.make_store import HERE, content, open_store

FORMATS = range(1, FORMAT + 1)


@pytest.mark.parametrize("number", FORMATS)
def test_a_store_of_this_format_holds_what_was_written(tmp_path: Path, number: int) -> None:
    shutil.copytree(HERE / f"store-{number}", tmp_path / "store")
    store = open_store(tmp_path / "store")
    assert (store.recovering, store.damage) == (False, "")
    while store.work(1):
        pass
    assert content(store) == json.loads((HERE / f"store-{number}.json").read_text())
    store.close()


def test_the_folder_is_of_kilobytes_and_names_no_machine() -> None:
    files = [file for file in HERE.glob("store-*/**/*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 64 * 1024
    for file in files:
        data = file.read_bytes()
        assert b"/tmp" not in data
        assert b"/work" not in data
        assert b"/home" not in data
