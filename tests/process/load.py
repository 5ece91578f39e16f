"""Clients in threads that write, delete and read, and remember what they were promised.

Each key belongs to one client, each value is written once. After a lost connection or a
time-out a write is *unknown*: it may be there, then or later, until a later write of the key is
acknowledged. What was refused with nothing done must never be seen.
"""

import threading
import time
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.process.wire import PATIENCE_SECONDS, Refusal, Reply, Wire

KEYS_PER_CLIENT = 120
NOTHING_WAS_DONE = ("X2", "X3", "X4")
TIMED_OUT = ("X6", "X7")
LOST = "connection lost"
RETRY_SECONDS = 0.02


class Trouble(NamedTuple):
    """A request that got no good answer: which node's client, when, what it was told."""

    node: int
    began: float
    ended: float
    code: str
    text: str


@dataclass
class Promise:
    """What may be read of one key."""

    acknowledged: bytes | None = None
    unknown: list[bytes | None] = field(default_factory=list)

    def allows(self, value: bytes | None) -> bool:
        """Tell whether a read may give this value."""
        return value == self.acknowledged or value in self.unknown


class Command(NamedTuple):
    """One command of a client and the value that it leaves."""

    key: bytes
    words: tuple[bytes, ...]
    value: bytes | None = None

    @property
    def is_write(self) -> bool:
        """Whether it changes its key."""
        return self.words[0] != b"GET"


class Client(threading.Thread):
    """One client of one node.

    Attributes:
        promises: By key.
        acknowledged: How many writes were.
        reads: How many reads were answered.
        troubles: Requests without a good answer.
        wrong: Reads of what must not be there, in words.
    """

    def __init__(self, load: "Load", node: int, number: int, *, pipelined: bool) -> None:
        super().__init__(name=f"client {number} of node {node}", daemon=True)
        self.node = node
        self.promises = {b"%d:%d" % (number, k): Promise() for k in range(KEYS_PER_CLIENT)}
        self.acknowledged = 0
        self.reads = 0
        self.troubles: list[Trouble] = []
        self.wrong: list[str] = []
        self._load = load
        self._number = number
        self._pipelined = pipelined
        self._random = Random(number)
        self._written = 0

    def run(self) -> None:
        """Work until the load is stopped, on a new connection whenever one is lost."""
        while not self._load.is_stopped.is_set():
            try:
                connection = self._connect()
            except (OSError, redis.ConnectionError):
                self._load.is_stopped.wait(RETRY_SECONDS)  # The node is down.
                continue
            with connection:
                while not self._load.is_stopped.is_set() and self._turn(connection):
                    pass

    def _connect(self) -> "Wire | RedisPy":
        address = self._load.addresses[self.node]
        return Wire(address) if self._pipelined else RedisPy(address)

    def _turn(self, connection: "Wire | RedisPy") -> bool:
        count = 8 if self._pipelined else self._random.choice((1, 1, 1, 4))
        keys = self._random.sample(list(self.promises), count)
        commands = [self._command(key) for key in keys]
        for command in commands:
            if command.is_write:
                self.promises[command.key].unknown.append(command.value)
        began = time.monotonic()
        answered = 0
        try:
            connection.send([command.words for command in commands])
            for command in commands:
                self._take(command, connection.reply(), began)
                answered += 1
        except OSError as error:
            for command in commands[answered:]:
                text = f"{command.words[0].decode()}: {error!r}"
                self.troubles.append(Trouble(self.node, began, time.monotonic(), LOST, text))
            return False
        return True

    def _command(self, key: bytes) -> Command:
        chance = self._random.random()
        if chance < 0.35:
            return Command(key, (b"GET", key))
        if chance < 0.42:
            return Command(key, (b"DEL", key))
        self._written += 1
        value = b"%d-%d-" % (self._number, self._written) + b"x" * self._random.randrange(200)
        return Command(key, (b"SET", key, value), value)

    def _take(self, command: Command, reply: Reply, began: float) -> None:
        promise = self.promises[command.key]
        if isinstance(reply, Refusal):
            now = time.monotonic()
            self.troubles.append(Trouble(self.node, began, now, reply.code, str(reply)))
            if command.is_write and reply.code in NOTHING_WAS_DONE:
                promise.unknown.pop()
        elif command.is_write:
            promise.acknowledged = command.value
            promise.unknown.clear()
            self.acknowledged += 1
        else:
            self.reads += 1
            self.check(command.key, reply, f"node {self.node}")

    def check(self, key: bytes, value: Reply, where: str) -> None:
        """Note a value that must not be there."""
        promise = self.promises[key]
        if not (value is None or isinstance(value, bytes)) or not promise.allows(value):
            self.wrong.append(f"{where} gave {key!r} = {value!r}, promised was {promise}")


