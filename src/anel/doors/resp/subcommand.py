"""Commands whose second word says what to do: CLIENT, COMMAND, CONFIG."""

from anel.doors.resp.client import Client
from anel.doors.resp.command import Command
from anel.doors.resp.failure import wrong_arity
from anel.doors.resp.reply import Status, encode, error


def run_subcommand(client: Client, words: list[bytes], command: Command) -> bytes:
    """Run one of a command's subcommands."""
    wanted = words[1].decode("latin-1").lower()
    for sub in command.subcommands:
        if sub.name.partition("|")[2] == wanted:
            if not sub.words_min <= len(words) <= sub.words_max:
                return wrong_arity(sub.name)
            reply = sub.run(client, words)
            assert isinstance(reply, bytes)  # No subcommand waits for the ring.
            return reply
    name = command.name.upper()
    if wanted == "help":
        return _help(client, command)
    shown = words[1][:128].decode("latin-1")
    return error(f"ERR unknown subcommand '{shown}'. Try {name} HELP.")


def _help(client: Client, command: Command) -> bytes:
    name = command.name.upper()
    lines = [f"{name} <subcommand> [<arg> ...]. Subcommands are:"]
    for sub in command.subcommands:
        lines.append(f"{sub.name.partition('|')[2].upper()} {sub.arguments}".rstrip())
        lines.append(f"    {sub.summary}")
    lines += ["HELP", "    Print this help."]
    return encode([Status(line.encode()) for line in lines], client.protocol)
