"""Commands about the connection itself: PING, HELLO, AUTH, SELECT, READONLY, RESET, QUIT."""

from anel.data.consistency import ConsistencyLevel
from anel.doors.resp.client import Client
from anel.doors.resp.command import ANY_TIME, SESSION, Command
from anel.doors.resp.door import REDIS_VERSION
from anel.doors.resp.failure import NOT_AN_INTEGER, SYNTAX, wrong_arity
from anel.doors.resp.numbers import integer_of
from anel.doors.resp.reply import OK, Value, bulk, encode, error

_PONG = b"+PONG\r\n"
_WRONG_PASSWORD = error("WRONGPASS invalid username-password pair or user is disabled.")
_NO_PASSWORD = error(
    "ERR AUTH <password> called without any password configured for the default user. "
    "Are you sure your configuration is correct?"
)
_BAD_NAME = error("ERR Client names cannot contain spaces, newlines or special characters.")


def ping(client: Client, words: list[bytes]) -> bytes:  # noqa: ARG001 - As every command.
    """PING [message]."""
    if len(words) == 1:
        return _PONG
    return bulk(words[1]) if len(words) == 2 else wrong_arity("ping")


def echo(client: Client, words: list[bytes]) -> bytes:  # noqa: ARG001 - As every command.
    """ECHO message."""
    return bulk(words[1])


def select(client: Client, words: list[bytes]) -> bytes:  # noqa: ARG001 - As every command.
    """SELECT index; there is one database, 0."""
    index = integer_of(words[1])
    if index is None:
        return NOT_AN_INTEGER
    return OK if index == 0 else error("ERR DB index is out of range")


def auth(client: Client, words: list[bytes]) -> bytes:  # noqa: ARG001 - As every command.
    """AUTH [user] password; no password is set, so only the default user is let in."""
    if len(words) == 2:
        return _NO_PASSWORD
    if len(words) > 3:
        return SYNTAX
    return OK if words[1] == b"default" else _WRONG_PASSWORD


def readonly(client: Client, words: list[bytes]) -> bytes:  # noqa: ARG001 - As every command.
    """READONLY: this connection's reads take one copy, this node's own if it has one."""
    client.read_level = ConsistencyLevel.ONE
    return OK


def readwrite(client: Client, words: list[bytes]) -> bytes:  # noqa: ARG001 - As every command.
    """READWRITE: reads are at the node's setting again."""
    client.read_level = client.door.read_level
    return OK


def reset(client: Client, words: list[bytes]) -> bytes:  # noqa: ARG001 - As every command.
    """RESET."""
    client.reset()
    return b"+RESET\r\n"


def quit_(client: Client, words: list[bytes]) -> bytes:  # noqa: ARG001 - As every command.
    """QUIT."""
    client.is_closing = True
    return OK


def close_silently(client: Client, words: list[bytes]) -> bytes:  # noqa: ARG001 - As every one.
    """End a connection that speaks HTTP: a web page may be using somebody's browser."""
    client.door.protocol_errors += 1
    client.is_closing = True
    return b""


def hello(client: Client, words: list[bytes]) -> bytes:
    """HELLO [version [AUTH user password] [SETNAME name]]."""
    protocol = client.protocol
    name = None
    if len(words) > 1:
        version = integer_of(words[1])
        if version is None:
            return error("ERR Protocol version is not an integer or out of range")
        if version not in (2, 3):
            return error("NOPROTO unsupported protocol version")
        protocol = version
        name = _hello_options(words[2:])
        if name is not None and name[:1] == b"-":
            return name
    client.speak(protocol)
    if name is not None:
        client.name = name[1:]
    greeting: dict[str, Value] = {
        "server": "redis",
        "version": REDIS_VERSION,
        "proto": protocol,
        "id": client.id,
        "mode": "standalone",
        "role": "master",
        "modules": [],
    }
    return encode(greeting, protocol)


def _hello_options(words: list[bytes]) -> bytes | None:
    """Read what follows the version: an error reply, or "=" and the name to set, or None."""
    name = None
    at = 0
    while at < len(words):
        option = words[at].upper()
        if option == b"AUTH" and at + 2 < len(words):
            if words[at + 1] != b"default":
                return _WRONG_PASSWORD
            at += 3
        elif option == b"SETNAME" and at + 1 < len(words):
            if not is_name(words[at + 1]):
                return _BAD_NAME
            name = b"=" + words[at + 1]
            at += 2
        else:
            return error(f"ERR Syntax error in HELLO option '{words[at].decode('latin-1')}'")
    return name


def is_name(word: bytes) -> bool:
    """Tell whether a word can be a client's name: printable ASCII without blanks."""
    return all(0x21 <= byte <= 0x7E for byte in word)


COMMANDS = (
    Command(
        "ping",
        "[message]",
        -1,
        ping,
        ("fast",),
        "connection",
        "1.0.0",
        "Answer PONG, or the message.",
    ),
    Command("echo", "message", 2, echo, ANY_TIME, "connection", "1.0.0", "Answer the message."),
    Command(
        "hello",
        "[2 | 3 [AUTH user password] [SETNAME name]]",
        -1,
        hello,
        SESSION,
        "connection",
        "6.0.0",
        "Choose the version of the protocol.",
        is_barrier=True,
    ),
    Command(
        "auth",
        "[user] password",
        -2,
        auth,
        SESSION,
        "connection",
        "1.0.0",
        "Log in; no password is set, so only the user `default` is let in.",
    ),
    Command(
        "select",
        "index",
        2,
        select,
        ANY_TIME,
        "connection",
        "1.0.0",
        "Choose database 0, the only one.",
        note="Any other index is out of range.",
    ),
    Command(
        "readonly",
        "",
        1,
        readonly,
        SESSION,
        "connection",
        "3.0.0",
        "Read at ONE on this connection: this node's own copy where it has one.",
        is_barrier=True,
        note="Redis has it in cluster mode only. Writes stay as they are.",
    ),
    Command(
        "readwrite",
        "",
        1,
        readwrite,
        SESSION,
        "connection",
        "3.0.0",
        "Read at `resp.consistency` again.",
        is_barrier=True,
        note="Redis has it in cluster mode only.",
    ),
    Command(
        "reset",
        "",
        1,
        reset,
        SESSION,
        "connection",
        "6.2.0",
        "Be as a new connection is.",
        is_barrier=True,
    ),
    Command(
        "quit",
        "",
        -1,
        quit_,
        SESSION,
        "connection",
        "1.0.0",
        "Close the connection.",
        is_barrier=True,
    ),
)
