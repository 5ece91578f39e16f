"""One node with everything real around it: store, links, doors. Many fit on one loop.

    start   folder -> store -> node -> links; the doors open once the node is ready
    drain   doors take nothing new, what is under way ends
    stop    everything is given back in order; kill: as if the process had died

A store that meets damage while it runs has noted so on disk and serves nothing damaged; the
server then starts over with the same addresses, and the store comes up empty, `recovering`.
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Literal, TypeAlias

from anel import __version__
from anel.config import Door, NodeConfig
from anel.env import Address
from anel.errors import ConfigurationError, CorruptData
from anel.internode.handshake import Hello
from anel.node.node import Node
from anel.node.settings import NodeSettings
from anel.ring.ring_view import Location
from anel.runtime.admin import NodeAdmin
from anel.runtime.born import initial_ring
from anel.runtime.disk import SyncThread
from anel.runtime.door_backend import DoorBackend
from anel.runtime.doors import DoorFacts, http_door, resp_door
from anel.runtime.env import RuntimeEnv
from anel.runtime.identity import STORE, Identity, begin_life, note_store
from anel.runtime.listener import Listener
from anel.runtime.measures import door_measures, link_measures
from anel.runtime.sockets import address_of, bind
from anel.runtime.transport import Transport
from anel.runtime.upkeep import Upkeep
from anel.storage.memory import MemoryStore
from anel.storage.records import RecordStore
from anel.storage.rocks import RocksStore

log = logging.getLogger("anel.server")

StoreKind: TypeAlias = Literal["rocks", "memory"]
DoorName: TypeAlias = Literal["resp", "http"]
DOORS: tuple[DoorName, ...] = ("resp", "http")
_REBINDS_MAX = 100
_REBIND_PAUSE_S = 0.005


class NodeServer:
    """One node on an event loop.

    Args:
        config: Its settings. A door at port 0 takes a free port and keeps it over restarts.
        loop: Where everything happens; `start`, `drain` and `stop` are awaited there.
        store: `memory` keeps nothing beyond this object.
        on_fatal: Told of what the node cannot go on after (a failed fsync, a store that cannot
            be opened again). The node is dead then: the caller ends the process.

    Attributes:
        node: The running node; only between `start` and `stop`.
        addresses: Where each door listens or will listen: resp, http, internode.
        failure: What `on_fatal` was told.
    """

    def __init__(
        self,
        config: NodeConfig,
        loop: asyncio.AbstractEventLoop,
        *,
        store: StoreKind = "rocks",
        on_fatal: Callable[[BaseException], None] | None = None,
    ) -> None:
        self.config = config
        self.addresses: dict[str, Address] = {}
        self.failure: BaseException | None = None
        self.env: RuntimeEnv | None = None
        self.transport: Transport | None = None
        self._loop = loop
        self._store_kind: StoreKind = store
        self._on_fatal = on_fatal
        self._data = Path(config.data)
        self._node: Node | None = None
        self._store: RecordStore | None = None
        self._former: MemoryStore | None = None
        self._syncer: SyncThread | None = None
        self._upkeep: Upkeep | None = None
        self._backend: DoorBackend | None = None
        self._identity: Identity | None = None
        self._listeners: dict[str, Listener] = {}
        self._bound: dict[str, socket.socket] = {}
        self._opening: asyncio.Task[None] | None = None
        self._restarting: asyncio.Task[None] | None = None
        self._is_serving = asyncio.Event()
        self._process = b""
        self._started_s = 0.0

    @property
    def node(self) -> Node:
        """The running node."""
        assert self._node is not None, "the node is not running"
        return self._node

    @property
    def is_running(self) -> bool:
        """Between `start` and `stop` or `kill`."""
        return self._node is not None

    @property
    def is_serving(self) -> bool:
        """The doors are open."""
        return self._is_serving.is_set()

    async def start(self) -> None:
        """Open the store, start the node, listen for peers. The doors open by themselves.

        Raises:
            ConfigurationError: A port is taken, the folder is in use, a setting contradicts it.
            UnknownFormat: Another release wrote the folder.
            StorageError: The store cannot be opened.
        """
        assert self._node is None, "started twice"
        if await self._starts(is_last=False):
            return
        # Only here, where the error is gone, whose frames would keep the store's files open.
        log.error("store damaged: met while starting; it is set aside")
        await asyncio.sleep(0)
        await self._starts(is_last=True)

    async def _starts(self, *, is_last: bool) -> bool:
        """Start; False when the store met damage, which it has noted for the next open."""
        self._started_s = time.monotonic()
        self._is_serving.clear()
        self._process = os.urandom(8)
        try:
            await self._bind()
            node = self._build()
            await self._start_links(node)
            node.start()
            self._look_where_members_are()
        except BaseException as error:
            is_noted = self._store is not None and self._store.found_corrupt
            self.kill()
            if is_last or not (is_noted and isinstance(error, CorruptData)):
                raise
            return False
        node.when_ready(self._open_doors)
        return True

    async def serving(self, timeout_s: float | None = None) -> None:
        """Wait until the doors are open.

        Raises:
            TimeoutError: They did not open in time.
        """
        async with asyncio.timeout(timeout_s):
            await self._is_serving.wait()

    async def drain(self, timeout_s: float) -> bool:
        """Take nothing new, let what is under way end, close the clients' connections.

        Returns:
            True when no request was cut off.
        """
        if self._backend is not None:
            self._backend.ready = False
        doors = list(self._listeners.values())
        ended = await asyncio.gather(*(door.drain(timeout_s) for door in doors))
        return all(ended)

    def stop(self) -> None:
        """End in order: what was applied is on disk afterwards."""
        self._end(flush=True)

    def kill(self) -> None:
        """End as a crash would: no flush, no goodbye."""
        self._end(flush=False)

    def pause(self) -> None:
        """Be silent with all connections open, as a stopped process would; for tests."""
        if self.env is not None and self.transport is not None:
            self.env.pause()
            self.transport.pause()
            for door in self._listeners.values():
                door.pause()

    def resume(self) -> None:
        """Go on after `pause`."""
        if self.env is not None and self.transport is not None:
            self.transport.resume()
            for door in self._listeners.values():
                door.resume()
            self.env.resume()

    # Starting.

    async def _bind(self) -> None:
        doors: tuple[Door, ...] = ("internode", *DOORS)
        for door in doors:
            wanted = self.config.address(door)
            if wanted is None:
                continue
            former = self.addresses.get(door)
            if former is None:
                self._bound[door] = bind(f"listen.{door}", wanted)
            else:
                self._bound[door] = await self._bind_again(door, former)
            self.addresses[door] = address_of(self._bound[door])

    async def _bind_again(self, door: str, former: Address) -> socket.socket:
        """Take an address that this node had a moment ago: the loop may not have let go yet."""
        for _ in range(_REBINDS_MAX):
            try:
                return bind(f"listen.{door}", former)
            except ConfigurationError:
                await asyncio.sleep(_REBIND_PAUSE_S)
        return bind(f"listen.{door}", former)

    def _build(self) -> Node:
        config, loop = self.config, self._loop
        self._identity = identity = begin_life(self._data, config.cluster_name, config.id)
        self.transport = Transport(loop, self._hello, Random(os.urandom(16)))  # noqa: S311
        self.env = env = RuntimeEnv(loop, self.transport)
        self._syncer = SyncThread(loop)
        self._store = store = self._open_store(env, self._syncer)
        if store.damage:
            log.error("store damaged: %s", store.damage)
        self._node = node = Node(env, store, self._settings(identity))
        self._upkeep = Upkeep(loop, store.work, self._look)
        self._upkeep.start()
        log.info(
            "node starts id=%s generation=%d release=%s store=%s durability=%s",
            identity.node.hex(),
            identity.generation,
            __version__,
            self._store_kind,
            config.durability,
        )
        return node

    def _open_store(self, env: RuntimeEnv, syncer: SyncThread) -> RecordStore:
        if self._store_kind == "memory":
            former, self._former = self._former, None
            if former is not None:
                return former
            return MemoryStore(env.now_ns, durability=self.config.durability, fatal=self._fatal)
        assert self._identity is not None
        store = RocksStore.open(
            self._data / STORE,
            syncer=syncer,
            now_ns=env.now_ns,
            fatal=self._fatal,
            durability=self.config.durability,
            gather=env.post,
            must_exist=self._identity.has_store or self.config.has_served,
        )
        note_store(self._data, self._identity)
        return store

    def _settings(self, identity: Identity) -> NodeSettings:
        config = self.config
        limits = config.limits
        return NodeSettings(
            node=identity.node,
            generation=identity.generation,
            address=self._advertised,
            location=Location(config.datacenter, config.rack),
            initial_ring=initial_ring(config),
            seeds=tuple(config.seed_addresses),
            tokens=tuple(config.tokens),
            replication=config.redis_replication,
            doors=tuple(
                (name, "{}:{}".format(*self.addresses[name]))
                for name in DOORS
                if name in self.addresses
            ),
            release=__version__,
            requests_in_flight_max=limits.requests_in_flight,
            write_timeout_ms=limits.write_timeout_ms,
            read_timeout_ms=limits.read_timeout_ms,
            hints_bytes_max=limits.hints_bytes_per_node,
            repair_bytes_per_s=limits.anti_entropy_bytes_per_s,
        )

    @property
    def _advertised(self) -> Address:
        host, port = self.config.advertised
        return (host, port or self.addresses["internode"][1])

    def _hello(self) -> Hello:
        assert self._identity is not None
        assert self.env is not None
        node = self.node
        host, port = self._advertised
        return Hello(
            cluster_name=self.config.cluster_name,
            ring_id=node.ring.view.ring_id if node.ring.is_formed else b"",
            node_id=self._identity.node,
            generation=self._identity.generation,
            process=self._process,
            host=host,
            port=port,
            clock_us=max(node.clock.last_us, self.env.wall_us()),
            release=__version__,
        )

    async def _start_links(self, node: Node) -> None:
        assert self.transport is not None
        await self.transport.start(node, self._bound.pop("internode"))

    def _look_where_members_are(self) -> None:
        """Dial members where the settings have them: a ring that moved as a whole needs it.

        Each knows the others only at their old addresses, so gossip could not tell.
        """
        assert self.env is not None
        for member in self.config.initial_ring:
            if member.id != self.node.settings.node and self.node.ring.is_formed:
                self.env.learn(member.id, member.endpoint)

    def _open_doors(self) -> None:
        self._opening = self._loop.create_task(self._open_each_door())

    async def _open_each_door(self) -> None:
        assert self.env is not None
        node, upkeep = self.node, self._upkeep
        assert upkeep is not None
        self._backend = backend = DoorBackend(node, self.env)
        admin = NodeAdmin(
            node,
            self.config.cluster_name,
            is_ready=lambda: backend.ready,
            lag_ms=lambda: upkeep.lag_ms,
            own_measures=self._own_measures,
        )
        facts = DoorFacts(self.config, self.addresses)
        for name, taken in list(self._bound.items()):
            if name == "resp":
                door = resp_door(self._loop, backend, facts)
            else:
                door = http_door(self._loop, admin, facts)
            self._listeners[name] = door
            try:
                await door.start(self._bound.pop(name, taken))
            except OSError as error:
                self._fatal(error)
                return
        self._is_serving.set()
        ports = " ".join(
            f"{name}={host}:{port}" for name, (host, port) in self.addresses.items()
        )
        log.info("node serves seconds=%.3f %s", time.monotonic() - self._started_s, ports)

    # Running.

    def _own_measures(self) -> Iterator[tuple[str, str, float]]:
        yield "anel_uptime_seconds", "", round(time.monotonic() - self._started_s, 3)
        if self._upkeep is not None:
            yield "anel_loop_lag_ms", "", self._upkeep.lag_ms
        if self.transport is not None:
            yield from link_measures(self.transport)
        yield from door_measures(self._listeners)

    def _look(self) -> None:
        store = self._store
        if store is not None and store.found_corrupt and self._restarting is None:
            log.error("store damaged: %s; the node restarts and is refilled", store.damage)
            self._restarting = self._loop.create_task(self._start_over())

    async def _start_over(self) -> None:
        self.kill()
        await asyncio.sleep(0)  # Connections close, so that their ports are free again.
        try:
            await self.start()
        except (ConfigurationError, OSError) as error:
            self._fatal(error)
        finally:
            self._restarting = None

    def _fatal(self, error: BaseException) -> None:
        log.critical("node cannot go on: %s", error)
        self.failure = error
        self.kill()
        if self._on_fatal is not None:
            self._on_fatal(error)

    # Ending.

    def _end(self, *, flush: bool) -> None:
        self._is_serving.clear()
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None
        for door in self._listeners.values():
            door.abort()
        self._listeners.clear()
        for taken in self._bound.values():
            taken.close()
        self._bound.clear()
        if self._upkeep is not None:
            self._upkeep.stop()
            self._upkeep = None
        node, self._node = self._node, None
        if self.transport is not None:
            self.transport.close()
        if node is not None:
            node.stop()
        if self.env is not None:
            self.env.close()
        self._close_store(flush=flush)
        if node is not None:
            log.info("node stopped flush=%s", "yes" if flush else "no")

    def _close_store(self, *, flush: bool) -> None:
        syncer, self._syncer = self._syncer, None
        ended = syncer is None or syncer.close()
        store, self._store = self._store, None
        if store is None:
            return
        if not ended:
            log.critical("an fsync hangs; the store is left as it is")
            return
        if isinstance(store, MemoryStore):
            if flush:
                self._former = store.reopen(fatal=self._fatal)
            else:
                self._former = store.crash(Random(os.urandom(16)), fatal=self._fatal)  # noqa: S311
        else:
            store.close(flush=flush)
