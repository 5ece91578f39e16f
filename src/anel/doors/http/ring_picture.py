"""The ring as an SVG picture: one arc per vnode, as long as its share of the tokens.

A node's arcs carry its colour, its number, and when it is down a hatching: no meaning is told
by colour alone. Tokens begin at the top and grow clockwise.
"""

from collections.abc import Sequence
from math import cos, pi, sin
from typing import NamedTuple

_SPACE = 1 << 64
_HALF = 1 << 63
_OUTER = 150.0
_INNER = 116.0
_LABEL = 133.0
_LABELLED_MIN = 0.011  # A turn's part below which a number would not fit on its arc.
_SEAM = 0.0009  # Of a turn, left open between two arcs.
_SIZE = 320
_HATCH = (
    '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><rect class="gap" width="6" height="6"/>'
    '<line class="stroke" x1="0" y1="0" x2="0" y2="6"/></pattern></defs>'
)


class Arc(NamedTuple):
    """One vnode: parts of a turn from the top, clockwise; `end` may pass 1."""

    start: float
    end: float
    node: int


def arcs_of(ranges: Sequence[tuple[int, int]]) -> list[Arc]:
    """Turn (token, node's number) pairs in token order into arcs."""
    arcs = []
    for index, (token, node) in enumerate(ranges):
        before = ranges[index - 1][0]
        length = ((token - before) % _SPACE or _SPACE) / _SPACE
        end = (token + _HALF) / _SPACE
        arcs.append(Arc(end - length, end, node))
    return arcs


def picture(ranges: Sequence[tuple[int, int]], *, up: Sequence[bool], title: str) -> str:
    """Draw the ring.

    Args:
        ranges: (token, number of the node that owns the range ending there), in token order.
        up: For each node, by number, whether it can be reached.
        title: What the picture shows, for those who cannot see it; plain text without markup.
    """
    half = _SIZE // 2
    box = f"-{half} -{half} {_SIZE} {_SIZE}"
    parts = [f'<svg class="ring" viewBox="{box}" role="img" aria-label="{title}">', _HATCH]
    for arc in arcs_of(ranges):
        state = "" if up[arc.node] else " down"
        parts.append(
            f'<path class="arc n{arc.node % 8}{state}" data-node="{arc.node}" '
            f'd="{_band(arc)}"/>'
        )
        if arc.end - arc.start >= _LABELLED_MIN:
            x, y = _point((arc.start + arc.end) / 2, _LABEL)
            parts.append(
                f'<text class="mark{state}" data-node="{arc.node}" x="{x:.1f}" y="{y:.1f}">'
                f"{arc.node}</text>"
            )
    parts.append("</svg>")
    return "".join(parts)


def _band(arc: Arc) -> str:
    length = arc.end - arc.start
    seam = min(_SEAM, length / 4)
    start, end = arc.start + seam, arc.end - seam
    large = int(end - start > 0.5)
    ax, ay = _point(start, _OUTER)
    bx, by = _point(end, _OUTER)
    cx, cy = _point(end, _INNER)
    dx, dy = _point(start, _INNER)
    return (
        f"M{ax:.2f} {ay:.2f}A{_OUTER} {_OUTER} 0 {large} 1 {bx:.2f} {by:.2f}"
        f"L{cx:.2f} {cy:.2f}A{_INNER} {_INNER} 0 {large} 0 {dx:.2f} {dy:.2f}Z"
    )


def _point(turn: float, radius: float) -> tuple[float, float]:
    angle = 2 * pi * turn
    return radius * sin(angle), -radius * cos(angle)
