"""The status page: one self-contained document, whole without JavaScript.

The table and the ring are written here; `page.js` only brings numbers and states up to date,
and loads the page anew when the ring's members change.
"""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from html import escape
from pathlib import Path

from anel.doors.http.backend import KeyspaceReport, NodeReport, RingReport, StatusReport
from anel.doors.http.request import Response
from anel.doors.http.ring_picture import picture

_HTML = "text/html; charset=utf-8"
_SIGNS = {"up": "●", "suspect": "◐", "dead": "✕", "joining": "◌", "recovering": "↻"}
_REACHABLE = ("up", "suspect", "recovering")
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Ccircle cx='8' cy='8' r='5.5' fill='none' stroke='%230b7285' stroke-width='3'/%3E"
    "%3C/svg%3E"
)


def page(status: StatusReport, ring: RingReport) -> Response:
    """Write the page."""
    nodes = sorted(status.nodes, key=_by_address)
    numbers = {node.id: number for number, node in enumerate(nodes)}
    ranges = [(int(part.token), numbers[part.node]) for part in ring.ranges]
    up = [node.state in _REACHABLE for node in nodes]
    title = f"The ring: {len(ranges)} token ranges over {len(nodes)} nodes"
    style, script = _asset("page.css"), _asset("page.js")
    body = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Anel · {escape(status.cluster_name)}</title>
<link rel="icon" href="{_ICON}">
<style>{style}</style>
</head>
<body data-epoch="{status.epoch}" data-nodes="{escape(" ".join(node.id for node in nodes))}">
<header>
<h1>Anel <span>{escape(status.cluster_name)}</span></h1>
<p id="summary">{escape(summary(status))}</p>
</header>
<p id="lost" role="alert" hidden></p>
<main>
<div>
<section class="map" aria-label="Ring">
{picture(ranges, up=up, title=title) if ranges else ""}
<p class="hub"><b id="up-count">{sum(up)} of {len(nodes)}</b><span>nodes up</span>
<small>epoch {status.epoch}</small></p>
</section>
<section class="behind">
<h2>Not yet everywhere</h2>
<ul id="behind">{"".join(f"<li>{escape(line)}</li>" for line in _behind(status))}</ul>
<p id="next">{escape("Next: " + status.next_step if status.next_step else "")}</p>
</section>
</div>
<div>
<section class="nodes">
<h2>Nodes</h2>
<div class="scroll"><table>
<thead><tr><th scope="col">Node</th><th scope="col">State</th><th scope="col">Redis door</th>
<th scope="col" class="num">Share</th><th scope="col" class="num">Rows</th>
<th scope="col" class="num">Disk</th><th scope="col" class="num">Hints kept</th>
<th scope="col">In sync</th></tr></thead>
<tbody>
{"".join(_node_row(number, node) for number, node in enumerate(nodes))}
</tbody></table></div>
<p class="note">Node {numbers.get(status.node, "?")} answers here. Share: the part of all tokens
a node owns first. Hints: writes kept for nodes that were away.</p>
</section>
<section class="levels">
<h2>What works now</h2>
<div class="scroll"><table>
<thead><tr><th scope="col">Keyspace</th><th scope="col" class="num">Copies</th>
{"".join(f'<th scope="col">{level}</th>' for level in _level_names(status))}</tr></thead>
<tbody id="keyspaces">
{"".join(_keyspace_row(keyspace) for keyspace in status.keyspaces)}
</tbody></table></div>
</section>
<section class="lookup">
<h2>Where is a key?</h2>
<form action="/lookup" method="get">
<label for="key">Key</label>
<input id="key" name="key" autocomplete="off" spellcheck="false" required
 placeholder="user:1, or 0x00ff">
