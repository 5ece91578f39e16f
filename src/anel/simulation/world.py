"""The imagined world at message level: virtual time, seeded chance, links that misbehave.

    World       a heap of (time, sequence, callback); nothing runs at a time of its own
    SimEnv      one node's Env in that world: its clock may be skewed, its links faulty
    Weather     how likely each fault is just now; `CALM` has none

Every message's fate is drawn from hash(seed, source, destination, number of the message on
that link), so that taking one step out of a run does not shift the fates of all that follow. A
run is a function of its seed: `World.digest` sums up (time, receiver, message), and two runs of
one seed must agree, whatever PYTHONHASHSEED is.

Source: FoundationDB's and TigerBeetle's simulators for the method; DESIGN section 1.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from struct import Struct
from typing import Protocol
from zlib import crc32

import mmh3

from anel.env import Address, NodeId, Timer

MS = 1_000_000
EPOCH_US = 1_600_000_000_000_000  # The imagined wall clock begins in September 2020.
_FATE = Struct(">QQ")


class SimNode(Protocol):
    """What the world calls on a node."""

    def receive(self, peer: NodeId, message: bytes) -> None:
        """Take one message."""

    def link_up(self, peer: NodeId, address: Address) -> None:
        """Messages to this peer can be sent from now on."""

    def link_down(self, peer: NodeId) -> None:
        """The link to this peer broke."""

    def merge_clock(self, peer_us: int) -> bool:
        """Take in the clock of a frame; False refuses the frame."""

    def clock_us(self) -> int:
        """Give the clock that a frame carries."""


@dataclass(frozen=True, slots=True)
class Weather:
    """How the network behaves just now. Chances are out of 1; delays in milliseconds."""

    drop: float = 0.0
    duplicate: float = 0.0
    delay_ms_min: float = 0.1
    delay_ms_max: float = 1.0
    late: float = 0.0  # The chance that a message takes up to `late_ms_max`.
    late_ms_max: float = 0.0


CALM = Weather()


class Event:
    """One callback on the heap; a Timer."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Forget the callback."""
        self.callback = None


class World:
    """Virtual time and the links between nodes.

    Args:
        seed: Everything that happens by chance follows from it.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.now_ns = 0
        self.weather = CALM
        self.events = 0
        self.delivered = 0
        self.digest = 0
        self._heap: list[tuple[int, int, Event]] = []
        self._sequence = 0
        self._envs: dict[NodeId, SimEnv] = {}
        self._by_address: dict[Address, NodeId] = {}
        self._cut: dict[tuple[NodeId, NodeId], bool] = {}

    def schedule(self, delay_ns: int, callback: Callable[[], None]) -> Event:
        """Run a callback after a virtual delay."""
        event = Event(callback)
        self._sequence += 1
        heapq.heappush(self._heap, (self.now_ns + max(0, delay_ns), self._sequence, event))
        return event

    def run(self, duration_ms: float, until: Callable[[], bool] | None = None) -> bool:
        """Let virtual time pass; stop early once `until` holds.

        Returns:
            Whether `until` held (True without one).
        """
        end = self.now_ns + int(duration_ms * MS)
        heap = self._heap
        while heap and heap[0][0] <= end:
            if until is not None and until():
                return True
            at, _, event = heapq.heappop(heap)
            self.now_ns = at
            callback = event.callback
            if callback is not None:
                event.callback = None
                self.events += 1
                callback()
        self.now_ns = end
        return until is None or until()

    def attach(self, env: "SimEnv") -> None:
        """Bring a node's environment to life: peers that know it will find it."""
        self._envs[env.node_id] = env
        self._by_address[env.address] = env.node_id
        for other in list(self._envs.values()):
            if other is not env and env.node_id in other.known:
                self._connect(other, env.node_id)

    def detach(self, env: "SimEnv") -> None:
        """Kill a node's environment: its callbacks never run again, its links break."""
        env.is_alive = False
        if self._envs.get(env.node_id) is not env:
            return
        del self._envs[env.node_id]
        for other in list(self._envs.values()):
            if env.node_id in other.links:
                del other.links[env.node_id]
                other.post(lambda other=other: other.node.link_down(env.node_id))  # type: ignore[misc]

    def cut(self, source: NodeId, destination: NodeId, *, cut: bool = True) -> None:
        """Lose every message from one node to another, without a word, until it is mended."""
        self._cut[source, destination] = cut

    def heal(self) -> None:
        """Mend every cut link."""
        self._cut.clear()

    def env_of(self, node: NodeId) -> "SimEnv | None":
        """Give a living node's environment."""
        return self._envs.get(node)

    def find(self, address: Address) -> NodeId | None:
        """Tell who listens at an address."""
        return self._by_address.get(address)

    def _connect(self, env: "SimEnv", peer: NodeId) -> None:
        def establish() -> None:
            other = self._envs.get(peer)
            if not env.is_alive or other is None or peer in env.links:
                return
            if self._cut.get((env.node_id, peer)) or self._cut.get((peer, env.node_id)):
                self._retry(env, peer)
                return
            env.links[peer] = other
            env.node.link_up(peer, other.address)
            if env.node_id not in other.known:
                other.learn(env.node_id, env.address)

        delay = 0.2 + self._fate(env.node_id, peer, env.next_number(peer))[0] * 5
        self.schedule(int(delay * MS), establish)

    def _retry(self, env: "SimEnv", peer: NodeId) -> None:
        def again() -> None:
            if env.is_alive:
                self._connect(env, peer)

        self.schedule(200 * MS, again)

    def _fate(self, source: NodeId, peer: NodeId, number: int) -> tuple[float, float, float]:
        one, two = mmh3.hash64(
            source + peer + number.to_bytes(8, "big"), self.seed & 0xFFFFFFFF, signed=False
        )
        return (one >> 32) / 2**32, (one & 0xFFFFFFFF) / 2**32, two / 2**64

    def transmit(self, source: "SimEnv", peer: NodeId, message: bytes) -> None:
        """Decide the fate of one message and deliver it, late, twice or never."""
        weather = self.weather
        number = source.next_number(peer)
        first, second, third = self._fate(source.node_id, peer, number)
        if self._cut.get((source.node_id, peer)) or first < weather.drop:
            return
        span = weather.delay_ms_max - weather.delay_ms_min
        delay_ms = weather.delay_ms_min + second * span
        if third < weather.late:
            delay_ms += second * weather.late_ms_max
        clock = source.node.clock_us()
        receiver = self._envs.get(peer)
        if receiver is None:
            return

        def deliver() -> None:
            if receiver.is_alive and source.node_id in receiver.known:
                receiver.take(source.node_id, message, clock)

        self.schedule(int(delay_ms * MS), deliver)
        if 1 - first < weather.duplicate:
            self.schedule(int((delay_ms * 2 + 1) * MS), deliver)