class RedisPy:
    """The same calls over redis-py, which pipelines without MULTI and retries nothing."""

    def __init__(self, address: tuple[str, int]) -> None:
        host, port = address
        self._client = redis.Redis(
            host=host,
            port=port,
            socket_timeout=PATIENCE_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._client.ping()
        self._replies: list[Reply] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def send(self, commands: list[tuple[bytes, ...]]) -> None:
        """Send a pipeline and keep the replies."""
        pipeline = self._client.pipeline(transaction=False)
        for words in commands:
            pipeline.execute_command(*words)  # type: ignore[no-untyped-call]
        try:
            replies = pipeline.execute(raise_on_error=False)
        except redis.TimeoutError as error:
            raise TimeoutError(str(error)) from error
        except redis.ConnectionError as error:
            raise ConnectionResetError(str(error)) from error
        self._replies = [_plain(reply) for reply in reversed(replies)]

    def reply(self) -> Reply:
        """Give the next reply."""
        return self._replies.pop()


def _plain(reply: object) -> Reply:
    if isinstance(reply, redis.RedisError):
        return Refusal(f"{type(reply).__name__} {reply}")
    if isinstance(reply, bool):
        return b"OK" if reply else None
    assert reply is None or isinstance(reply, bytes | int)
    return reply


class Load:
    """All clients: one over redis-py and one raw and pipelined for each node.

    Args:
        addresses: The nodes' Redis doors.
        first: Number of the first client; loads of one ring must not share any.
    """

    def __init__(self, addresses: list[tuple[str, int]], first: int = 0) -> None:
        self.addresses = addresses
        self.is_stopped = threading.Event()
        pairs = [(node, first + 2 * node) for node in range(len(addresses))]
        self.clients = [Client(self, *pair, pipelined=False) for pair in pairs]
        self.clients += [Client(self, node, at + 1, pipelined=True) for node, at in pairs]

    def __enter__(self) -> Self:
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Let every client end its request."""
        self.is_stopped.set()
        for client in self.clients:
            client.join(2 * PATIENCE_SECONDS)
            assert not client.is_alive(), f"{client.name} hangs"

    @property
    def acknowledged(self) -> int:
        """How many writes were acknowledged."""
        return sum(client.acknowledged for client in self.clients)

    @property
    def reads(self) -> int:
        """How many reads were answered."""
        return sum(client.reads for client in self.clients)

    @property
    def troubles(self) -> list[Trouble]:
        """Requests without a good answer, in order of time."""
        return sorted(
            (trouble for client in self.clients for trouble in client.troubles),
            key=lambda trouble: trouble.ended,
        )

    @property
    def wrong(self) -> list[str]:
        """Reads of what must not be there."""
        return [text for client in self.clients for text in client.wrong]

    def read_back(self, node: int) -> int:
        """Read every key through one node and check it; give how many there are."""
        count = 0
        with Wire(self.addresses[node]) as wire:
            for client in self.clients:
                keys = list(client.promises)
                wire.send([(b"GET", key) for key in keys])
                for key in keys:
                    client.check(key, wire.reply(), f"node {node}, afterwards,")
                count += len(keys)
        return count
