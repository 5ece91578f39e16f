"""COMMAND and its subcommands, made from the table of commands."""

from collections.abc import Mapping

from anel.doors.resp.client import Client
from anel.doors.resp.command import Command, subcommand
from anel.doors.resp.reply import Flags, Value, bulks, encode, error
from anel.doors.resp.subcommand import run_subcommand


class CommandInfo:
    """Answers COMMAND from a table of commands by lower-case name, itself among them."""

    def __init__(self, commands: Mapping[str, Command]) -> None:
        self._commands = commands

    def run(self, client: Client, words: list[bytes]) -> bytes:
        """COMMAND [subcommand ...]."""
        if len(words) == 1:
            return self._all(client)
        return run_subcommand(client, words, self._commands["command"])

    def count(self, client: Client, words: list[bytes]) -> bytes:  # noqa: ARG002 - As every one.
        """COMMAND COUNT."""
        return b":%d\r\n" % len(self._commands)

    def info(self, client: Client, words: list[bytes]) -> bytes:
        """COMMAND INFO [name ...]."""
        if len(words) == 2:
            return self._all(client)
        found = [self._find(word) for word in words[2:]]
        rows: list[Value] = [None if command is None else _row(command) for command in found]
        return encode(rows, client.protocol)

    def docs(self, client: Client, words: list[bytes]) -> bytes:
        """COMMAND DOCS [name ...]."""
        names = words[2:] or [name.encode() for name in self._commands]
        found = [command for command in map(self._find, names) if command is not None]
        docs: dict[str, Value] = {command.name: _document(command) for command in found}
        return encode(docs, client.protocol)

    def list_(self, client: Client, words: list[bytes]) -> bytes:
        """COMMAND LIST."""
        if len(words) > 2:
            return error("ERR COMMAND LIST takes no filter yet; see docs/reference/resp.md")
        return encode([name.encode() for name in self._commands], client.protocol)

    def getkeys(self, client: Client, words: list[bytes]) -> bytes:  # noqa: ARG002 - As every one.
        """COMMAND GETKEYS name [word ...]."""
        command = self._find(words[2])
        if command is None:
            return error("ERR Invalid command specified")
        if not command.words_min <= len(words) - 2 <= command.words_max:
            return error("ERR Invalid number of arguments specified for command")
        keys = command.keys_of(words[2:])
        return bulks(keys) if keys else error("ERR The command has no key arguments")

    def _all(self, client: Client) -> bytes:
        rows: list[Value] = [_row(command) for command in self._commands.values()]
        return encode(rows, client.protocol)

    def _find(self, word: bytes) -> Command | None:
        name, _, rest = word.decode("latin-1").lower().partition("|")
        command = self._commands.get(name)
        if not rest or command is None:
            return command
        return next((sub for sub in command.subcommands if sub.name == f"{name}|{rest}"), None)


def command_of(info: CommandInfo) -> Command:
    """Give the COMMAND that answers from `info`."""
    return Command(
        "command",
        "[subcommand ...]",
        -1,
        info.run,
        ("loading", "stale"),
        "server",
        "2.8.13",
        "Describe all commands.",
        subcommands=(
            subcommand("command|count", "", 2, info.count, "2.8.13", "Count the commands."),
            subcommand(
                "command|docs",
                "[name ...]",
                -2,
                info.docs,
                "7.0.0",
                "Describe them for people.",
            ),
            subcommand(
                "command|info",
                "[name ...]",
                -2,
                info.info,
                "2.8.13",
                "Describe them for clients.",
            ),
            subcommand("command|list", "", -2, info.list_, "7.0.0", "List their names."),
            subcommand(
                "command|getkeys",
                "name [word ...]",
                -3,
                info.getkeys,
                "2.8.13",
                "Which words are keys.",
            ),
        ),
        complexity="O(N) for N commands",
    )


def _row(command: Command) -> Value:
    keys = command.keys
    specs: list[Value] = [_key_spec(command)] if keys.first else []
    subs: list[Value] = [_row(sub) for sub in command.subcommands]
    return [
        command.name.encode(),
        command.arity,
        Flags(command.flags),
        keys.first,
        keys.last,
        keys.step,
        Flags(command.categories),
        [],
        specs,
        subs,
    ]


def _key_spec(command: Command) -> Value:
    keys = command.keys
    is_write = "write" in command.flags
    last = keys.last - keys.first if keys.last > 0 else keys.last
    index: dict[str, Value] = {"index": keys.first}
    reach: dict[str, Value] = {"lastkey": last, "keystep": keys.step, "limit": 0}
    begin: dict[str, Value] = {"type": "index", "spec": index}
    find: dict[str, Value] = {"type": "range", "spec": reach}
    flags = Flags(("RW", "update") if is_write else ("RO", "access"))
    spec: dict[str, Value] = {"flags": flags, "begin_search": begin, "find_keys": find}
    return spec


def _document(command: Command) -> Value:
    document: dict[str, Value] = {
        "summary": command.summary,
        "since": command.since,
        "group": command.group,
        "complexity": command.complexity,
    }
    if command.subcommands:
        document["subcommands"] = {sub.name: _document(sub) for sub in command.subcommands}
    return document