class SimEnv:
    """One node's environment in a world.

    Args:
        world: Where it lives.
        node_id: Whose it is.
        address: Where its peers find it.
        skew_us: How far its wall clock is off; may be changed at any time.
        generation: Which life of the node this is; chance differs between lives.
    """

    def __init__(
        self,
        world: World,
        node_id: NodeId,
        address: Address,
        *,
        skew_us: int = 0,
        generation: int = 1,
    ) -> None:
        self.world = world
        self.node_id = node_id
        self.address = address
        self.skew_us = skew_us
        self.is_alive = True
        self.is_paused = False
        self.known: dict[NodeId, Address] = {}
        self.links: dict[NodeId, SimEnv] = {}
        self.node: SimNode
        seed = mmh3.hash64(node_id + generation.to_bytes(8, "big"), world.seed & 0xFFFFFFFF)[0]
        self._random = Random(seed)
        self._numbers: dict[NodeId, int] = {}
        self._generation = generation

    @property
    def random(self) -> Random:
        """The node's only source of chance."""
        return self._random

    def now_ns(self) -> int:
        """Tell the world's monotonic time."""
        return self.world.now_ns

    def wall_us(self) -> int:
        """Tell this node's wall clock, skew included."""
        return EPOCH_US + self.world.now_ns // 1000 + self.skew_us

    def next_number(self, peer: NodeId) -> int:
        """Count the messages of one link, over all lives of this node."""
        number = self._numbers.get(peer, self._generation << 40)
        self._numbers[peer] = number + 1
        return number

    def send(self, peer: NodeId, message: bytes) -> bool:
        """Hand a message to the world; False without a link."""
        if not self.is_alive or peer not in self.links:
            return False
        self.world.transmit(self, peer, message)
        return True

    def learn(self, peer: NodeId, address: Address) -> None:
        """Remember a peer and connect to it."""
        if peer == self.node_id or self.known.get(peer) == address:
            return
        self.known[peer] = address
        self.world._connect(self, peer)  # noqa: SLF001  # The world and its env are one.

    def forget(self, peer: NodeId) -> None:
        """Drop a peer."""
        self.known.pop(peer, None)
        self.links.pop(peer, None)

    def dial(self, address: Address) -> None:
        """Try once to reach an address."""

        def reach() -> None:
            peer = self.world.find(address)
            if self.is_alive and peer is not None and self.world.env_of(peer) is not None:
                self.learn(peer, address)

        self.world.schedule(MS, reach)

    def set_timer(self, delay_ms: int, callback: Callable[[], None]) -> Timer:
        """Run a callback later, unless the node dies first."""
        return self.world.schedule(int(delay_ms * MS), lambda: self._run(callback))

    def post(self, callback: Callable[[], None]) -> None:
        """Run a callback soon."""
        self.world.schedule(0, lambda: self._run(callback))

    def take(self, peer: NodeId, message: bytes, clock_us: int) -> None:
        """Receive one message with the clock of its frame."""
        world = self.world
        world.delivered += 1
        world.digest = crc32(
            message, crc32(self.node_id, world.digest ^ (world.now_ns & 0xFFFFFFFF))
        )
        if self.node.merge_clock(clock_us):
            self.node.receive(peer, message)

    def _run(self, callback: Callable[[], None]) -> None:
        if self.is_alive:
            callback()
