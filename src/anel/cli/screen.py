"""Puts answers on the screen: rich on a terminal, plain in a pipe, JSON on request."""

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from anel.cli import table

KIB = 1024


def emit(answer: Any, *, as_json: bool, text: Callable[[], str]) -> None:  # noqa: ANN401
    """Write an answer to standard output."""
    written = json.dumps(answer, indent=1) if as_json else text()
    sys.stdout.write(written.rstrip("\n") + "\n")


def table_text(head: table.Row, rows: Sequence[table.Row], *, right: Sequence[int] = ()) -> str:
    """Lay out a table: with rules and colours where a person looks at it."""
    if not sys.stdout.isatty():
        return table.plain(head, rows, right=right)
    from io import StringIO

    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    sheet = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column, name in enumerate(head):
        sheet.add_column(name, justify="right" if column in right else "left", no_wrap=True)
    for row in rows:
        sheet.add_row(*(Text(cell, style=_COLOURS.get(cell, "")) for cell in row))
    screen = Console(file=StringIO(), force_terminal=True, width=_width())
    with screen.capture() as capture:
        screen.print(sheet)
    return "\n".join(line.rstrip() for line in capture.get().splitlines() if line.strip())


_COLOURS = {
    "up": "green",
    "suspect": "yellow",
    "paused": "yellow",
    "silent": "yellow",
    "recovering": "yellow",
    "not yet": "yellow",
    "dead": "red",
    "stopped": "red",
}


def facts_text(pairs: Sequence[tuple[str, str]]) -> str:
    """Lay out names and what belongs to each."""
    return table.facts(pairs)


def share_text(part: float) -> str:
    """Write a part of a whole."""
    return f"{100 * part:.1f} %"


def bytes_text(size: int) -> str:
    """Write a size in the unit that suits it; - when it is not known."""
    if size < 0:
        return "-"
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < KIB:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= KIB
    return f"{amount:.1f} TiB"


def _width() -> int:
    from shutil import get_terminal_size

    return get_terminal_size().columns
