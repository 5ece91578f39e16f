"""One command as data: what it is called, how many words it takes, which of them are keys."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from anel.doors.resp.client import Client, Operation

Run: TypeAlias = Callable[[Client, list[bytes]], bytes | Operation]
"""Do a command: its words, the name first; its reply, or what will have it."""

_WORDS_ANY = 1 << 30
_GROUP_CATEGORIES = {"generic": "@keyspace", "string": "@string", "connection": "@connection"}


@dataclass(frozen=True, slots=True)
class Keys:
    """Which words are keys: from `first` to `last` (negative: from the end), each `step`."""

    first: int = 0
    last: int = 0
    step: int = 0


NO_KEYS = Keys()
ONE_KEY = Keys(1, 1, 1)
ALL_KEYS = Keys(1, -1, 1)
PAIRED_KEYS = Keys(1, -1, 2)


# Redis's flags, by what a command does.
READ = ("readonly", "fast")
SLOW_READ = ("readonly",)
WRITE = ("write", "denyoom")
FAST_WRITE = ("write", "fast")
DELETE = ("write",)
SESSION = ("noscript", "loading", "stale", "fast", "no_auth", "allow_busy")
ANY_TIME = ("loading", "stale", "fast")
SUBCOMMAND = ("noscript", "loading", "stale")

PER_KEY = "O(N) for N keys"
COUNT_NOTE = "The answer comes from a read at QUORUM just before the write."


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        name: In lower case, as COMMAND lists it; a subcommand's is like "client|id".
        arguments: The words after the name, as people write them.
        arity: Words with the name; negative: at least so many. As Redis counts.
        run: What does it.
        flags: Redis's words for it (write, readonly, fast, ...).
        group: Redis's group.
        since: The Redis version that brought it.
        summary: What it does, in one line.
        keys: Which words are keys.
        is_barrier: Waits for all commands before it and holds back all after it.
        complexity: What it costs.
        subcommands: For those whose second word says what to do.
        note: How it differs from Redis; empty when it does not.
    """

    name: str
    arguments: str
    arity: int
    run: Run
    flags: tuple[str, ...]
    group: str
    since: str
    summary: str
    keys: Keys = NO_KEYS
    is_barrier: bool = False
    complexity: str = "O(1)"
    subcommands: "tuple[Command, ...]" = ()
    note: str = ""

    @cached_property
    def words_min(self) -> int:
        """The fewest words, the name included."""
        return abs(self.arity)

    @cached_property
    def words_max(self) -> int:
        """The most words, the name included."""
        return self.arity if self.arity > 0 else _WORDS_ANY

    @cached_property
    def needs_data(self) -> bool:
        """It reads or writes `redis.data`, so the node must be ready."""
        return "write" in self.flags or "readonly" in self.flags

    @property
    def categories(self) -> tuple[str, ...]:
        """Redis's ACL categories."""
        group = _GROUP_CATEGORIES.get(self.group)
        found = [group] if group else []
        if "write" in self.flags:
            found.append("@write")
        if "readonly" in self.flags:
            found.append("@read")
        found.append("@fast" if "fast" in self.flags else "@slow")
        return tuple(found)

    def keys_of(self, words: list[bytes]) -> list[bytes]:
        """Give the words that are keys."""
        keys = self.keys
        if keys.first == 0:
            return []
        last = keys.last if keys.last > 0 else len(words) + keys.last
        return words[keys.first : last + 1 : keys.step]


def subcommand(  # noqa: PLR0917 - A row of a table, in its columns' order.
    name: str, arguments: str, arity: int, run: Run, since: str, summary: str
) -> Command:
    """Make a subcommand, named like "client|id"; those of one command are of its group."""
    group = "connection" if name.startswith("client") else "server"
    return Command(name, arguments, arity, run, SUBCOMMAND, group, since, summary)
