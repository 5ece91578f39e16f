"""The options of `anel up`, and a reader for them that costs no import.

click takes 70 ms to import, a fourth of the time in which a ring should be up; so `anel up`
with well-formed options never loads it. Whatever this reader does not understand (--help, a
mistake) is left to click, whose command in anel.cli.commands takes the same options.
"""

DATA_DEFAULT = "./data"
DURABILITIES = ("group", "periodic", "none")
NODES_DEFAULT = 3
NODES_MAX = 100  # Ports are given out in steps of 100.
OFFSET_MAX = 50_000  # 9042 + 50,000 + 100 nodes is still a port.


class UpOptions:
    """What `anel up` was asked; None where nothing was said."""

    __slots__ = (
        "data",
        "detach",
        "durability",
        "in_process",
        "json",
        "nodes",
        "port_offset",
        "replication",
    )

    def __init__(self) -> None:
        self.nodes: int | None = None
        self.data = DATA_DEFAULT
        self.durability = "group"
        self.replication: int | None = None
        self.port_offset: int | None = None
        self.in_process = False
        self.detach = False
        self.json = False


_FLAGS = {"--in-process": "in_process", "--detach": "detach", "--json": "json"}
_VALUES = {
    "--nodes": "nodes",
    "--data": "data",
    "--durability": "durability",
    "--replication": "replication",
    "--port-offset": "port_offset",
}
_BOUNDS = {
    "nodes": (1, NODES_MAX),
    "replication": (1, NODES_MAX),
    "port_offset": (0, OFFSET_MAX),
}


def read(arguments: list[str]) -> UpOptions | None:
    """Read the arguments after `anel up`; None when click should have a look at them."""
    options = UpOptions()
    rest = list(arguments)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if name in _FLAGS and not equals:
            setattr(options, _FLAGS[name], True)
        elif name in _VALUES:
            if not equals:
                if not rest:
                    return None
                value = rest.pop(0)
            if not _set(options, _VALUES[name], value):
                return None
        else:
            return None
    return options


def _set(options: UpOptions, name: str, text: str) -> bool:
    if name in _BOUNDS:
        least, most = _BOUNDS[name]
        if not (text.isascii() and text.isdecimal() and least <= int(text) <= most):
            return False
        setattr(options, name, int(text))
        return True
    if name == "durability" and text not in DURABILITIES:
        return False
    setattr(options, name, text)
    return bool(text)
