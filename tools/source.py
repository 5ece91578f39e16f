"""What the linters of this folder share: the modules to read, and how a complaint looks."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, order=True)
class Complaint:
    """One sentence about one line."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


@dataclass(frozen=True)
class Source:
    """One module: where it lies under the root, its text, and its syntax tree."""

    path: str
    text: str
    tree: ast.Module
    broken: Complaint | None = None

    @classmethod
    def parse(cls, path: str, text: str) -> "Source":
        """Read a module from its text; one that is no Python has an empty tree."""
        try:
            return cls(path, text, ast.parse(text, path))
        except SyntaxError as error:
            return cls(
                path, text, ast.Module([], []), Complaint(path, error.lineno or 1, error.msg)
            )

    def complain(self, node: ast.AST | int, text: str) -> Complaint:
        """Say something about a node of this module, or about a line."""
        line = node if isinstance(node, int) else getattr(node, "lineno", 1)
        return Complaint(self.path, line, text)


def sources(*folders: str, root: Path = ROOT) -> Iterator[Source]:
    """Yield every Python module under the folders, in order of path."""
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            yield Source.parse(str(path.relative_to(root)), path.read_text())
