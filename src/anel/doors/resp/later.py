"""Commands of Redis that are not here, and why."""

from anel.doors.resp.client import Client
from anel.doors.resp.reply import error

_SHOWN_MAX = 128  # As Redis: of the name, and of all words after it together.


def unknown(client: Client, words: list[bytes]) -> bytes:  # noqa: ARG001 - Every command has both.
    """Answer that there is no such command, in Redis's words."""
    shown = ""
    for word in words[1:]:
        if len(shown) >= _SHOWN_MAX:
            break
        shown += f"'{word[: _SHOWN_MAX - len(shown)].decode('latin-1')}' "
    name = words[0][:_SHOWN_MAX].decode("latin-1")
    return error(f"ERR unknown command '{name}', with args beginning with: {shown}")
