"""Every command of the door by name: what COMMAND answers and a session runs.

Each module of commands ends with its own part of the table; here they come together.
"""

from anel.doors.resp import (
    client_commands,
    connection,
    expiry,
    keys,
    later,
    scan,
    server_info,
    strings,
)
from anel.doors.resp.command import Command
from anel.doors.resp.command_info import CommandInfo, command_of
from anel.doors.resp.parser import TOO_LARGE

BY_NAME: dict[str, Command] = {}
"""Commands by lower-case name, as COMMAND lists them."""

_MODULES = (strings, keys, expiry, scan, connection, client_commands, server_info, later)

for _module in _MODULES:
    for _command in _module.COMMANDS:
        BY_NAME[_command.name] = _command
BY_NAME["command"] = command_of(CommandInfo(BY_NAME))

_REFUSED = Command("", "", -1, later.refuse, (), "", "", "")
_HTTP = Command("", "", -1, connection.close_silently, (), "", "", "", is_barrier=True)

COMMANDS: dict[bytes, Command] = {
    spelling: command
    for name, command in BY_NAME.items()
    for spelling in (name.encode(), name.upper().encode())
}
COMMANDS[TOO_LARGE] = Command("", "", -1, later.refuse_size, (), "", "", "")
"""Commands as clients usually spell them; `find` knows the rest."""


def find(words: list[bytes]) -> Command:
    """Find a command spelled in any way; one that is not here answers so."""
    name = words[0].upper()
    # Lines of HTTP: a web page tries to reach this port through somebody's browser.
    if name in (b"POST", b"HOST:"):
        return _HTTP
    return COMMANDS.get(name, _REFUSED)
