"""Conversations of tests/vectors/resp/conversations.txt: read, said and written again."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

from anel.doors.resp.inline import split_words

PATH = Path(__file__).parent / "resp/conversations.txt"
_DIFFERING = re.compile(rb"(\$2\r\nid\r\n:)\d+")

Say: TypeAlias = Callable[[bytes], tuple[bytes, bool]]
"""Send bytes; give what came back, and whether the connection was closed."""


class Turn(NamedTuple):
    """What a client sends, and what comes back."""

    line: str
    sent: bytes
    answer: bytes
    is_closed: bool


class Conversation(NamedTuple):
    """One connection to an empty server."""

    title: str
    turns: list[Turn]


def load() -> list[Conversation]:
    """Read the file."""
    found: list[Conversation] = []
    line = ""
    for text in PATH.read_text().splitlines():
        if text.startswith("== "):
            found.append(Conversation(text[3:], []))
        elif text.startswith(">"):
            line = text
        elif text.startswith("<"):
            is_closed = text.startswith("<!")
            answer = unescape(text.removeprefix("<!").removeprefix("<").removeprefix(" "))
            found[-1].turns.append(Turn(line, _sent(line), answer, is_closed))
    return found


def converse(conversation: Conversation, say: Say) -> Iterator[Turn]:
    """Say every line and give the turns as they went."""
    for turn in conversation.turns:
        answer, is_closed = say(turn.sent)
        yield turn._replace(answer=mask(answer), is_closed=is_closed)


def mask(answer: bytes) -> bytes:
    """Hide numbers that differ from connection to connection."""
    return _DIFFERING.sub(rb"\1<id>", answer)


def rewrite(conversations: list[Conversation]) -> None:
    """Write the file again with other answers."""
    kept = [text for text in PATH.read_text().splitlines() if text.startswith("#")]
    for title, turns in conversations:
        kept += ["", f"== {title}"]
        for turn in turns:
            mark = "<!" if turn.is_closed else "<"
            kept += [turn.line, f"{mark} {escape(turn.answer)}".rstrip()]
    PATH.write_text("\n".join(kept) + "\n")


def _sent(line: str) -> bytes:
    if line.startswith(">> "):
        return unescape(line[3:])
    words = split_words(line[2:].encode())
    assert words is not None, line
    return array(words)


def array(words: list[bytes]) -> bytes:
    """Write a command as clients do."""
    parts = [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
    return b"*%d\r\n%b" % (len(words), b"".join(parts))


def unescape(text: str) -> bytes:
    """Read bytes written with backslashes."""
    return text.encode("ascii").decode("unicode_escape").encode("latin-1")


def escape(data: bytes) -> str:
    """Write bytes on one line."""
    return data.decode("latin-1").encode("unicode_escape").decode("ascii")