<button>Look up</button>
</form>
<p id="found" role="status"></p>
</section>
</div>
</main>
<footer>
<nav aria-label="As data"><a href="/status">status</a> <a href="/ring">ring</a>
<a href="/keyspaces">keyspaces</a> <a href="/metrics">metrics</a></nav>
<p>release {escape(status.release)} · <span id="clock">as of loading</span></p>
</footer>
<script>{script}</script>
</body>
</html>
"""
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
    headers = (("Content-Security-Policy", policy), ("Referrer-Policy", "no-referrer"))
    return Response(body.encode(), _HTML, headers=headers)


def summary(status: StatusReport) -> str:
    """Say in one line how the ring is."""
    down = sum(node.state not in _REACHABLE for node in status.nodes)
    parts = [f"{down} of {len(status.nodes)} nodes down" if down else "All nodes are up"]
    lacking = [
        f"{name} in {keyspace.name}"
        for keyspace in status.keyspaces
        for name, part in keyspace.levels.items()
        if part < 1 and _can_work(keyspace, name)
    ]
    parts.append(f"not everywhere: {', '.join(lacking)}" if lacking else "every level works")
    if status.behind:
        parts.append("copies are still being compared or delivered")
    return "; ".join(parts) + "."


def _can_work(keyspace: KeyspaceReport, level: str) -> bool:
    """THREE at a factor of 2 never works, which is no news."""
    return {"TWO": 2, "THREE": 3}.get(level, 1) <= keyspace.replication


def _behind(status: StatusReport) -> list[str]:
    return status.behind or ["Nothing is known to lack."]


def _level_names(status: StatusReport) -> list[str]:
    return list(status.keyspaces[0].levels) if status.keyspaces else []


def _node_row(number: int, node: NodeReport) -> str:
    self_mark = ' <span class="self">this node</span>' if node.is_self else ""
    cells = {
        "rows": _count(node.rows),
        "disk": bytes_text(node.disk_bytes),
        "hints": _count(node.hints),
    }
    figures = "".join(
        f'<td class="num" data-field="{name}">{text}</td>' for name, text in cells.items()
    )
    damage = f'<p class="damage">{escape(node.damage)}</p>' if node.damage else ""
    return (
        f'<tr data-id="{escape(node.id)}" data-node="{number}" tabindex="0">'
        f'<th scope="row"><span class="key n{number % 8}">{number}</span> '
        f"<code>{escape(node.id[:8])}</code>{self_mark}{damage}</th>"
        f'<td data-field="state" class="state {escape(node.state)}">'
        f"{_SIGNS.get(node.state, '?')} {escape(node.state)}</td>"
        f"<td><code>{escape(node.doors.get('resp', '-'))}</code></td>"
        f'<td class="num">{node.share * 100:.1f} %</td>{figures}'
        f'<td data-field="sync">{_sync_text(node)}</td></tr>'
    )


def _sync_text(node: NodeReport) -> str:
    if node.in_sync:
        return "yes"
    return "-" if node.state == "dead" else "not yet"


def _keyspace_row(keyspace: KeyspaceReport) -> str:
    cells = "".join(
        f'<td data-level="{level}" class="{_level_class(part)}">{level_text(part)}</td>'
        for level, part in keyspace.levels.items()
    )
    mode = ' <span class="self">first copy</span>' if keyspace.first_copy else ""
    return (
        f'<tr data-keyspace="{escape(keyspace.name)}"><th scope="row">{escape(keyspace.name)}'
        f'{mode}</th><td class="num">{keyspace.replication}</td>{cells}</tr>'
    )


def _level_class(part: float) -> str:
    if part >= 1:
        return "works"
    return "partly" if part > 0 else "fails"


def level_text(part: float) -> str:
    """Say for which part of the keys a level works."""
    if part >= 1:
        return "✓ works"
    return f"◐ {part * 100:.0f} % of keys" if part > 0 else "✕ no"


def bytes_text(size: int) -> str:
    """Write a size for people: 1536 is 1.5 KB."""
    if size < 0:
        return "-"
    amount = float(size)
    for unit in ("B", "KB", "MB", "GB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TB"


def _count(number: int) -> str:
    return "-" if number < 0 else f"{number:,}"


def _by_address(node: NodeReport) -> tuple[str, int, str]:
    host, _, port = node.address.rpartition(":")
    return host, int(port) if port.isdecimal() else 0, node.id


@cache
def _asset(name: str) -> str:
    return Path(__file__).with_name(name).read_text("utf-8")


@cache
def _digest(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
