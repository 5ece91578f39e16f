"""Under test: redis-py, the newest release, in both versions of the protocol, on any node."""

import threading
import time
from collections.abc import Iterator

import pytest
import redis
from redis.exceptions import ConnectionError as Unreachable
from redis.exceptions import ResponseError

from anel import testing
from anel.testing.local_ring import LocalRing

KEYS = 2_000


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def client(request: pytest.FixtureRequest, ring: LocalRing) -> Iterator[redis.Redis]:
    """Connect to one node; the ring is empty before and after."""
    host, port = ring.nodes[0].address("resp")
    with redis.Redis(host=host, port=port, protocol=request.param) as connected:
        connected.flushall()
        yield connected
        connected.flushall()


@pytest.fixture
def others(ring: LocalRing) -> Iterator[list[redis.Redis]]:
    """Connect to every node."""
    clients = [redis.Redis(*node.address("resp")) for node in ring.nodes]
    yield clients
    for connected in clients:
        connected.close()


def test_what_one_node_is_told_every_node_knows(
    client: redis.Redis, others: list[redis.Redis]
) -> None:
    value = bytes(range(256))
    assert client.set("greeting", value) is True
    assert [other.get("greeting") for other in others] == [value] * 3
    assert others[2].delete("greeting") == 1
    assert client.get("greeting") is None


def test_strings(client: redis.Redis) -> None:
    assert client.ping() is True
    assert client.mset({"a": 1, "b": 2.5, "{t}c": "\u20ac"}) is True
    assert client.mget("a", "b", "none", "{t}c") == [b"1", b"2.5", None, "\u20ac".encode()]
    assert client.strlen("{t}c") == 3
    assert client.getrange("b", 1, -1) == b".5"
    assert client.exists("a", "a", "none") == 2
    assert client.type("a") == b"string"
    assert client.type("none") == b"none"
    assert client.unlink("a", "b", "none") == 2


def test_large_values(client: redis.Redis) -> None:
    value = b"\r\n$5\0" * 200_000
    client.set("large", value)
    assert client.get("large") == value
    with pytest.raises(ResponseError, match="a word may have 16777216 bytes"):
        client.set("larger", bytes(17 * 1024 * 1024))
    assert client.ping() is True


def test_expiry(client: redis.Redis) -> None:
    client.set("a", 1, ex=100)
    client.set("b", 1, px=100_000)
    client.set("c", 1, pxat=int(time.time() * 1000) + 100_000)
    client.set("d", 1, exat=int(time.time()) + 100)
    for key in "abcd":
        assert 98 <= client.ttl(key) <= 100
    assert client.ttl("none") == -2
    assert client.expire("a", 10) is True
    assert 9_000 < client.pttl("a") <= 10_000
    assert client.expire("none", 10) is False
    client.set("a", 2)
    assert client.ttl("a") == -1
    client.pexpire("a", 30)
    deadline = time.monotonic() + 5
    while client.exists("a"):
        assert time.monotonic() < deadline
    assert client.get("a") is None


def test_a_pipeline_on_many_keys(client: redis.Redis) -> None:
    with client.pipeline(transaction=False) as pipe:
        for index in range(KEYS):
            pipe.set(f"key:{index}", index)
            pipe.get(f"key:{index}")
        answers = pipe.execute()
    assert answers[::2] == [True] * KEYS
    assert answers[1::2] == [b"%d" % index for index in range(KEYS)]
    assert client.dbsize() == KEYS


def test_an_error_in_a_pipeline_is_its_commands_own(client: redis.Redis) -> None:
    with client.pipeline(transaction=False) as pipe:
        pipe.set("a", 1)
        pipe.incr("a")
        pipe.get("a")
        answers = pipe.execute(raise_on_error=False)
    assert answers[0] is True
    assert isinstance(answers[1], ResponseError)
    assert answers[2] == b"1"


def test_a_transaction_is_refused_and_leaves_nothing(client: redis.Redis) -> None:
    with client.pipeline(transaction=True) as pipe:
        pipe.set("a", 1)
        pipe.set("b", 1)
        with pytest.raises(ResponseError, match=r"MULTI .* conditional-writes release"):
            pipe.execute()
    assert client.dbsize() == 0
    assert client.set("a", 1) is True


def test_scans_see_every_key(client: redis.Redis) -> None:
    names = {b"{%d}%d" % (index % 50, index) for index in range(500)}
    with client.pipeline(transaction=False) as pipe:
        for name in sorted(names):
            pipe.set(name, b"")
        pipe.execute()
    found = list(client.scan_iter(count=20))
    assert len(found) == len(names)
    assert set(found) == names
    assert set(client.keys("{1}*")) == {name for name in names if name.startswith(b"{1}")}
    assert set(client.scan_iter(match="{1}*", _type="string")) == set(client.keys("{1}*"))
    assert client.scan(0, match="nothing", count=10_000) == (0, [])


def test_what_clients_ask_about_the_server(client: redis.Redis) -> None:
    assert client.info()["redis_version"] == "7.0.15"
    assert client.info("anel")["consistency"] == "QUORUM"
    assert client.config_get("save") == {"save": ""}
    assert client.client_setname("me") is True
    assert client.client_getname() in {"me", b"me"}
    assert any(each["name"] == "me" for each in client.client_list())
    assert client.client_info()["lib-name"] == "redis-py"
    assert client.echo("x") == b"x"
    assert client.command_count() > 30
    assert "get" in client.command()
    assert client.time()[0] > 0


def test_what_is_not_here_says_when_it_comes(client: redis.Redis) -> None:
    with pytest.raises(ResponseError, match="conditional-writes release"):
        client.set("a", 1, nx=True)
    with pytest.raises(ResponseError, match="hashes"):
        client.hset("a", "b", "c")
    with pytest.raises(ResponseError, match="DB index is out of range"):
        client.select(1)


def test_a_lock_is_refused_rather_than_unsafe(client: redis.Redis) -> None:
    with pytest.raises(ResponseError, match="conditional-writes release"):
        client.lock("a", timeout=5).acquire(blocking=False)


def test_many_threads(client: redis.Redis) -> None:
    failures: list[BaseException] = []

    def work(thread: int) -> None:
        try:
            for index in range(100):
                name = f"{thread}:{index}"
                client.set(name, name)
                assert client.get(name) == name.encode()
        except BaseException as failure:  # noqa: BLE001 - Shown by the assertion below.
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert client.dbsize() == 800


def test_acknowledged_writes_outlive_any_one_node() -> None:
    with testing.cluster(3) as ring:
        for victim in range(3):
            alive = [node for index, node in enumerate(ring.nodes) if index != victim]
            with redis.Redis(*alive[0].address("resp")) as client:
                client.set(f"before:{victim}", victim)
                ring.nodes[victim].kill()
                client.set(f"after:{victim}", victim)
                with redis.Redis(*alive[1].address("resp")) as other:
                    found = other.mget(f"before:{victim}", f"after:{victim}")
                assert found == [b"%d" % victim] * 2
            with pytest.raises(Unreachable):
                redis.Redis(*ring.nodes[victim].address("resp")).ping()
            ring.nodes[victim].start()
            with redis.Redis(*ring.nodes[victim].address("resp")) as returned:
                assert returned.get(f"after:{victim}") == b"%d" % victim
