"""A small ring of test nodes in the simulated world: components are hung on by each test."""

from collections.abc import Callable

from anel.env import Address, NodeId
from anel.internode.messages import REPLY, request_of
from anel.internode.requests import Requests
from anel.ring.allocation import initial_tokens
from anel.ring.ring_view import Location, Member, RingView, ring_view
from anel.simulation.world import SimEnv, World


def node_id(number: int) -> NodeId:
    """Name a test node: 16 bytes that show its number."""
    return NodeId(bytes((number + 1,)) * 2 + bytes(14))


def address_of(number: int) -> Address:
    """Give a test node's address."""
    return ("127.0.0.1", 7000 + number)


def view_of(count: int, vnodes: int = 4) -> RingView:
    """Make the first view of a ring of so many nodes."""
    tokens = initial_tokens(count, vnodes)
    members = tuple(
        Member(node_id(k), address_of(k), Location(), tuple(sorted(tokens[k])))
        for k in range(count)
    )
    return ring_view(bytes(16), 1, members)


class BareNode:
    """What the world calls: hands messages to handlers by type, replies to requests.

    Attributes:
        handlers: By message type, filled by the test's components.
        sent: How many messages of each type this node sent.
    """

    def __init__(self, world: World, number: int, generation: int = 1) -> None:
        self.world = world
        self.number = number
        self.id = node_id(number)
        self.generation = generation
        self.env = CountingEnv(world, self.id, address_of(number), generation=generation)
        self.env.node = self
        self.requests = Requests(self.env)
        self.handlers: dict[int, Callable[[NodeId, bytes], None]] = {}
        self.when_link_up: list[Callable[[NodeId, Address], None]] = []
        self.when_link_down: list[Callable[[NodeId], None]] = []

    def attach(self) -> None:
        """Come to life."""
        self.world.attach(self.env)

    def kill(self) -> None:
        """Die as by kill -9."""
        self.world.detach(self.env)

    def receive(self, peer: NodeId, message: bytes) -> None:
        """Take one message."""
        kind = message[0]
        if kind & REPLY:
            self.requests.reply(peer, request_of(message), message)
        elif kind in self.handlers:
            self.handlers[kind](peer, message)

    def link_up(self, peer: NodeId, address: Address) -> None:
        """Tell the components."""
        for listener in self.when_link_up:
            listener(peer, address)

    def link_down(self, peer: NodeId) -> None:
        """Tell the requests first, then the components."""
        self.requests.link_down(peer)
        for listener in self.when_link_down:
            listener(peer)

    def merge_clock(self, peer_us: int) -> bool:  # noqa: ARG002  # The test ring has no clock.
        """Accept every frame."""
        return True

    def clock_us(self) -> int:
        """Give the wall clock."""
        return self.env.wall_us()


class CountingEnv(SimEnv):
    """The simulated Env, counting what is sent by type."""

    def __init__(
        self, world: World, node: NodeId, address: Address, *, generation: int = 1
    ) -> None:
        super().__init__(world, node, address, generation=generation)
        self.sent: dict[int, int] = {}
        self.sent_bytes = 0

    def send(self, peer: NodeId, message: bytes) -> bool:
        """Count and send."""
        sent = super().send(peer, message)
        if sent:
            self.sent[message[0]] = self.sent.get(message[0], 0) + 1
            self.sent_bytes += len(message)
        return sent
