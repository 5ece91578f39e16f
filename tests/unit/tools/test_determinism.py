"""Under test: tools.determinism, on planted cases of each thing it must refuse or let pass."""

import pytest

from tools import determinism
from tools.source import Source


def said(text: str, path: str = "src/anel/ring/planted.py") -> list[str]:
    return [c.text for c in determinism.complaints(Source.parse(path, text))]


PLANTED = {
    "a loop over a set display": "for x in {1, 2}:\n    print(x)",
    "a loop over a name": "peers = set()\nfor x in peers:\n    print(x)",
    "a loop over an argument": "def f(peers: set[bytes]) -> None:\n for x in peers: print(x)",
    "an optional argument": "def f(peers: frozenset[int] | None):\n for x in peers: print(x)",
    "a quoted annotation": "def f(peers: 'set[int]'):\n for x in peers: print(x)",
    "an attribute": (
        "class A:\n def __init__(self) -> None:\n  self.peers: set[bytes] = set()\n"
        " def f(self) -> None:\n  for x in self.peers: print(x)"
    ),
    "a result": (
        "class A:\n peers: dict[int, int]\n"
        " def alive(self) -> set[int]: return {1}\n"
        " def g(self) -> None:\n  for x in self.alive(): print(x)"
    ),
    "a list made of a set": "def f(a: set[int]) -> list[int]:\n return list(a)",
    "a difference": "def f(a: set[int], b: set[int]) -> list[int]:\n return list(a - b)",
    "a union by method": "def f(a: set[int], b: list[int]):\n return tuple(a.union(b))",
    "a comprehension": "def f(a: set[int]):\n return [x + 1 for x in a]",
    "a dict in a set's order": "def f(a: set[int]):\n return {x: 1 for x in a}",
    "a generator to join": "def f(a: set[str]):\n return ', '.join(x for x in a)",
    "a join": "def f(a: set[str]):\n return ', '.join(a)",
    "unpacking": "def f(a: set[int]):\n return [*a]",
    "a set's pop": "def f(a: set[int]):\n return a.pop()",
    "a tie broken by order": "def f(a: set[int]):\n return min(a, key=abs)",
    "a hash": "def f(a: bytes) -> int:\n return hash(a) % 7",
    "the global random": "import random\nx = random.random()",
    "a function out of random": "from random import choice",
    "an unseeded Random": "from random import Random\nx = Random()",
    "a clock": "import time",
    "a clock of another name": "from datetime import datetime\nx = datetime.now()",
    "a thread": "from threading import Thread",
    "a pool": "import concurrent.futures",
    "a loop of asyncio": "import asyncio.events",
    "a socket": "import socket",
    "the system's chance": "import os\nx = os.urandom(8)",
    "a uuid": "import uuid\nx = uuid.uuid4()",
    "broken Python": "def f(:",
    "a folder": "def f(path):\n for x in path.iterdir(): print(x)",
}

HARMLESS = {
    "a sorted set": "def f(a: set[int]):\n for x in sorted(a): print(x)",
    "a sorted generator": "def f(a: set[int]):\n return sorted(x + 1 for x in a)",
    "counting": "def f(a: set[int]):\n return len(a), sum(a), any(x > 1 for x in a)",
    "membership": "def f(a: set[int]):\n return 1 in a",
    "a set out of a set": "def f(a: set[int]):\n return {x + 1 for x in a}",
    "the least": "def f(a: set[int]):\n return min(a)",
    "a dict": "def f(a: dict[int, int]):\n for x in a: print(x)",
    "an argument that hides a set": "a = {1}\ndef f(a: list[int]):\n for x in a: print(x)",
    "a __hash__": "class A:\n def __hash__(self) -> int: return hash(self.x)",
    "own chance": "from random import Random\ndef f(random: Random): random.choice([])",
    "a seeded Random": "from random import Random\nx = Random(7)",
    "a list's pop": "def f(a: list[int]):\n return a.pop()",
    "a sorted folder": "def f(path):\n for x in sorted(path.iterdir()): print(x)",
    "an excuse": "a = {1}\nfor x in a:  # determinism: never compared\n  print(x)",
}


@pytest.mark.parametrize("text", PLANTED.values(), ids=PLANTED)
def test_what_differs_from_run_to_run_is_refused_once(text: str) -> None:
    assert len(said(text)) == 1


@pytest.mark.parametrize("text", HARMLESS.values(), ids=HARMLESS)
def test_what_repeats_itself_passes(text: str) -> None:
    assert said(text) == []


@pytest.mark.parametrize("folder", ["runtime", "cli", "testing"])
def test_the_folders_that_face_the_real_world_may(folder: str) -> None:
    assert said("import time, socket", f"src/anel/{folder}/clock.py") == []


def test_the_imagined_world_may_not() -> None:
    assert said("import time", "src/anel/simulation/world.py") != []
