"""INFO, CONFIG GET, TIME: what clients ask about the node."""

from anel.doors.resp.door import RespDoor
from tests.unit.doors.resp.fake_node import START_US, FakeConnection, FakeNode


def connect() -> FakeConnection:
    node = FakeNode()
    door = RespDoor(node, port=6379, version="0.1.0", facts=lambda: {"node": "n1"})
    return FakeConnection(node, door)


def lines_of(answer: bytes) -> dict[str, str]:
    text = answer.decode()
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def test_info_says_which_redis_it_is_like_and_what_it_is() -> None:
    client = connect()
    client.send(b"PING", b"PING")
    client.node.pass_ms(90_000_000)
    lines = lines_of(client.send(b"INFO"))
    assert lines["redis_version"] == "7.0.15"
    assert lines["anel_version"] == "0.1.0"
    assert lines["tcp_port"] == "6379"
    assert lines["uptime_in_days"] == "1"
    assert lines["connected_clients"] == "1"
    assert lines["total_commands_processed"] == "2"
    assert lines["consistency"] == "QUORUM"
    assert lines["node"] == "n1"


def test_info_gives_the_sections_asked_for() -> None:
    client = connect()
    answer = client.send(b"INFO server REPLICATION")
    assert answer.count(b"# ") == 2
    assert client.send(b"INFO everything") == client.send(b"INFO").replace(
        b"processed:2", b"processed:1"
    )


def test_info_is_verbatim_in_version_3() -> None:
    client = connect()
    client.send(b"HELLO 3")
    assert client.send(b"INFO cluster") == b"=34\r\ntxt:# Cluster\r\ncluster_enabled:0\r\n\r\n"


def test_config_get_takes_patterns() -> None:
    client = connect()
    assert client.send(b"CONFIG GET port") == b"*2\r\n$4\r\nport\r\n$4\r\n6379\r\n"
    assert client.send(b"CONFIG GET SAV* maxmem*-p*").startswith(b"*4\r\n")
    client.send(b"HELLO 3")
    assert client.send(b"CONFIG GET port").startswith(b"%1\r\n")


def test_time_is_the_nodes() -> None:
    client = connect()
    seconds = START_US // 1_000_000
    assert client.send(b"TIME") == b"*2\r\n$10\r\n%d\r\n$1\r\n0\r\n" % seconds
