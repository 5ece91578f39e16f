"""The click tree of `anel`: options, help, and the way to each command's own module.

Imports of commands stay inside them: `anel version` need not load what `anel status` uses.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

import anel
from anel.cli.failures import EXIT_FAILED, EXIT_USAGE
from anel.cli.up_options import (
    DATA_DEFAULT,
    DURABILITIES,
    NODES_DEFAULT,
    NODES_MAX,
    OFFSET_MAX,
    UpOptions,
)
from anel.errors import AnelError

if TYPE_CHECKING:
    from anel.cli.contact import Contact
    from anel.cli.data_folder import DataFolder

F = TypeVar("F", bound=Callable[..., Any])

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 96}
DATA_HELP = "The folder that `anel up` made."


def _data(function: F) -> F:
    return click.option("--data", default=DATA_DEFAULT, show_default=True, help=DATA_HELP)(
        function
    )


def _contact(function: F) -> F:
    return click.option(
        "--contact",
        metavar="HOST:PORT",
        help="An HTTP door of the ring. Default: the nodes in --data, else 127.0.0.1:8500.",
    )(function)


def _json(function: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Write JSON, for programs.")(
        function
    )


def _ring_at(data: str, contact: str | None) -> "tuple[Contact, DataFolder]":
    from anel.cli.contact import find
    from anel.cli.data_folder import DataFolder

    folder = DataFolder(data)
    return find(contact, folder), folder


def run() -> int:
    """Run the command line of this process; give its exit code."""
    try:
        code = cli.main(prog_name="anel", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return EXIT_USAGE
    except click.Abort:
        click.echo("stopped", err=True)
        return EXIT_FAILED
    except AnelError as error:
        click.echo(str(error), err=True)
        return EXIT_FAILED
    except BrokenPipeError:
        return EXIT_FAILED
    return code if isinstance(code, int) else 0


@click.group(context_settings=SETTINGS)
def cli() -> None:
    """Anel: one masterless ring of equal peers.

    Start a ring with `anel up`, look at it with `anel status`, talk to it with redis-cli.
    """


@cli.command()
@click.option(
    "--nodes",
    type=click.IntRange(1, NODES_MAX),
    help=f"How many. Default: as many as the folder holds, else {NODES_DEFAULT}.",
)
@click.option(
    "--data", default=DATA_DEFAULT, show_default=True, help="Where the ring is or will be."
)
@click.option(
    "--durability",
    type=click.Choice(DURABILITIES),
    default="group",
    show_default=True,
    help="When a write is acknowledged: group = on disk, periodic = synced about once a "
    "second, none = synced when the system likes.",
)
@click.option(
    "--replication",
    type=click.IntRange(1, NODES_MAX),
    help="Copies of each row of keyspace redis, for a new ring. Default: min(3, nodes).",
)
@click.option(
    "--port-offset",
    type=click.IntRange(0, OFFSET_MAX),
    help="Added to every port. Default: the first of 0, 100, 200 ... at which all are free.",
)
@click.option("--in-process", is_flag=True, help="All nodes as threads of one process.")
@click.option(
    "--detach", is_flag=True, help="Return when the ring serves; `anel down` stops it."
)
@click.option("--json", is_flag=True, help="Write the table as JSON, on one line.")
def up(**given: Any) -> int:  # noqa: ANN401
    """Start a ring of nodes on this machine and run it until Ctrl-C.

    Node k (from 0) listens on 127.0.0.1: Redis 6379 + k, HTTP 8500 + k, between nodes 7000 + k;
    9042 + k and 8000 + k are reserved for CQL and DynamoDB.
    """
    from anel.cli.up import run as run_up

    options = UpOptions()
    for name, value in given.items():
        setattr(options, name, value)
    return run_up(options, time.monotonic())


@cli.command()
@_data
@click.option("--delete-data", is_flag=True, help="Delete the ring's data too; asks first.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_json
def down(*, data: str, delete_data: bool, yes: bool, as_json: bool) -> int:
    """Stop the ring that `anel up` runs in a folder."""
    from anel.cli.down import down as take_down

    return take_down(data, delete_data=delete_data, yes=yes, as_json=as_json)


def _order(what: str, text: str) -> None:
    @cli.command(name=what, help=text)
    @click.argument("node", type=click.IntRange(0))
    @_data
    @_json
    def order(*, node: int, data: str, as_json: bool) -> None:
        from anel.cli.control import tell
        from anel.cli.data_folder import DataFolder
        from anel.cli.screen import emit

        done = tell(DataFolder(data), {"do": what, "node": node})
        emit({"node": node, "text": done}, as_json=as_json, text=lambda: done)


_order("start", "Start node NODE of a running `anel up` again; returns when it serves.")
_order("kill", "Kill node NODE with -9, as a crash would.")
_order("pause", "Stop node NODE's process where it is: its connections stay open and silent.")
_order("resume", "Let a paused node NODE go on.")


@cli.command()
@click.option(
    "--config",
    "path",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The node's settings; `anel config` writes a commented default.",
)
def node(path: Path) -> int:
    """Run one node in the foreground until Ctrl-C."""
    from anel.runtime.process import main as run_node

    return run_node(["--config", str(path)])


@cli.command()
def config() -> None:
    """Write a commented default configuration: anel config > anel.toml."""
    from anel.config import default_text

    click.echo(default_text(), nl=False)


@cli.command()
@_data
@_contact
@_json
def status(*, data: str, contact: str | None, as_json: bool) -> int:
    """Show every node, which consistency levels work, what lags, and the next step.

    Exit code 0 when every node is up, else 1.
    """
    from anel.cli.status import status as show

    return show(*_ring_at(data, contact), as_json=as_json)


@cli.command()
@_data
@_contact
@_json
def ring(*, data: str, contact: str | None, as_json: bool) -> None:
    """Show which node holds which token range."""
    from anel.cli.ring_map import ring_map

    ring_map(*_ring_at(data, contact), as_json=as_json)


@cli.command()
@click.argument("key")
@click.option(
    "--table", default="redis.data", show_default=True, help="KEYSPACE.TABLE, or KEYSPACE."
)
@_data
@_contact
@_json
def lookup(*, key: str, table: str, data: str, contact: str | None, as_json: bool) -> None:
    """Show where KEY lives: its token, and its replicas in order.

    KEY is text, or bytes written as 0x...
    """
    from anel.cli.lookup import lookup as look

    look(*_ring_at(data, contact), key, table=table, as_json=as_json)


@cli.group()
def keyspace() -> None:
    """List, make, change and drop keyspaces, at any node."""


@keyspace.command(name="list")
@_data
@_contact
@_json
def list_keyspaces(*, data: str, contact: str | None, as_json: bool) -> None:
    """List the keyspaces."""
    from anel.cli.keyspaces import show

    show(_ring_at(data, contact)[0], as_json=as_json)


def _first_copy(function: F) -> F:
    return click.option(
        "--first-copy",
        type=click.Choice(["on", "off"]),
        help="Write and read at the first living copy clockwise from the key.",
    )(function)


@keyspace.command()
@click.argument("name")
@click.option(
    "--replication", type=click.IntRange(1), required=True, help="Copies of each row."
)
@_first_copy
@_data
@_contact
@_json
def create(
    *,
    name: str,
    replication: int,
    first_copy: str | None,
    data: str,
    contact: str | None,
    as_json: bool,
) -> None:
    """Make keyspace NAME."""
    from anel.cli.keyspaces import change

    body = {"replication": replication, "first_copy": first_copy == "on"}
    change(_ring_at(data, contact)[0], "create", name, body, as_json=as_json)


@keyspace.command()
@click.argument("name")
@click.option("--replication", type=click.IntRange(1), help="Copies of each row.")
@_first_copy
@_data
@_contact
@_json
def alter(
    *,
    name: str,
    replication: int | None,
    first_copy: str | None,
    data: str,
    contact: str | None,
    as_json: bool,
) -> None:
    """Change keyspace NAME."""
    from anel.cli.keyspaces import change

    body: dict[str, Any] = {}
    if replication is not None:
        body["replication"] = replication
    if first_copy is not None:
        body["first_copy"] = first_copy == "on"
    if not body:
        raise click.UsageError("say what to change: --replication N, --first-copy on|off")
    change(_ring_at(data, contact)[0], "alter", name, body, as_json=as_json)


@keyspace.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_data
@_contact
@_json
def drop(*, name: str, yes: bool, data: str, contact: str | None, as_json: bool) -> None:
    """Drop keyspace NAME and all that is in it; asks first."""
    from anel.cli.keyspaces import change

    where, _ = _ring_at(data, contact)
    if not yes:
        click.confirm(f"Drop keyspace {name} and all that is in it?", abort=True)
    change(where, "drop", name, {}, as_json=as_json)


@cli.command()
@_json
def version(*, as_json: bool) -> None:
    """Show the release."""
    import platform

    from anel.cli.screen import emit

    known = {"anel": anel.__version__, "python": platform.python_version()}
    emit(
        known, as_json=as_json, text=lambda: f"anel {known['anel']} (Python {known['python']})"
    )
