"""Under test: redis-cli on any node: commands, RESP3, inline, --scan, --pipe, --stat."""

import subprocess

import pytest

from anel.testing.local_ring import LocalRing
from tests.vectors.conversations import array

pytestmark = pytest.mark.redis_cli

SECONDS_MAX = 60


class Cli:
    """redis-cli, asked about one node."""

    def __init__(self, ring: LocalRing, node: int) -> None:
        host, port = ring.nodes[node].address("resp")
        self._command = ["redis-cli", "-h", host, "-p", str(port)]

    def __call__(self, *words: str, given: bytes | None = None) -> str:
        ended = subprocess.run(
            [*self._command, *words],
            input=given,
            capture_output=True,
            check=False,
            timeout=SECONDS_MAX,
            stdin=subprocess.DEVNULL if given is None else None,
        )
        assert ended.stderr == b""
        return ended.stdout.decode().strip()


@pytest.fixture
def cli(ring: LocalRing) -> Cli:
    asked = Cli(ring, 0)
    assert asked("FLUSHALL") == "OK"
    return asked


def test_commands_on_every_node(cli: Cli, ring: LocalRing) -> None:
    assert cli("PING") == "PONG"
    assert cli("SET", "greeting", "hello there", "EX", "100") == "OK"
    for node in range(3):
        other = Cli(ring, node)
        assert other("GET", "greeting") == "hello there"
        assert other("TTL", "greeting") in {"98", "99", "100"}
    assert Cli(ring, 2)("DEL", "greeting", "none") == "1"
    assert cli("EXISTS", "greeting") == "0"


def test_version_3(cli: Cli) -> None:
    assert cli("-3", "GET", "none") == ""
    assert "version" in cli("-3", "HELLO", "3")
    assert cli("-3", "CONFIG", "GET", "save") == "save"


def test_errors_are_shown(cli: Cli) -> None:
    assert cli("SET", "a").startswith("ERR wrong number of arguments for 'set' command")
    assert "conditional-writes release" in cli("INCR", "a")
    assert cli("NONSENSE").startswith("ERR unknown command 'NONSENSE'")


def test_commands_from_a_file_of_lines(cli: Cli) -> None:
    lines = b'SET a "x y"\nGET a\nMSET b 1 c 2\nMGET a b c\nDBSIZE\n'
    answers = cli(given=lines).splitlines()
    assert answers == ["OK", "x y", "OK", "x y", "1", "2", "3"]


def test_scan_lists_every_key(cli: Cli) -> None:
    names = {f"{{{index % 7}}}key:{index}" for index in range(200)}
    for start in range(0, 200, 50):
        some = sorted(names)[start : start + 50]
        assert cli("MSET", *(word for name in some for word in (name, "v"))) == "OK"
    assert set(cli("--scan").splitlines()) == names
    listed = cli("--scan", "--pattern", "{3}*").splitlines()
    assert set(listed) == {name for name in names if name.startswith("{3}")}


def test_mass_insertion(cli: Cli) -> None:
    data = b"".join(array([b"SET", b"key:%d" % index, b"v\r\n"]) for index in range(2_000))
    assert cli("--pipe", given=data).endswith("errors: 0, replies: 2000")
    assert cli("DBSIZE") == "2000"


def test_help_comes_from_the_door(cli: Cli) -> None:
    assert "SETNAME name" in cli("CLIENT", "HELP")
    assert int(cli("COMMAND", "COUNT")) > 30
    assert "redis_version:7.0.15" in cli("INFO", "server")
