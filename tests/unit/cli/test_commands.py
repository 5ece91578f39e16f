"""Under test: anel.cli.commands: `up` is the same both ways; exit codes."""

import json
import sys

import click
import pytest
from click.testing import CliRunner

import anel
from anel.cli import commands, up_options
from anel.cli.failures import EXIT_FAILED, EXIT_USAGE
from anel.config import default_text


def test_up_has_the_same_options_both_ways() -> None:
    names = {option for p in commands.up.params for option in p.opts}
    assert names == {*up_options._FLAGS, *up_options._VALUES}
    assert {p.name for p in commands.up.params} == set(up_options.UpOptions.__slots__)


def test_up_has_the_same_defaults_and_bounds_both_ways() -> None:
    defaults = up_options.UpOptions()
    parsed = commands.up.make_context("up", []).params
    assert parsed == {name: getattr(defaults, name) for name in defaults.__slots__}
    for param in commands.up.params:
        if isinstance(param.type, click.IntRange):
            assert (param.type.min, param.type.max) == up_options._BOUNDS[param.name or ""]


def test_version_is_told_in_words_and_in_json() -> None:
    assert f"anel {anel.__version__}" in CliRunner().invoke(commands.cli, ["version"]).output
    told = CliRunner().invoke(commands.cli, ["version", "--json"]).output
    assert json.loads(told)["anel"] == anel.__version__


def test_config_writes_the_default_file() -> None:
    assert CliRunner().invoke(commands.cli, ["config"]).output == default_text()


def exit_code(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["anel", *arguments])
    return commands.run()


def test_a_wrong_call_ends_with_2_and_says_how(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(monkeypatch, "up", "--nodes", "none") == EXIT_USAGE
    assert exit_code(monkeypatch, "keyspace", "alter", "x") == EXIT_USAGE
    assert "--first-copy on|off" in capsys.readouterr().err


def test_a_failure_ends_with_1_a_code_and_the_next_step(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: object,
) -> None:
    assert exit_code(monkeypatch, "start", "0", "--data", str(tmp_path)) == EXIT_FAILED
    error = capsys.readouterr().err
    assert error.startswith("L4: there is no ring in ")
    assert "`anel up`" in error
