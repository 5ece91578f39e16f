"""COMMAND: the table of commands, told to clients and to people."""

import pytest

from anel.doors.resp.command_table import BY_NAME, COMMANDS, find
from tests.unit.doors.resp.fake_node import FakeConnection


def test_count_docs_info_and_list_agree(client: FakeConnection) -> None:
    count = len(BY_NAME)
    assert client.send(b"COMMAND COUNT") == b":%d\r\n" % count
    for command in (b"COMMAND", b"COMMAND INFO", b"COMMAND LIST"):
        assert client.send(command).startswith(b"*%d\r\n" % count)
    assert client.send(b"COMMAND DOCS").startswith(b"*%d\r\n" % (2 * count))
    client.send(b"HELLO 3")
    assert client.send(b"COMMAND DOCS").startswith(b"%%%d\r\n" % count)


@pytest.mark.parametrize("name", BY_NAME)
def test_every_command_is_complete(name: str) -> None:
    command = BY_NAME[name]
    assert command.summary.endswith(".")
    assert command.since.count(".") == 2
    assert command.group in ("string", "generic", "connection", "server", "transactions")
    assert command.keys.first == 0 or abs(command.arity) > command.keys.first
    assert ("write" in command.flags) + ("readonly" in command.flags) <= 1


def test_info_describes_a_command_as_redis_does(client: FakeConnection) -> None:
    answer = client.send(b"COMMAND INFO mset")
    assert answer.startswith(
        b"*1\r\n*10\r\n$4\r\nmset\r\n:-3\r\n*2\r\n+write\r\n+denyoom\r\n:1\r\n:-1\r\n:2\r\n"
    )


def test_subcommands_are_found_by_their_whole_name(client: FakeConnection) -> None:
    assert client.send(b"COMMAND INFO client|id none|id client|none").endswith(
        b"$-1\r\n$-1\r\n"
    )
    assert b"connection's id" in client.send(b"COMMAND DOCS CLIENT|ID")


def test_docs_name_subcommands(client: FakeConnection) -> None:
    assert b"$9\r\nclient|id\r\n" in client.send(b"COMMAND DOCS client")


def test_getkeys_of_a_command_without_keys_says_so(client: FakeConnection) -> None:
    assert client.send(b"COMMAND GETKEYS PING x") == (
        b"-ERR The command has no key arguments\r\n"
    )


def test_list_takes_no_filter(client: FakeConnection) -> None:
    assert client.send(b"COMMAND LIST FILTERBY PATTERN x").startswith(b"-ERR ")


@pytest.mark.parametrize("spelling", [b"get", b"GET", b"Get"])
def test_a_name_is_found_in_any_spelling(spelling: bytes) -> None:
    assert (COMMANDS.get(spelling) or find([spelling])).name == "get"
