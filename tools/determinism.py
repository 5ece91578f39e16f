"""Refuse what would make two runs of one seed differ.

The same code serves production and the imagined world, where a run must repeat itself in
another process with another PYTHONHASHSEED. So outside the folders that face the real world:

* nothing walks a set, whose order depends on the hash seed (`sorted`, `len`, `in`, `any`, `min`
  and the like are fine: they do not depend on order);
* nothing calls `hash()`, except a `__hash__`;
* nothing uses the global `random`, an unseeded `Random()`, `os.urandom`, `secrets` or `uuid4`;
* nothing reads a clock, starts a thread or a process, or opens a socket;
* nothing walks a folder in the order of the file system.

Sets are recognised by what the module itself says: literals, `set(...)`, set operators, and
names, attributes and results annotated as sets; one that arrives from elsewhere is not seen.
A line may be let off with `# determinism: <why it cannot matter>`.
"""

import ast
import sys
from collections.abc import Iterator

from tools.source import Complaint, Source, sources

REAL_WORLD = ("src/anel/cli/", "src/anel/console/", "src/anel/runtime/", "src/anel/testing/")

FORBIDDEN_IMPORTS = {
    "asyncio": "waits",
    "concurrent": "starts threads",
    "multiprocessing": "starts processes",
    "secrets": "draws from the system's chance",
    "select": "waits for sockets",
    "selectors": "waits for sockets",
    "signal": "takes signals",
    "socket": "opens sockets",
    "subprocess": "starts processes",
    "threading": "starts threads",
    "time": "reads clocks",
    "uvloop": "waits",
}
FORBIDDEN_CALLS = {
    "date.today": "reads a clock",
    "datetime.now": "reads a clock",
    "datetime.today": "reads a clock",
    "datetime.utcnow": "reads a clock",
    "os.getpid": "differs from run to run",
    "os.urandom": "draws from the system's chance",
    "uuid.getnode": "differs from machine to machine",
    "uuid.uuid1": "reads a clock",
    "uuid.uuid4": "draws from the system's chance",
    "uuid1": "reads a clock",
    "uuid4": "draws from the system's chance",
    "urandom": "draws from the system's chance",
}
FOLDER_WALKS = {"glob", "iterdir", "listdir", "rglob", "scandir"}
SET_NAMES = {"AbstractSet", "FrozenSet", "MutableSet", "Set", "frozenset", "set"}
SET_METHODS = {"copy", "difference", "intersection", "symmetric_difference", "union"}
# The result of these does not depend on the order in which they meet the elements.
ORDERLESS = {"all", "any", "bool", "frozenset", "len", "max", "min", "set", "sorted", "sum"}
ORDERED = {"enumerate", "filter", "iter", "list", "map", "reversed", "tuple", "zip", "bytes"}
EXCUSE = "# determinism:"


def dotted(node: ast.expr) -> str:
    """Write a name or a chain of attributes as it stands in the source; else an empty text."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (left := dotted(node.value)):
        return f"{left}.{node.attr}"
    return ""


def names_a_set(annotation: ast.expr | None) -> bool:
    """Tell whether an annotation means a set, also as one side of a union."""
    if isinstance(annotation, ast.Subscript):
        return names_a_set(annotation.value)
    if isinstance(annotation, ast.BinOp):
        return names_a_set(annotation.left) or names_a_set(annotation.right)
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return names_a_set(ast.parse(annotation.value, mode="eval").body)
    return annotation is not None and dotted(annotation).rpartition(".")[2] in SET_NAMES


class Known:
    """What one scope knows to be sets: names, attributes, and functions that return them."""

    def __init__(self, scope: ast.AST, outer: "Known | None" = None) -> None:
        self.names: set[str] = set(outer.names) if outer else set()
        self.functions: set[str] = set(outer.functions) if outer else set()
        if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
            self._learn_arguments(scope.args)
        # Twice, so that a name may be known from one that is assigned further down.
        for _ in range(2):
            for node in own_nodes(scope):
                self._learn(node)

    def _learn_arguments(self, arguments: ast.arguments) -> None:
        for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            if names_a_set(argument.annotation):
                self.names.add(argument.arg)
            else:
                self.names.discard(argument.arg)

    def _learn(self, node: ast.AST) -> None:
        if isinstance(node, ast.AnnAssign) and names_a_set(node.annotation):
            self.names.add(dotted(node.target))
        elif isinstance(node, ast.Assign) and self.is_set(node.value):
            self.names.update(filter(None, map(dotted, node.targets)))
        elif isinstance(node, ast.NamedExpr) and self.is_set(node.value):
            self.names.add(node.target.id)
        elif isinstance(node, ast.FunctionDef) and names_a_set(node.returns):
            self.functions.add(node.name)

    def is_set(self, node: ast.expr) -> bool:
        """Tell whether an expression is a set, as far as this scope knows."""
        match node:
            case ast.Call(func=function):
                return self._gives_a_set(function)
            case ast.BinOp(left=left, op=ast.BitOr() | ast.BitAnd() | ast.Sub() | ast.BitXor()):
                return self.is_set(left)
            case ast.IfExp(body=body, orelse=orelse):
                return self.is_set(body) or self.is_set(orelse)
            case ast.Name() | ast.Attribute():
                return dotted(node) in self.names
            case _:
                return isinstance(node, ast.Set | ast.SetComp)

    def _gives_a_set(self, function: ast.expr) -> bool:
        match function:
            case ast.Attribute(value=owner, attr=name):
                if name in SET_METHODS and self.is_set(owner):
                    return True
                return isinstance(owner, ast.Name) and name in self.functions
            case ast.Name(id=name):
                return name in {"set", "frozenset"} or name in self.functions
            case _:
                return False


def own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a scope; of functions inside it, only their definitions.

    The methods of a class are read with it, since they share its `self` attributes.
    """
    for child in ast.iter_child_nodes(scope):
        yield child
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            if isinstance(scope, ast.ClassDef):
                yield from (node for node in own_nodes(child) if is_about_self(node))
        elif not isinstance(child, ast.ClassDef):
            yield from own_nodes(child)


