"""Check the house rules that no off-the-shelf linter knows.

* every module opens with a docstring, fits in a sitting, and its functions fit on a screen;
* nothing nests deeper than four blocks;
* classes, functions and modules use the words of the glossary, not their rivals;
* every module that does something is imported by a test, or by a module beside it that is;
* no text in the repository names a folder of somebody's machine.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import PurePosixPath

from tools.source import ROOT, Complaint, Source, sources

CHECKED = ("src", "tests", "tools", "bench", "demo")
MODULE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
NESTING_MAX = 4
FILE_BYTES_MAX = 200_000

# Longer than a sitting, each for a reason that was weighed.
LONG_MODULES: dict[str, str] = {}
LONG_FUNCTIONS = {
    "src/anel/doors/http/page.py:page": "a page's text, read from top to bottom",
    "src/anel/node/node.py:__init__": "one statement a part: the wiring in one place",
}
# Modules that tests reach without importing them.
RUN_AS_PROGRAMS = {
    "anel.cli.main": "tests/process and tests/clients run the command `anel`",
    "anel.cli.node_shell": "each node of `anel up` is a process that runs it",
    "anel.runtime.process": "`anel node` runs it",
    "anel.testing.plugin": "pytest loads it",
}
# Larger than a text should be, each for a reason that was weighed.
LARGE_FILES = re.compile(r"^tests/(golden|formats|vectors)/|\.png$|^docs/.*\.svg$")

CLASS_WORDS = re.compile(
    r"(Manager|Handler|Helper|Utils?|Impl|Abstract|Misc)(?![a-z])|^Base(?![a-z])"
)
WORDS = re.compile(
    r"(?:^|_)(master|slave|leader|shards?|whitelist|blacklist|gc_grace|n_val|nemesis|utils?"
    r"|misc|common)(?:_|$)"
)
SNAKE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
SOMEBODYS_FOLDER = re.compile(r"(?<![\w.])/(?:home|Users|root|work)/[\w.-]+")
BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def shape(source: Source) -> Iterator[Complaint]:
    """Yield what is wrong with a module's length, docstring, functions and nesting."""
    if source.text.strip() and ast.get_docstring(source.tree) is None:
        yield source.complain(1, "the module does not say what it is for")
    if (
        lines := source.text.count("\n")
    ) > MODULE_LINES_MAX and source.path not in LONG_MODULES:
        yield source.complain(
            1, f"{lines} lines, more than {MODULE_LINES_MAX}: split it by idea"
        )
    for node in ast.walk(source.tree):
        if isinstance(node, FUNCTIONS):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            is_excused = f"{source.path}:{node.name}" in LONG_FUNCTIONS
            if length > FUNCTION_LINES_MAX and not is_excused:
                yield source.complain(node, f"{node.name} is {length} lines long")
            if (deep := nesting(node)) > NESTING_MAX:
                yield source.complain(node, f"{node.name} nests {deep} blocks")


def nesting(node: ast.AST) -> int:
    """Count the blocks around the innermost statement; `elif` does not nest."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (*FUNCTIONS, ast.ClassDef)):
            continue
        is_elif = (
            isinstance(node, ast.If) and isinstance(child, ast.If) and child in node.orelse
        )
        here = isinstance(child, BLOCKS) and not is_elif
        deepest = max(deepest, here + nesting(child))
    return deepest


def words(source: Source) -> Iterator[Complaint]:
    """Yield the names that say less than the glossary's, or another thing."""
    stem = PurePosixPath(source.path).stem
    if found := WORDS.search(stem):
        yield source.complain(1, f"a module called {stem}: {found[1]} is not in the glossary")
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ClassDef) and (found := CLASS_WORDS.search(node.name)):
            yield source.complain(node, f"{node.name}: say what it is instead of {found[0]}")
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            found = WORDS.search(SNAKE.sub("_", node.name).lower())
            if found:
                yield source.complain(node, f"{node.name}: {found[1]} is not in the glossary")


def imported(source: Source) -> Iterator[str]:
    """Yield the dotted names that a module imports, and those that it imports from each."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def untested(package: list[Source], tests: list[Source]) -> Iterator[Complaint]:
    """Yield the modules that do something and that no test reaches inside their own folder."""
    reached = {name for test in tests for name in imported(test)}
    reached |= RUN_AS_PROGRAMS.keys()
    waiting = [source for source in package if does_something(source)]
    imports = {source.path: set(imported(source)) for source in package}
    grown = True
    while grown:
        here = [source for source in waiting if dotted_name(source) in reached]
        waiting = [source for source in waiting if source not in here]
        for source in here:
            folder = dotted_name(source).rpartition(".")[0]
            reached |= {n for n in imports[source.path] if n.rpartition(".")[0] == folder}
        grown = bool(here)
    for source in waiting:
        path = PurePosixPath(source.path)
        mirror = PurePosixPath("tests/unit", *path.parts[2:-1], f"test_{path.name}")
        yield source.complain(1, f"no test reaches it: expected {mirror}")


def dotted_name(source: Source) -> str:
    """Write the name by which a module of the package is imported."""
    name = source.path.removeprefix("src/").removesuffix(".py").removesuffix("/__init__")
    return name.replace("/", ".")


def does_something(source: Source) -> bool:
    """Tell whether a module has a function with a body of its own; a Protocol's has none."""
    return any(
        not all(is_text(statement) for statement in node.body)
        for node in ast.walk(source.tree)
        if isinstance(node, FUNCTIONS)
    )


def is_text(statement: ast.stmt) -> bool:
    """Tell whether a statement is a docstring, or the `...` of a Protocol."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def texts() -> Iterator[Complaint]:
    """Yield what is wrong with the files that git keeps: foreign folders, and great size."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    for path in filter(None, listing.split("\0")):
        file = ROOT / path
        if not file.is_file():
            continue
        content = file.read_bytes()
        if len(content) > FILE_BYTES_MAX and not LARGE_FILES.search(path):
            yield Complaint(path, 1, f"{len(content)} bytes, more than {FILE_BYTES_MAX}")
        if b"\0" not in content:
            yield from foreign_folders(path, content.decode(errors="replace"))


def foreign_folders(path: str, text: str) -> Iterator[Complaint]:
    """Yield the lines that name a folder of somebody's machine."""
    for number, line in enumerate(text.splitlines(), 1):
        if found := SOMEBODYS_FOLDER.search(line):
            yield Complaint(path, number, f"{found[0]} exists on one machine only")


def main() -> int:
    """Print every complaint about the tree; return 1 if there is any."""
    everything = list(sources(*CHECKED))
    found = [c for s in everything for rule in (shape, words) for c in rule(s)]
    package = [s for s in everything if s.path.startswith("src/")]
    found += untested(package, [s for s in everything if s.path.startswith("tests/")])
    found += texts()
    sys.stdout.writelines(f"{complaint}\n" for complaint in sorted(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
