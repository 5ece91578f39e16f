"""One command as data: what it is called, how many words it takes, which of them are keys."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from anel.doors.resp.client import Client, Operation

Run: TypeAlias = Callable[[Client, list[bytes]], bytes | Operation]
"""Do a command: its words, the name first; its reply, or what will have it."""

WORDS_ANY = 1 << 30


@dataclass(frozen=True, slots=True)
class Keys:
    """Which words are keys: from `first` to `last` (negative: from the end), each `step`."""

    first: int = 0
    last: int = 0
    step: int = 0


NO_KEYS = Keys()
ONE_KEY = Keys(1, 1, 1)
ALL_KEYS = Keys(1, -1, 1)


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    Attributes:
        name: In lower case, as COMMAND lists it.
        arity: Words with the name; negative: at least so many. As Redis counts.
        run: What does it.
        flags: Redis's words for it (write, readonly, fast, ...).
        group: Redis's group, for the documentation.
        summary: What it does, in one line.
        since: The Redis version that brought it.
        keys: Which words are keys.
        is_barrier: Waits for all commands before it and holds back all after it.
        complexity: Cost, in one line.
        arguments: The words after the name, as people write them.
        note: How it differs from Redis, for the documentation; empty when it does not.
    """

    name: str
    arity: int
    run: Run
    flags: tuple[str, ...]
    group: str
    summary: str
    since: str
    keys: Keys = NO_KEYS
    is_barrier: bool = False
    complexity: str = "O(1)"
    arguments: str = ""
    note: str = ""
    subcommands: "tuple[Command, ...]" = ()
    words_min: int = field(init=False)
    words_max: int = field(init=False)
    needs_data: bool = field(init=False)

    def __post_init__(self) -> None:
        """Derive what the session asks for each command it runs."""
        low, high = (self.arity, self.arity) if self.arity > 0 else (-self.arity, WORDS_ANY)
        object.__setattr__(self, "words_min", low)
        object.__setattr__(self, "words_max", high)
        needs_data = "write" in self.flags or "readonly" in self.flags
        object.__setattr__(self, "needs_data", needs_data)

    def keys_of(self, words: list[bytes]) -> list[bytes]:
        """Give the words that are keys."""
        keys = self.keys
        if keys.first == 0:
            return []
        last = keys.last if keys.last > 0 else len(words) + keys.last
        return words[keys.first : last + 1 : keys.step]
