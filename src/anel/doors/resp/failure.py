"""Anel's errors as RESP error replies: one answer for every error there is.

The first word is what clients branch on (redis-py retries on LOADING), then comes the error's
own code, then what happened and what to do.

Source: the prefixes of redis-server 7.0.15.
"""

from anel.doors.resp.reply import error
from anel.errors import (
    AlreadyExists,
    AnelError,
    NotReady,
    ProtocolError,
    RequestFailed,
    RequestRefused,
    Unavailable,
)

SYNTAX = error("ERR syntax error")
NOT_AN_INTEGER = error("ERR value is not an integer or out of range")
WRONG_TYPE = error("WRONGTYPE Operation against a key holding the wrong kind of value")

# The first class, from the error's own upwards, that is in here decides.
_PREFIXES: dict[type[AnelError], str] = {
    NotReady: "LOADING",
    Unavailable: "NOREPLICAS",
    AlreadyExists: "BUSYKEY",
    RequestFailed: "ERR",
    RequestRefused: "ERR",
    ProtocolError: "ERR Protocol error:",
    AnelError: "ERR internal",
}


def failure(reason: AnelError) -> bytes:
    """Say an error on the wire."""
    prefix = next(_PREFIXES[kind] for kind in type(reason).__mro__ if kind in _PREFIXES)
    return error(f"{prefix} {reason}")


def wrong_arity(name: str) -> bytes:
    """Say that a command has too few or too many words."""
    return error(f"ERR wrong number of arguments for '{name}' command")
