"""Under test: the links and the pictures of every page of documentation lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def anchors(page: Path) -> set[str]:
    """List the anchors that a page's headings make, spelt as code hosts spell them."""
    texts = HEADING.findall(page.read_text())
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in texts}


def broken(page: Path, text: str) -> list[str]:
    """List the links of a page's text that lead nowhere."""
    found = []
    for link in LINK.findall(CODE.sub("", text)):
        if link.startswith(("http:", "https:", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert broken(page, page.read_text()) == []


def test_a_broken_link_is_found() -> None:
    assert broken(ROOT / "README.md", "[a](nowhere.md) [b](LICENSE)") == ["nowhere.md"]
    assert broken(ROOT / "README.md", "[a](README.md#no-such-part)") == [
        "README.md#no-such-part"
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_says_what_it_is_in_its_first_line(page: Path) -> None:
    assert page.read_text().startswith("# ")