def is_about_self(node: ast.AST) -> bool:
    """Tell whether a statement gives a value or a type to an attribute of `self`."""
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign):
        targets = [node.target]
    return any(dotted(target).startswith("self.") for target in targets)


class Walk(ast.NodeVisitor):
    """One pass over one module, scope by scope."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.found: list[Complaint] = []
        self.known = Known(source.tree)
        self.function = ""
        self.imports_random = False
        self.forgiven: set[ast.AST] = set()

    def say(self, node: ast.AST, text: str) -> None:
        """Keep a complaint."""
        self.found.append(self.source.complain(node, text))

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Read a class with what its methods say about `self`."""
        outer, self.known = self.known, Known(node, self.known)
        self.generic_visit(node)
        self.known = outer

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Read a function with its own names."""
        outer, self.known = self.known, Known(node, self.known)
        name, self.function = self.function, node.name
        self.generic_visit(node)
        self.known, self.function = outer, name

    visit_AsyncFunctionDef = visit_FunctionDef  # type: ignore[assignment]  # noqa: N815

    def visit_Import(self, node: ast.Import) -> None:
        """Refuse modules that reach the real world."""
        for name in node.names:
            self._imported(node, name.name)
            self.imports_random |= name.name == "random"

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Refuse modules that reach the real world, and the global source of chance."""
        self._imported(node, node.module or "")
        for name in node.names:
            if node.module == "random" and name.name != "Random":
                self.say(node, f"random.{name.name} is shared and unseeded: use env.random")

    def _imported(self, node: ast.AST, module: str) -> None:
        top = module.partition(".")[0]
        if top in FORBIDDEN_IMPORTS:
            self.say(node, f"{top} {FORBIDDEN_IMPORTS[top]}: only the real world's folders may")

    def visit_For(self, node: ast.For) -> None:
        """Refuse a loop over a set."""
        self._walked(node.iter, "a loop")
        self.generic_visit(node)

    def visit_Starred(self, node: ast.Starred) -> None:
        """Refuse the unpacking of a set."""
        self._walked(node.value, "unpacking")
        self.generic_visit(node)

    def _comprehension(self, node: ast.ListComp | ast.GeneratorExp | ast.DictComp) -> None:
        if node not in self.forgiven:
            for part in node.generators:
                self._walked(part.iter, "a comprehension")
        self.generic_visit(node)

    visit_ListComp = _comprehension  # noqa: N815
    visit_GeneratorExp = _comprehension  # noqa: N815
    visit_DictComp = _comprehension  # noqa: N815

    def visit_Call(self, node: ast.Call) -> None:
        """Refuse calls whose result differs from run to run."""
        name = dotted(node.func)
        if name in ORDERLESS and not node.keywords:
            self.forgiven.update(node.args)
        elif name == "sorted":
            self.forgiven.update(node.args)  # Ties of a sort key are the author's to exclude.
        elif name in ORDERED | {"dict.fromkeys", "max", "min"}:
            for argument in node.args:
                self._walked(argument, f"{name}()")
        self._call(node, name)
        self.generic_visit(node)

    def _call(self, node: ast.Call, name: str) -> None:
        if name == "hash" and self.function != "__hash__":
            self.say(node, "hash() of text depends on PYTHONHASHSEED: use mmh3 or crc32")
        elif name in FORBIDDEN_CALLS:
            self.say(node, f"{name} {FORBIDDEN_CALLS[name]}: ask env")
        elif self.imports_random and name.startswith("random.") and name != "random.Random":
            self.say(node, f"{name} is shared and unseeded: use env.random")
        elif name in {"Random", "random.Random"} and not node.args:
            self.say(node, "Random() without a seed never repeats itself")
        if isinstance(node.func, ast.Attribute):
            attribute = node.func.attr
            if attribute in FOLDER_WALKS and node not in self.forgiven:
                self.say(node, f"{attribute}() follows the file system's order: sort it")
            elif attribute == "pop" and not node.args and self.known.is_set(node.func.value):
                self.say(node, "pop() takes a set's first element, which depends on hashes")
            elif attribute == "join":
                for argument in node.args:
                    self._walked(argument, "join()")

    def _walked(self, node: ast.expr, how: str) -> None:
        if self.known.is_set(node):
            self.say(node, f"{how} walks a set, whose order depends on hashes: sort it")


def complaints(source: Source) -> list[Complaint]:
    """List what is wrong with one module, in order of line."""
    if source.broken:
        return [source.broken]
    if source.path.startswith(REAL_WORLD):
        return []
    walk = Walk(source)
    walk.visit(source.tree)
    lines = source.text.splitlines()
    return sorted(
        complaint for complaint in walk.found if EXCUSE not in lines[complaint.line - 1]
    )


def main() -> int:
    """Print every complaint about the tree; return 1 if there is any."""
    found = [complaint for source in sources("src") for complaint in complaints(source)]
    sys.stdout.writelines(f"{complaint}\n" for complaint in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
