"""A closed-loop load generator that speaks raw RESP, in a process of its own.

Each connection has one batch of commands in flight; when the whole reply is there, the next
batch leaves. A client library would burn more CPU than the servers under test, so requests are
pasted together from bytes, and replies are compared as bytes: every value is the same.

    python -m bench.load '{"addresses": [["127.0.0.1", 6379]], "operation": "GET", ...}'

prints one line of JSON: operations, seconds, errors, and percentiles of a batch's round trip.
"""

import itertools
import json
import random
import selectors
import socket
import sys
import time
from array import array
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal

RECEIVE_BYTES = 1 << 18
REPLY_WAIT_S = 10
OK = b"+OK\r\n"

Operation = Literal["GET", "SET", "FILL"]


@dataclass(frozen=True)
class Workload:
    """What to send, to whom, and for how long."""

    addresses: list[tuple[str, int]]
    operation: Operation
    """FILL sets each key once, in order, and ends when all are set."""
    seconds: float = 2.0
    connections: int = 64
    pipeline: int = 1
    keys: int = 100_000
    value_bytes: int = 100
    seed: int = 1

    @property
    def value(self) -> bytes:
        """The value of every key: text that does not compress to nothing."""
        letters = random.Random(7).choices(
            b"abcdefghijklmnopqrstuvwxyz0123456789", k=self.value_bytes
        )
        return bytes(letters)

    @property
    def reply(self) -> bytes:
        """What one command is answered with when all is well."""
        if self.operation == "GET":
            return b"$%d\r\n%s\r\n" % (self.value_bytes, self.value)
        return OK


@dataclass(frozen=True)
class Load:
    """What came of it."""

    operations: int
    errors: int
    seconds: float
    p50_us: float
    p99_us: float
    first_error: str = ""


class Connection:
    """One connection with at most one batch in flight."""

    __slots__ = ("received", "sent_at", "socket", "wanted")

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=REPLY_WAIT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.wanted = 0
        self.sent_at = 0.0


def commands(workload: Workload) -> Iterator[bytes]:
    """Make commands without end, or, for FILL, one for each key."""
    if workload.operation == "GET":
        head, tail = b"*2\r\n$3\r\nGET\r\n$14\r\nkey:", b"\r\n"
    else:
        head = b"*3\r\n$3\r\nSET\r\n$14\r\nkey:"
        tail = b"\r\n$%d\r\n%s\r\n" % (workload.value_bytes, workload.value)
    if workload.operation == "FILL":
        for key in range(workload.keys):
            yield b"%s%010d%s" % (head, key, tail)
        return
    draw, keys = random.Random(workload.seed).random, workload.keys
    while True:
        yield b"%s%010d%s" % (head, draw() * keys, tail)


class Generator:
    """One run of a workload over all its connections."""

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.commands = commands(workload)
        self.reply = workload.reply
        self.connections = [
            Connection(workload.addresses[index % len(workload.addresses)])
            for index in range(workload.connections)
        ]
        self.selector = selectors.DefaultSelector()
        self.latencies_us = array("d")
        self.operations = self.errors = 0
        self.first_error = ""

    def send(self, connection: Connection) -> bool:
        """Send the next batch; False when there is none."""
        batch = list(itertools.islice(self.commands, self.workload.pipeline))
        if not batch:
            return False
        connection.wanted = len(batch)
        connection.sent_at = time.perf_counter()
        connection.socket.sendall(b"".join(batch))
        return True

    def take(self, connection: Connection) -> bool:
        """Take what has come; True when the batch is answered."""
        reply = self.reply
        received = connection.socket.recv(RECEIVE_BYTES)
        if not received:
            raise ConnectionError("the server closed a connection under load")
        if connection.received:
            received = connection.received + received
        if len(received) < len(reply) * connection.wanted and b"-" not in received[:1]:
            connection.received = received
            return False
        if received != reply * connection.wanted:
            self.errors += connection.wanted
            self.first_error = self.first_error or repr(received[:200])
            if received.count(b"\r\n") < connection.wanted:
                connection.received = received
                return False
        connection.received = b""
        self.latencies_us.append((time.perf_counter() - connection.sent_at) * 1e6)
        self.operations += connection.wanted
        return True

    def run(self) -> Load:
        """Keep every connection busy until the time is up, then wait for what is in flight."""
        started = time.perf_counter()
        until = started + self.workload.seconds
        busy = 0
        for connection in self.connections:
            self.selector.register(connection.socket, selectors.EVENT_READ, connection)
            busy += self.send(connection)
        fills = self.workload.operation == "FILL"
        while busy:
            ready = self.selector.select(REPLY_WAIT_S)
            if not ready:
                raise TimeoutError(f"no reply within {REPLY_WAIT_S} s")
            goes_on = fills or time.perf_counter() < until
            for key, _ in ready:
                if self.take(key.data) and not (goes_on and self.send(key.data)):
                    busy -= 1
        seconds = time.perf_counter() - started
        for connection in self.connections:
            connection.socket.close()
        return self.result(seconds)

    def result(self, seconds: float) -> Load:
        """Sum up."""
        latencies = sorted(self.latencies_us)
        last = len(latencies) - 1
        return Load(
            self.operations,
            self.errors,
            seconds,
            latencies[last // 2],
            latencies[last * 99 // 100],
            self.first_error,
        )


def main() -> None:
    """Run the workload given as JSON, and print what came of it."""
    workload = Workload(**json.loads(sys.argv[1]))
    workload.addresses[:] = [(host, port) for host, port in workload.addresses]
    print(json.dumps(asdict(Generator(workload).run())))


if __name__ == "__main__":
    main()
