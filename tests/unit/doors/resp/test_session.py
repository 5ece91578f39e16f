"""RespSession: commands in, replies out in order, whatever the ring's answers' order."""

from tests.unit.doors.resp.fake_node import FakeConnection


def test_a_written_string_is_read_back() -> None:
    client = FakeConnection()
    assert (
        client.send(b"PING", b"SET a 1", b"GET a", b"get b")
        == b"+PONG\r\n+OK\r\n$1\r\n1\r\n$-1\r\n"
    )
    assert client.send(b"DEL a b a", b"GET a") == b":1\r\n$-1\r\n"
