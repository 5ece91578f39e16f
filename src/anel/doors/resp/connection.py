"""Commands about the connection itself: PING, HELLO, CLIENT and their kin."""

from anel.doors.resp.client import Client
from anel.doors.resp.failure import wrong_arity
from anel.doors.resp.reply import bulk

_PONG = b"+PONG\r\n"


def ping(client: Client, words: list[bytes]) -> bytes:  # noqa: ARG001 - Every command has both.
    """PING [message]."""
    if len(words) == 1:
        return _PONG
    return bulk(words[1]) if len(words) == 2 else wrong_arity("ping")
