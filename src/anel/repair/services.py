"""What all machines of repair share: their node's ports, and how they ask a peer something."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from anel.data.schema import Schema
from anel.env import Env, NodeId
from anel.flow import Signal
from anel.internode.messages import MUTATE_REPLY, Status
from anel.internode.requests import Requests
from anel.limits import SLICE_NS_MAX
from anel.ring.token_map import TokenMap
from anel.storage.store import Store

T = TypeVar("T")

SchemaSource: TypeAlias = Callable[[], Schema]
"""Gives the node's present schema."""


class RingPort(Protocol):
    """The node's present view of the ring."""

    @property
    def epoch(self) -> int:
        """Grows with every change of ownership."""

    @property
    def token_map(self) -> TokenMap:
        """Who holds what in that epoch."""

    def pull(self, peer: NodeId) -> None:
        """Ask a peer whose epoch differs for its view; called whichever side is behind."""


class MembershipPort(Protocol):
    """What membership believes, and where this node's own states go."""

    def is_alive(self, node: NodeId) -> bool:
        """Tell whether a member is worth asking."""

    def is_recovering(self, node: NodeId) -> bool:
        """Tell whether a member is being refilled after damage."""

    def update(self, **states: str | int) -> None:
        """Set some of this node's own states."""


class RepairTable(NamedTuple):
    """What repair needs to know of a table.

    Attributes:
        id: Its id.
        keyspace: Its keyspace's name, for people.
        replication: How many copies each row has.
        truncated_at: Its last truncation, 0 for none.
    """

    id: bytes
    keyspace: str
    replication: int
    truncated_at: int


class Tables:
    """The tables of the present schema, worked out once for each schema.

    Args:
        source: Gives the present schema, which is immutable.
    """

    __slots__ = ("_by_id", "_digest", "_dropped", "_schema", "_source")

    def __init__(self, source: SchemaSource) -> None:
        self._source = source
        self._schema: Schema | None = None
        self._by_id: dict[bytes, RepairTable] = {}
        self._dropped: dict[bytes, bool] = {}
        self._digest = b""

    def all(self) -> list[RepairTable]:
        """List the tables, in order of keyspace and name."""
        return list(self._present().values())

    def get(self, table: bytes) -> RepairTable | None:
        """Find a table by id."""
        return self._present().get(table)

    def is_dropped(self, table: bytes) -> bool:
        """Tell whether a table is known to be gone; one never heard of is not."""
        self._present()
        return table in self._dropped

    def digest(self) -> bytes:
        """Give the schema's digest."""
        self._present()
        return self._digest

    def _present(self) -> dict[bytes, RepairTable]:
        schema = self._source()
        if schema is not self._schema:
            self._schema = schema
            self._digest = schema.digest()
            self._dropped = dict.fromkeys(schema.dropped_tables(), True)
            self._by_id = {
                table.id: RepairTable(
                    table.id, keyspace.name, keyspace.replication_factor, table.truncated_at
                )
                for keyspace in schema.keyspaces()
                for table in keyspace.tables
            }
        return self._by_id


def _never(_: bytes) -> bool:
    return False


@dataclass(slots=True)
class RepairServices:
    """The surroundings of repair on one node.

    Attributes:
        env: Its world.
        node: Its id.
        requests: Its requests under way.
        store: Its store.
        ring: Its view of the ring.
        schema: Gives its present schema.
        membership: What it believes of the others.
        is_fenced: Tells whether a truncation holds a table still on this node now.
        tables: The tables of the present schema.
    """

    env: Env
    node: NodeId
    requests: Requests
    store: Store
    ring: RingPort
    schema: SchemaSource
    membership: MembershipPort
    is_fenced: Callable[[bytes], bool] = _never
    tables: Tables = field(init=False)

    def __post_init__(self) -> None:
        self.tables = Tables(self.schema)

    def ask(
        self,
        peer: NodeId,
        build: Callable[[int], bytes],
        read: Callable[[bytes], T],
        timeout_ms: int,
    ) -> Signal[T | None]:
        """Send one request.

        Args:
            peer: Whom to ask.
            build: Makes the message from its request id.
            read: Takes the reply apart. It runs as the reply arrives, so that the node's
                dispatch meets what it raises on a malformed one, which then counts as none.
            timeout_ms: How long to wait.

        Returns:
            What was read; None for no link or no reply in time.
        """
        question = _Question(self.requests, peer, read)
        question.request = self.requests.start(question, timeout_ms)
        if not self.env.send(peer, build(question.request)):
            question.on_link_down(peer)
        return question.answer


class _Question(Generic[T]):
    """One request whose reply a flow waits for."""

    __slots__ = ("_peer", "_read", "_requests", "answer", "request")

    def __init__(self, requests: Requests, peer: NodeId, read: Callable[[bytes], T]) -> None:
        self._requests = requests
        self._peer = peer
        self._read = read
        self.request = 0
        self.answer: Signal[T | None] = Signal()

    def on_reply(self, peer: NodeId, message: bytes) -> None:
        if peer == self._peer:
            reply = self._read(message)
            self._requests.finish(self.request)
            self.answer.fire(reply)

    def on_link_down(self, peer: NodeId) -> None:
        if peer == self._peer:
            self._requests.finish(self.request)
            self.answer.fire(None)

    def on_deadline(self) -> None:
        self.answer.fire(None)


def mutate_status(reply: bytes) -> Status:
    """Read the status of a MUTATE reply."""
    return Status(MUTATE_REPLY.unpack(reply)[2])


class Slices:
    """Cuts a flow's work into pieces of at most SLICE_NS_MAX, so that clients go first."""

    __slots__ = ("_ends_ns", "_env")

    def __init__(self, env: Env) -> None:
        self._env = env
        self._ends_ns = env.now_ns() + SLICE_NS_MAX

    async def breathe(self) -> None:
        """Let others run if this slice is used up. Call it between small steps."""
        if self._env.now_ns() >= self._ends_ns:
            turn: Signal[None] = Signal()
            self._env.post(lambda: turn.fire(None))
            await turn
            self._ends_ns = self._env.now_ns() + SLICE_NS_MAX
