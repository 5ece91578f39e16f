"""One node of a ring in this process: started, broken and mended from any thread."""

from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterable
from typing import Literal

from anel.config import NodeConfig
from anel.env import Address, NodeId
from anel.errors import NotReady
from anel.node.node import Node
from anel.runtime.server import NodeServer, StoreKind
from anel.testing.log_tap import LogTap
from anel.testing.loop_thread import LoopThread

Door = Literal["resp", "http", "internode"]
SCHEMES = {"resp": "redis", "http": "http", "internode": "tcp"}
SERVING_SECONDS_MAX = 30.0


class LocalNode:
    """A node that runs in a `LocalRing`.

    Attributes:
        index: Its place in `ring.nodes`.
        server: The node itself, for tests that look inside; touch it on the ring's loop only.
    """

    def __init__(
        self, index: int, config: NodeConfig, thread: LoopThread, tap: LogTap, *, store: str
    ) -> None:
        self.index = index
        self.server = _Server(
            config, thread.loop, store="memory" if store == "memory" else "rocks"
        )
        self._config = config
        self._thread = thread
        self._tap = tap
        self._is_paused = False

    def __repr__(self) -> str:
        return f"<node {self.index}: {self.state}, {self.url('resp')}>"

    @property
    def id(self) -> NodeId:
        """The node's name for life."""
        node = self._config.id
        assert node is not None
        return node

    @property
    def state(self) -> str:
        """`serving`, `starting`, `paused` or `stopped`."""
        if not self.server.is_running:
            return "stopped"
        if self._is_paused:
            return "paused"
        return "serving" if self.server.is_serving else "starting"

    def address(self, door: Door = "resp") -> Address:
        """Tell where a door listens: (host, port), the same through all restarts."""
        address = self._config.address(door)
        assert address is not None
        return address

    def url(self, door: Door = "resp") -> str:
        """Write where a door listens as a URL."""
        host, port = self.address(door)
        return f"{SCHEMES[door]}://{host}:{port}"

    def log_lines(self) -> list[str]:
        """Give the node's last log lines, oldest first."""
        return self._tap.lines(self.index)

    def kill(self) -> None:
        """End the node as `kill -9` would: no flush, no goodbye. Nothing happens if it is."""
        self._is_paused = False
        self._call(self.server.kill)

    def start(self) -> None:
        """Start a stopped node; returns when it serves.

        Raises:
            AnelError: It cannot start, or does not serve in time.
        """
        self._thread.wait(self.begin())

    def pause(self) -> None:
        """Be silent with all connections open, as a stopped process would."""
        self._is_paused = True
        self._call(self.server.pause)

    def resume(self) -> None:
        """Go on after `pause`."""
        self._is_paused = False
        self._call(self.server.resume)

    def cut_off(self, peers: Iterable[NodeId]) -> None:
        """Exchange nothing with these nodes, and with no others; lasts through restarts."""
        wanted = list(peers)
        self._call(lambda: self.server.cut_off(wanted))

    def _call(self, function: Callable[[], None]) -> None:
        def speaking() -> None:
            # What is set going here, such as callbacks that were held back, is the node's too.
            self._tap.speaking(self.index)
            function()

        self._thread.call(speaking)

    async def begin(self) -> None:
        """Start on the ring's loop, in a task of its own."""
        if self.server.is_running:
            return
        self._tap.speaking(self.index)
        await self.server.start()
        try:
            await self.server.serving(SERVING_SECONDS_MAX)
        except TimeoutError as error:
            raise NotReady(
                f"node {self.index} does not serve after {SERVING_SECONDS_MAX:.0f} s; "
                "its log_lines() may say why"
            ) from error


class _Server(NodeServer):
    """A server whose peers can be cut off, also before it starts."""

    def __init__(
        self, config: NodeConfig, loop: AbstractEventLoop, *, store: StoreKind
    ) -> None:
        super().__init__(config, loop, store=store)
        self._cut: list[NodeId] = []

    def cut_off(self, peers: list[NodeId]) -> None:
        """Exchange nothing with these nodes, and with no others."""
        former, self._cut = self._cut, peers
        if self.transport is None or not self.is_running:
            return
        for peer in former:
            if peer not in peers:
                self.transport.unblock(peer)
        for peer in peers:
            self.transport.block(peer)

    def _build(self) -> Node:
        node = super()._build()
        assert self.transport is not None
        for peer in self._cut:
            self.transport.block(peer)
        return node
