"""Tables as plain text: columns in line, two spaces between, figures to the right."""

from collections.abc import Sequence

Row = Sequence[str]


def plain(head: Row, rows: Sequence[Row], *, right: Sequence[int] = ()) -> str:
    """Lay out rows under their heads.

    Args:
        head: One word or two per column.
        rows: As many cells each as `head` has.
        right: Columns, from 0, whose cells stand to the right.
    """
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = []
    for row in (head, *rows):
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(("  " + "  ".join(cells)).rstrip())
    return "\n".join(lines)


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """Lay out names and what belongs to each; further lines of a text are indented under it."""
    width = max(len(name) for name, _ in pairs)
    lines = []
    for name, text in pairs:
        for index, line in enumerate(text.split("\n")):
            lines.append(f"  {'' if index else name:<{width}}  {line}".rstrip())
    return "\n".join(lines)
