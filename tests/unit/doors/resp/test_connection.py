"""HELLO, RESET, CLIENT: what a connection says of itself and how it is spoken to."""

import re

import pytest

from tests.unit.doors.resp.fake_node import FakeConnection


def test_hello_3_changes_how_nothing_is_said(client: FakeConnection) -> None:
    assert client.send(b"HELLO 3").startswith(b"%7\r\n")
    assert client.send(b"GET a", b"MGET a") == b"_\r\n*1\r\n_\r\n"
    assert client.send(b"RESET", b"GET a") == b"+RESET\r\n$-1\r\n"


def test_hello_takes_effect_after_what_is_under_way(slow: FakeConnection) -> None:
    slow.send(b"GET a", b"HELLO 3", b"GET a")
    slow.node.settle()
    answer = slow.take()
    assert answer.startswith(b"$-1\r\n%7\r\n")
    assert answer.endswith(b"_\r\n")


def test_a_refused_hello_changes_nothing(client: FakeConnection) -> None:
    client.send(b"HELLO 3 SETNAME a", b"HELLO 2 AUTH nobody x", b"HELLO 2 SETNAME b FOO")
    assert client.send(b"CLIENT GETNAME", b"GET a") == b"$1\r\na\r\n_\r\n"


def test_every_connection_has_an_id_of_its_own(client: FakeConnection) -> None:
    other = FakeConnection(client.node, client.door)
    assert client.send(b"CLIENT ID") == b":1\r\n"
    assert other.send(b"CLIENT ID") == b":2\r\n"


def test_what_a_client_says_of_itself_is_listed(client: FakeConnection) -> None:
    other = FakeConnection(client.node, client.door)
    client.send(
        b"CLIENT SETNAME me", b"client setinfo LIB-NAME lib", b"CLIENT SETINFO lib-ver 1"
    )
    client.node.pass_ms(5000)
    listed = other.send(b"CLIENT LIST").decode()
    mine = next(line for line in listed.splitlines() if " name=me " in line)
    for field in ("id=1", "age=5", "cmd=client", "resp=2", "lib-name=lib", "lib-ver=1"):
        assert re.search(rf"\b{field}\b", mine), field
    assert other.send(b"CLIENT LIST ID 2 9").count(b"id=") == 1
    assert other.send(b"CLIENT LIST TYPE normal").count(b" addr=") == 2
    assert client.send(b"CLIENT INFO").count(b" addr=") == 1
    assert client.send(b"RESET", b"CLIENT INFO").count(b"name=me") == 0


@pytest.mark.parametrize("words", [[b"LIB-NAME", b"a b"], [b"LIB-FOO", b"x"]])
def test_a_bad_setinfo_is_refused(client: FakeConnection, words: list[bytes]) -> None:
    assert client.send([b"CLIENT", b"SETINFO", *words]).startswith(b"-ERR ")


def test_gone_connections_are_not_listed(client: FakeConnection) -> None:
    other = FakeConnection(client.node, client.door)
    other.session.closed()
    assert client.send(b"CLIENT LIST").count(b" addr=") == 1


def test_names_may_hold_no_blanks(client: FakeConnection) -> None:
    assert client.send([b"CLIENT", b"SETNAME", b"a\nb"]).startswith(b"-ERR Client names")


@pytest.mark.parametrize("command", [b"CLIENT", b"COMMAND", b"CONFIG"])
def test_help_lists_every_subcommand(client: FakeConnection, command: bytes) -> None:
    answer = client.send(command + b" HELP")
    assert answer.startswith(b"*")
    assert b"+HELP\r\n" in answer
