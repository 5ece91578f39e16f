"""Rewrite the generated parts of docs/reference/resp.md from the door's own tables.

    python -m tools.resp_reference          rewrite the page
    python -m tools.resp_reference --check  only say whether it is up to date

A part stands between `<!-- begin NAME -->` and `<!-- end NAME -->`; people write the rest.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from anel.doors.resp.command import Command
from anel.doors.resp.command_table import BY_NAME
from anel.doors.resp.later import LATER

PAGE = Path(__file__).resolve().parents[1] / "docs/reference/resp.md"
PART = re.compile(r"(<!-- begin (\w+) -->\n).*?(<!-- end \2 -->)", re.DOTALL)


def commands() -> Iterator[str]:
    """Give the table of the commands that are here."""
    yield "| Command | What it does | Cost | Differs from Redis |"
    yield "|---|---|---|---|"
    for command in BY_NAME.values():
        yield _row(command)
        for sub in command.subcommands:
            yield _row(sub)


def _row(command: Command) -> str:
    usage = f"{command.name.replace('|', ' ').upper()} {command.arguments}".strip()
    # A bar would end the table's cell, also inside code.
    cells = (f"`{usage}`", command.summary, command.complexity, command.note)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def later() -> Iterator[str]:
    """Give the list of the commands that are refused, each with its reason."""
    for reason, names in LATER.items():
        shown = " ".join(f"`{name.upper()}`" for name in sorted(names.split()))
        yield f"- {shown}: {reason.partition(';')[0]}."


def renewed(page: str) -> str:
    """Give the page with its generated parts as they should be."""
    parts = {"commands": commands, "later": later}

    def part(found: re.Match[str]) -> str:
        return found[1] + "".join(f"{line}\n" for line in parts[found[2]]()) + found[3]

    return PART.sub(part, page)


def main() -> int:
    """Rewrite the page, or check it; 1 when the check fails."""
    page = PAGE.read_text()
    fresh = renewed(page)
    if "--check" in sys.argv:
        return int(page != fresh)
    PAGE.write_text(fresh)
    return 0


if __name__ == "__main__":
    sys.exit(main())
