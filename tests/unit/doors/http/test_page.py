"""The status page: whole without JavaScript, and nothing from the ring is read as markup."""

import re
from html.parser import HTMLParser

import pytest

from anel.doors.http.page import bytes_text, level_text, page, summary
from anel.doors.http.ring_picture import arcs_of, picture
from tests.unit.doors.http.node import FakeNode

VOID = {"meta", "link", "input", "br"}


class Outline(HTMLParser):
    """Checks that tags are balanced and collects text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.ids: list[str] = []
        self.inline_styles = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        self.inline_styles += "style" in names
        if "id" in names:
            self.ids.append(str(names["id"]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, _: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inline_styles += "style" in dict(attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data


def outline() -> tuple[str, Outline]:
    node = FakeNode()
    text = page(node.status(), node.ring_report()).body.decode()
    found = Outline()
    found.feed(text)
    found.close()
    return text, found


def test_the_table_tells_everything_without_javascript() -> None:
    _, found = outline()
    assert found.open == []
    for word in ("1,234", "✕ dead", "● up", "50.0 %", "◐ 50 % of keys", "✕ no", "start it"):
        assert word in found.text
    assert "5 mutations wait" in found.text
    assert len(found.ids) == len(set(found.ids))


def test_nothing_from_the_ring_is_read_as_markup() -> None:
    text, found = outline()
    assert "<b>bits" not in text
    assert "<b>bits</b>" in found.text  # As text.
    assert "<ring>" in found.text


def test_the_page_allows_only_its_own_style_and_script() -> None:
    node = FakeNode()
    policy = dict(page(node.status(), node.ring_report()).headers)["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert len(re.findall(r"'sha256-[A-Za-z0-9+/]{43}='", policy)) == 2
    assert "unsafe" not in policy
    _, found = outline()
    assert found.inline_styles == 0


def test_the_page_asks_no_other_host_for_anything() -> None:
    text, _ = outline()
    without_names = text.replace("http://www.w3.org/2000/svg", "")
    assert "http://" not in without_names
    assert "https://" not in without_names


def test_arcs_cover_the_ring_once() -> None:
    arcs = arcs_of([(-(2**62), 0), (0, 1), (2**62, 2)])
    assert sum(arc.end - arc.start for arc in arcs) == pytest.approx(1)
    assert [arc.end for arc in arcs] == [0.25, 0.5, 0.75]
    assert arcs_of([(7, 0)])[0].end - arcs_of([(7, 0)])[0].start == 1


def test_a_node_that_is_down_is_hatched_and_numbered() -> None:
    text = picture([(0, 0), (2**62, 1)], up=[True, False], title="two")
    assert text.count('class="arc n1 down"') == 1
    assert text.count('class="arc n0"') == 1
    assert ">1</text>" in text


def test_sizes_and_parts_are_words() -> None:
    assert [bytes_text(size) for size in (-1, 0, 1536, 5 << 30, 3 << 50)] == [
        "-", "0 B", "1.5 KB", "5.0 GB", "3072.0 TB",
    ]  # fmt: skip
    assert [level_text(part) for part in (1, 0.25, 0)] == ["✓ works", "◐ 25 % of keys", "✕ no"]


def test_the_summary_names_what_does_not_work_and_could() -> None:
    text = summary(FakeNode().status())
    assert text.startswith("1 of 2 nodes down; not everywhere: QUORUM in redis, ALL in redis;")
    assert "THREE" not in text  # Two copies never make three.
