"""What is not here is refused with its reason, or unknown in Redis's words."""

import pytest

from anel.doors.resp.command_table import BY_NAME
from anel.doors.resp.later import LATER
from tests.unit.doors.resp.fake_node import FakeConnection

NAMES = [name for names in LATER.values() for name in names.split()]


@pytest.mark.parametrize(
    "command",
    [
        "INCR a",
        "SETNX a 1",
        "GETSET a 1",
        "getdel a",
        "PERSIST a",
        "APPEND a b",
        "MULTI",
        "EVAL x 0",
    ],
)
def test_what_reads_before_it_writes_is_refused_with_where_it_comes(
    client: FakeConnection, command: str
) -> None:
    answer = client.send(command.encode()).decode()
    assert answer.startswith(
        f"-ERR Q6: {command.split(maxsplit=1)[0].upper()} must read before it writes"
    )
    assert "docs/reference/resp.md" in answer
    assert client.node.levels == []


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_refused_once_and_not_served(client: FakeConnection, name: str) -> None:
    assert name not in BY_NAME
    assert NAMES.count(name) == 1
    assert client.send(name.encode()).startswith(b"-ERR Q6: " + name.upper().encode())


def test_any_bytes_may_name_no_command(client: FakeConnection) -> None:
    answer = client.send([b"\xff\r\n" * 100, b"a\r\nb", b"c" * 500, b"d"])
    assert answer.startswith(b"-ERR unknown command '\xff  ")
    assert answer.count(b"\r\n") == 1
    assert len(answer) < 400
