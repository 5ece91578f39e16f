"""Under test: docs/reference/cli.md has every command and option, as click has them."""

from collections.abc import Iterator
from pathlib import Path

import click

from anel.cli.commands import cli

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/cli.md"


def commands(group: click.Group, path: str = "anel") -> Iterator[tuple[str, click.Command]]:
    """List every command with the words that call it."""
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def described(path: str, command: click.Command) -> Iterator[str]:
    """Give the lines that the page should hold on a command."""
    arguments = [p.human_readable_name for p in command.params if isinstance(p, click.Argument)]
    yield f"## {' '.join([path, *arguments])}"
    yield (command.help or "").partition("\n\n")[0].replace("\n", " ").strip()
    for option in command.params:
        if isinstance(option, click.Option):
            yield f"| `{', '.join(option.opts)}` | {option.help} |"


def test_every_command_and_option_is_documented_with_its_own_words() -> None:
    lines = PAGE.read_text().splitlines()
    for path, command in commands(cli):
        for line in described(path, command):
            assert line in lines


def test_no_command_is_documented_that_is_not_there() -> None:
    heads = [line[3:] for line in PAGE.read_text().splitlines() if line.startswith("## anel")]
    assert sorted(heads) == sorted(next(described(*each))[3:] for each in commands(cli))
