"""Under test: anel.cli.up_options reads what is well-formed and leaves the rest to click."""

import pytest

from anel.cli.up_options import UpOptions, read


def as_dict(options: UpOptions) -> dict[str, object]:
    return {name: getattr(options, name) for name in options.__slots__}


def test_nothing_said_means_the_defaults() -> None:
    options = read([])
    assert options is not None
    assert as_dict(options) == as_dict(UpOptions())


def test_every_option_is_read_in_both_forms() -> None:
    numbers = ["--nodes", "5", "--replication=2", "--port-offset", "0"]
    texts = ["--data=here", "--durability", "none"]
    options = read([*numbers, *texts, "--in-process", "--detach", "--json"])
    assert options is not None
    assert as_dict(options) == {
        "nodes": 5,
        "data": "here",
        "durability": "none",
        "replication": 2,
        "port_offset": 0,
        "in_process": True,
        "detach": True,
        "json": True,
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--nodes"],
        ["--nodes", "0"],
        ["--nodes", "101"],
        ["--nodes", "-1"],
        ["--nodes", "three"],
        ["--nodes", "\N{ARABIC-INDIC DIGIT THREE}"],
        ["--durability", "fast"],
        ["--data", ""],
        ["--detach=yes"],
        ["3"],
    ],
)
def test_what_is_not_understood_is_left_to_click(arguments: list[str]) -> None:
    assert read(arguments) is None
