"""Under test: what the Redis door is held against is what a real redis-server does."""

import random
from collections.abc import Iterator

import pytest

from anel.doors.resp.glob import matcher
from tests.clients.redis_server import RedisServer
from tests.vectors.conversations import Conversation, array, load

pytestmark = pytest.mark.redis_server

CONVERSATIONS = load()
GLOBS = 300


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as started:
        yield started


@pytest.mark.parametrize("talk", CONVERSATIONS, ids=lambda talk: talk.title)
def test_the_recorded_answers_are_those_of_redis(
    server: RedisServer, talk: Conversation
) -> None:
    assert server.converse(talk).turns == talk.turns


def test_patterns_match_as_in_redis(server: RedisServer) -> None:
    seeded = random.Random("globs")
    keys = sorted(
        {"".join(seeded.choices("ab-]^\\*[", k=seeded.randint(1, 5))) for _ in range(300)}
    )
    with server.connect() as connection:
        server.ask(connection, b"FLUSHALL\r\n")
        server.ask(connection, b"".join(array([b"SET", key.encode(), b""]) for key in keys))
        for _ in range(GLOBS):
            pattern = "".join(seeded.choices("ab-]^\\*?[*?", k=seeded.randint(0, 7))).encode()
            connection.sendall(array([b"KEYS", pattern]))
            answer = _read_array(connection.makefile("rb"))
            matches = matcher(pattern)
            ours = {key.encode() for key in keys if matches(key.encode())}
            assert ours == answer, pattern


def _read_array(stream) -> set[bytes]:  # type: ignore[no-untyped-def]  # noqa: ANN001
    count = int(stream.readline()[1:])
    found = set()
    for _ in range(count):
        size = int(stream.readline()[1:])
        found.add(stream.read(size + 2)[:-2])
    return found
