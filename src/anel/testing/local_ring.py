"""A ring in this process, in a thread of its own: what `anel.testing.cluster` gives."""

import asyncio
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from anel.config import InitialMember, Listen, NodeConfig
from anel.data.schema import Table
from anel.errors import AnelError, NotReady, Unavailable
from anel.limits import VNODES_PER_NODE
from anel.node.schema_agreement import Done, SchemaBook
from anel.ring.allocation import initial_tokens
from anel.testing.free_ports import HOST, FreePorts
from anel.testing.local_node import LocalNode
from anel.testing.log_tap import LogTap
from anel.testing.loop_thread import LoopThread

SETTLE_SECONDS_MAX = 20.0
SETTLE_STEP_SECONDS = 0.05

Durability = Literal["group", "periodic", "none"]


class LocalRing:
    """Nodes of one ring on one loop; stopped by `stop()` or at the end of a `with` block.

    Attributes:
        nodes: The nodes, by index.
    """

    def __init__(
        self,
        nodes: int,
        *,
        store: str = "rocksdb",
        durability: Durability = "group",
        replication: int = 3,
    ) -> None:
        self.nodes: list[LocalNode] = []
        self._folder = Path(tempfile.mkdtemp(prefix="anel-ring-"))
        self._ports = FreePorts()
        self._tap = LogTap(nodes)
        self._thread = LoopThread("anel ring")
        self._is_stopped = False
        try:
            configs = _configs(
                nodes, self._folder, self._ports, replication=replication, durability=durability
            )
            self.nodes = [
                LocalNode(index, config, self._thread, self._tap, store=store)
                for index, config in enumerate(configs)
            ]
            self._ports.ready()
            self._start_all(self.nodes)
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def partition(self, *groups: Iterable[int]) -> None:
        """Let nodes of different groups exchange nothing, until `heal` or another partition.

        A node that stands in no group can still reach every node.

        Raises:
            ValueError: A node stands in two groups, or there is no such node.
        """
        group_of: dict[int, int] = {}
        for number, group in enumerate(groups):
            for index in group:
                if index in group_of or not 0 <= index < len(self.nodes):
                    raise ValueError(f"node {index}: in two groups, or not in this ring")
                group_of[index] = number
        for node in self.nodes:
            own = group_of.get(node.index)
            node.cut_off(
                peer.id
                for peer in self.nodes
                if own is not None and group_of.get(peer.index, own) != own
            )

    def heal(self) -> None:
        """End a partition."""
        for node in self.nodes:
            node.cut_off([])

    def restore(self) -> None:
        """Heal partitions, let paused nodes go on, start stopped ones."""
        self.heal()
        for node in self.nodes:
            if node.state == "paused":
                node.resume()
        self._start_all([node for node in self.nodes if node.state == "stopped"])

    def stop(self) -> None:
        """Stop every node and remove the data; harmless when that has been done."""
        if self._is_stopped:
            return
        self._is_stopped = True
        try:
            for node in self.nodes:
                node.kill()
        finally:
            self._thread.close()
            self._ports.close()
            self._tap.close()
            shutil.rmtree(self._folder, ignore_errors=True)

    def create_keyspace(
        self, name: str, *, replication: int | None = None, first_copy: bool = False
    ) -> None:
        """Make a keyspace and wait until every node that can be reached has it.

        Raises:
            RequestRefused: The name is taken or not allowed, or the replication too high.
            RequestFailed: Too few nodes answered.
        """
        replicas = replication or min(3, len(self.nodes))
        self._change(
            lambda schema, done: schema.create_keyspace(
                name, replicas, first_copy=first_copy, done=done
            )
        )

    def drop_keyspace(self, name: str) -> None:
        """Remove a keyspace and what is in it."""
        self._change(lambda schema, done: schema.drop_keyspace(name, done=done))

    def empty(self) -> None:
        """Remove every key of every table; every node must run.

        Raises:
            RequestFailed: A node did not confirm it in time.
        """
        tables = [
            table
            for keyspace in self._serving().server.node.schema.keyspaces()
            for table in keyspace.tables
        ]
        for table in tables:
            self._thread.wait(self._truncate(table))

    async def _truncate(self, table: Table) -> None:
        # A node that was started just now may not yet count as alive with the others.
        async with asyncio.timeout(SETTLE_SECONDS_MAX):
            while isinstance(  # noqa: ASYNC110 - Nothing tells when that changes.
                outcome := await self._truncate_once(table), Unavailable
            ):
                await asyncio.sleep(SETTLE_STEP_SECONDS)
        if outcome is not None:
            raise outcome

    def _truncate_once(self, table: Table) -> "asyncio.Future[AnelError | None]":
        outcome: asyncio.Future[AnelError | None] = self._thread.loop.create_future()
        self._serving().server.node.coordinator.truncate(table, outcome.set_result)
        return outcome

    def _serving(self) -> LocalNode:
        node = next((node for node in self.nodes if node.state == "serving"), None)
        if node is None:
            raise NotReady("no node of the ring serves; start one with ring.nodes[k].start()")
        return node

    def _start_all(self, nodes: list[LocalNode]) -> None:
        async def start() -> None:
            # A task each: every node speaks in a context of its own.
            outcomes = await asyncio.gather(
                *(node.begin() for node in nodes), return_exceptions=True
            )
            for outcome in outcomes:
                if outcome is not None:
                    raise outcome

        self._thread.wait(start())

    def _change(self, change: Callable[[SchemaBook, Done], None]) -> None:
        node = self._serving()

        async def ask() -> None:
            outcome: asyncio.Future[AnelError | None] = self._thread.loop.create_future()
            change(node.server.node.schema, outcome.set_result)
            refusal = await outcome
            if refusal is not None:
                raise refusal

        self._thread.wait(ask())


def _configs(
    count: int, folder: Path, ports: FreePorts, *, replication: int, durability: Durability
) -> list[NodeConfig]:
    """Draw up a ring: ids, tokens, and ports that nobody else will get."""
    listens = [
        Listen(
            cql="off",
            resp=f"{HOST}:{ports.take()}",
            http=f"{HOST}:{ports.take()}",
            internode=f"{HOST}:{ports.take()}",
        )
        for _ in range(count)
    ]
    members = [
        InitialMember(node_id=uuid.uuid4().hex, address=listen.internode, tokens=tokens)
        for listen, tokens in zip(listens, initial_tokens(count, VNODES_PER_NODE), strict=True)
    ]
    return [
        NodeConfig(
            cluster_name=f"test-{members[0].node_id[:8]}",
            data=str(folder / f"node{index}"),
            node_id=member.node_id,
            durability=durability,
            replication=replication,
            listen=listen,
            initial_ring=members,
        )
        for index, (member, listen) in enumerate(zip(members, listens, strict=True))
    ]
