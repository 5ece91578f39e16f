"""A node that exists only as far as the HTTP door can see."""

from collections.abc import Iterator

from anel.doors.http.backend import (
    Answer,
    KeyspaceReport,
    LookupReport,
    NodeReport,
    RangeReport,
    RingReport,
    StatusReport,
)
from anel.doors.http.session import HttpDoor, HttpSession
from anel.errors import UnknownTable

LEVELS = {"ANY": 1.0, "ONE": 1.0, "TWO": 1.0, "THREE": 0.0, "QUORUM": 0.5, "ALL": 0.0}


class FakeNode:
    """`AdminBackend` over values that a test sets."""

    def __init__(self) -> None:
        self.is_ready = True
        self.nodes = [
            NodeReport("aa" * 16, "127.0.0.1:7000", "up", is_self=True, share=0.5, rows=1234),
            NodeReport("bb" * 16, "127.0.0.1:7001", "dead", share=0.5, damage="<b>bits</b>"),
        ]
        self.changes: list[tuple[str, str, int | None, bool | None]] = []
        self.waiting: list[Answer] = []

    def status(self) -> StatusReport:
        return StatusReport(
            cluster_name="<ring>",
            ring_id="cc" * 16,
            epoch=3,
            node="aa" * 16,
            release="0.1.0",
            is_ready=self.is_ready,
            nodes=self.nodes,
            keyspaces=self.keyspaces(),
            behind=["5 mutations wait"],
            next_step="start it",
        )

    def ring_report(self) -> RingReport:
        ranges = [RangeReport("-5", "aa" * 16), RangeReport(str(2**62), "bb" * 16)]
        return RingReport("cc" * 16, 3, "Murmur3Partitioner", ranges)

    def lookup(self, table: str, key: bytes) -> LookupReport:
        if table not in ("", "redis"):
            raise UnknownTable(f"there is no keyspace {table}; see all")
        return LookupReport(table, key.hex(), "42", self.nodes[:1])

    def keyspaces(self) -> list[KeyspaceReport]:
        return [KeyspaceReport("redis", 2, levels=LEVELS, tables=["data"])]

    def create_keyspace(
        self, name: str, replication: int, *, first_copy: bool, done: Answer
    ) -> None:
        self.changes.append(("create", name, replication, first_copy))
        self.waiting.append(done)

    def alter_keyspace(
        self, name: str, replication: int | None, *, first_copy: bool | None, done: Answer
    ) -> None:
        self.changes.append(("alter", name, replication, first_copy))
        self.waiting.append(done)

    def drop_keyspace(self, name: str, done: Answer) -> None:
        self.changes.append(("drop", name, None, None))
        self.waiting.append(done)

    def measures(self) -> Iterator[tuple[str, str, float]]:
        yield "anel_ready", "", 1
        yield "anel_nodes", "alive", 2
        yield "anel_requests_total", "writes", 7


class Browser:
    """Sends bytes to a session and takes what it answers."""

    def __init__(self, node: FakeNode | None = None) -> None:
        self.node = node or FakeNode()
        self.received = b""
        self.is_closed = False
        door = HttpDoor(self.node, [("127.0.0.1", 8500), ("10.0.0.7", 7000)])
        self.session = HttpSession(door, self._take, self._close)

    def send(self, data: bytes) -> bytes:
        """Give the session bytes; return what it has answered since the last call."""
        self.session.receive(data)
        received, self.received = self.received, b""
        return received

    def ask(self, method: str, target: str, body: bytes = b"", **headers: str) -> bytes:
        """Send one request."""
        fields = {"Host": "localhost:8500", "Content-Type": "application/json", **headers}
        if body:
            fields["Content-Length"] = str(len(body))
        lines = [f"{method} {target} HTTP/1.1"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        return self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def _take(self, data: bytes) -> None:
        self.received += data

    def _close(self) -> None:
        self.is_closed = True


def status_of(response: bytes) -> int:
    """Give a response's status."""
    return int(response.split(b" ", 2)[1])


def body_of(response: bytes) -> bytes:
    """Give a response's body."""
    return response.partition(b"\r\n\r\n")[2]
