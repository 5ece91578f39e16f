"""Every command of the door, found by name."""

from anel.doors.resp import connection, keys, strings
from anel.doors.resp.command import ALL_KEYS, ONE_KEY, Command
from anel.doors.resp.later import unknown

_ALL = (
    Command("ping", -1, connection.ping, ("fast",), "connection", "Answer PONG.", "1.0.0"),
    Command(
        "get",
        2,
        strings.get,
        ("readonly", "fast"),
        "string",
        "Read a string.",
        "1.0.0",
        ONE_KEY,
    ),
    Command("set", -3, strings.set_, ("write",), "string", "Write a string.", "1.0.0", ONE_KEY),
    Command("del", -2, keys.delete, ("write",), "generic", "Delete keys.", "1.0.0", ALL_KEYS),
)
COMMANDS: dict[bytes, Command] = {}
for _command in _ALL:
    COMMANDS[_command.name.encode()] = COMMANDS[_command.name.upper().encode()] = _command

_UNKNOWN = Command("", -1, unknown, (), "", "", "")


def find(words: list[bytes]) -> Command:
    """Find a command spelled in mixed case; an unknown one answers that it is."""
    return COMMANDS.get(words[0].upper(), _UNKNOWN)
