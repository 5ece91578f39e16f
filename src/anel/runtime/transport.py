"""The links of one node: who is dialled, who may talk, and which messages wait.

Each node dials one connection to every peer it has learnt and sends only there; what peers send
comes in by the connections that they dialled. A peer that dials is dialled back at once, so a
restarted node is reachable again within a round trip. Messages of one tick leave as one frame.

    unreachable --dial--> dialling --hello--> up --lost--> unreachable, dialled again after
                                                            50 ms, 100 ms, ... 1 s with jitter
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from random import Random

from anel.env import Address, NodeId, short
from anel.errors import PeerRefused
from anel.internode.frame import encode_frame, split_messages
from anel.internode.handshake import Hello, Refusal, check_hello, is_own
from anel.limits import FRAME_TARGET_BYTES, NODES_MAX, PEER_QUEUE_BYTES_MAX
from anel.runtime.complaints import Complaints
from anel.runtime.link import Accepted, Dialled
from anel.runtime.port import NodePort

_log = logging.getLogger("anel.transport")

DIAL_TIMEOUT_S = 2.0
BACKOFF_MIN_S = 0.05
BACKOFF_MAX_S = 1.0
ACCEPTED_MAX = 2 * NODES_MAX  # One from each peer, and as many again while they are replaced.
ACCEPTED_PER_PEER_MAX = 4  # A peer whose link broke may dial before the old end is seen.
STRANGERS_MAX = NODES_MAX  # Peers that dialled us and that the node has not learnt.


class _Peer:
    """One peer: its link, if there is one, and what waits for it."""

    __slots__ = (
        "address",
        "backoff_s",
        "connection",
        "id",
        "is_dialling",
        "is_hopeful",
        "is_learnt",
        "queue",
        "queued_bytes",
        "retry",
    )

    def __init__(self, peer: NodeId, address: Address, *, is_learnt: bool) -> None:
        self.id = peer
        self.address = address
        self.is_learnt = is_learnt
        self.connection: Dialled | None = None
        self.is_dialling = False
        self.is_hopeful = False  # It dialled us, or was never tried: messages may wait for it.
        self.backoff_s = BACKOFF_MIN_S
        self.retry: asyncio.TimerHandle | None = None
        self.queue: list[bytes] = []
        self.queued_bytes = 0

    def cancel_retry(self) -> None:
        if self.retry is not None:
            self.retry.cancel()
            self.retry = None


class Transport:
    """All links of one node.

    Args:
        loop: Where everything happens.
        hello: Describes this node; called for every greeting.
        random: For the jitter of reconnecting.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, hello: Callable[[], Hello], random: Random
    ) -> None:
        self._loop = loop
        self._random = random
        self._node: NodePort | None = None
        self._peers: dict[NodeId, _Peer] = {}
        self._dirty: list[_Peer] = []
        self._accepted: dict[Accepted, None] = {}
        self._dialled: dict[Dialled, None] = {}
        self._dials: dict[asyncio.Task[None], None] = {}
        self._blocked: dict[NodeId, None] = {}
        self._complaints = Complaints(_log)
        self._listener: asyncio.Server | None = None
        self._is_closed = False
        self._is_paused = False
        self.own_hello = hello
        self.frames_sent = 0
        self.messages_sent = 0
        self.bytes_sent = 0
        self.messages_refused = 0

    # The node's side.

    async def start(self, node: NodePort, taken: socket.socket) -> None:
        """Listen for peers on a bound socket."""
        self._node = node
        self._listener = await self._loop.create_server(self._accept, sock=taken)

    def send(self, peer: NodeId, message: bytes) -> bool:
        """Queue one message (`anel.env.Env.send`)."""
        to = self._peers.get(peer)
        if to is None or (to.connection is None and not to.is_hopeful):
            return False
        queued_bytes = to.queued_bytes + len(message) + 4
        if queued_bytes > PEER_QUEUE_BYTES_MAX:
            self.messages_refused += 1
            return False
        if not to.queue:
            if not self._dirty:
                self._loop.call_soon(self._flush)
            self._dirty.append(to)
        to.queue.append(message)
        to.queued_bytes = queued_bytes
        return True

    def learn(self, peer: NodeId, address: Address) -> None:
        """Keep a link to a peer open from now on."""
        known = self._peers.get(peer)
        if known is None:
            known = self._peers[peer] = _Peer(peer, address, is_learnt=True)
            known.is_hopeful = True
        elif known.is_learnt and known.address == address:
            return
        known.is_learnt = True
        known.address = address
        if known.connection is None:
            self._dial_peer(known)

    def forget(self, peer: NodeId) -> None:
        """Drop both directions and stop dialling; a peer that dials again is a stranger."""
        known = self._peers.get(peer)
        if known is not None:
            known.is_learnt = False
            self._cut(peer)
            if known.connection is None:
                self._peers.pop(peer, None)

    def dial(self, address: Address) -> None:
        """Try an address once; `link_up` follows unless the peer has a link already."""
        if not self._is_closed:
            self._attempt(address, None)

    def is_up(self, peer: NodeId) -> bool:
        """Tell whether a link to a peer stands."""
        known = self._peers.get(peer)
        return known is not None and known.connection is not None

    @property
    def queued_bytes(self) -> int:
        """What waits for peers to take it."""
        return sum(peer.queued_bytes for peer in self._peers.values())

    @property
    def links_up(self) -> int:
        """How many peers can be sent to."""
        return sum(peer.connection is not None for peer in self._peers.values())

    # For tests.

    def block(self, peer: NodeId) -> None:
        """Cut a peer off in both directions until `unblock`."""
        self._blocked[peer] = None
        self._cut(peer)

    def unblock(self, peer: NodeId) -> None:
        """Let a peer back in and dial it at once."""
        self._blocked.pop(peer, None)
        known = self._peers.get(peer)
        if known is not None and known.is_learnt and known.connection is None:
            known.is_hopeful = True
            self._dial_peer(known)

    def pause(self) -> None:
        """Neither read nor write until `resume`, as a stopped process would."""
        self._is_paused = True
        for transport in self._open():
            transport.pause_reading()

    def resume(self) -> None:
        """Go on after `pause`."""
        self._is_paused = False
        for transport in self._open():
            transport.resume_reading()
        self._flush()

    def close(self) -> None:
        """Drop everything at once."""
        self._is_closed = True
        if self._listener is not None:
            self._listener.close()
        for dial in list(self._dials):
            dial.cancel()
        for peer in self._peers.values():
            peer.cancel_retry()
        for transport in self._open():
            transport.abort()

    def _open(self) -> list[asyncio.Transport]:
        connections: list[Accepted | Dialled] = [*self._accepted, *self._dialled]
        transports = [connection.transport for connection in connections]
        return [one for one in transports if one is not None and not one.is_closing()]

    # Sending.

    def _flush(self) -> None:
        if self._is_paused:
            return
        dirty, self._dirty = self._dirty, []
        if self._node is None:
            return
        clock_us = self._node.clock.last_us
        for peer in dirty:
            self._flush_peer(peer, clock_us)

    def _flush_peer(self, peer: _Peer, clock_us: int) -> None:
        connection = peer.connection
        if connection is None or connection.transport is None or not connection.can_write():
            return  # Flushed by `answered` or `writable`, or dropped by `lost`.
        messages, peer.queue = peer.queue, []
        size, peer.queued_bytes = peer.queued_bytes, 0
        if not messages:
            return
        parts = [messages] if size <= FRAME_TARGET_BYTES else split_messages(messages)
        for index, part in enumerate(parts):
            if not connection.can_write():
                peer.queue = [message for later in parts[index:] for message in later]
                peer.queued_bytes = sum(len(message) + 4 for message in peer.queue)
                return
            frame = encode_frame(clock_us, part)
            connection.transport.write(frame)
            self.frames_sent += 1
            self.messages_sent += len(part)
            self.bytes_sent += len(frame)

    def writable(self, connection: Dialled) -> None:
        """`DialOwner`: send what has waited."""
        peer = self._peers.get(connection.peer) if connection.peer else None
        if peer is not None and peer.connection is connection and self._node is not None:
            self._flush_peer(peer, self._node.clock.last_us)

    # Dialling.

    def _dial_peer(self, peer: _Peer) -> None:
        if self._is_closed or peer.is_dialling or peer.id in self._blocked:
            return
        peer.cancel_retry()
        peer.is_dialling = True
        self._attempt(peer.address, peer)

    def _attempt(self, address: Address, peer: _Peer | None) -> None:
        task = self._loop.create_task(self._connect(address, peer))
        self._dials[task] = None
        task.add_done_callback(self._dials.pop)

    async def _connect(self, address: Address, peer: _Peer | None) -> None:
        connection = Dialled(self, self._loop, address)
        connection.peer = peer.id if peer else None
        try:
            async with asyncio.timeout(DIAL_TIMEOUT_S):
                await self._loop.create_connection(lambda: connection, *address)
        except (OSError, TimeoutError) as error:
            _log.debug("cannot reach %s:%d: %s", *address, error)
            if connection.transport is not None:
                connection.abort()
            elif peer is not None:
                self._failed(peer)

    def connected(self, connection: Dialled) -> None:
        """`DialOwner`: remember the connection while it is open."""
        assert connection.transport is not None
        self._dialled[connection] = None
        if self._is_closed:
            connection.transport.abort()
        elif self._is_paused:
            connection.transport.pause_reading()

    def answered(self, connection: Dialled, hello: Hello) -> None:
        """`DialOwner`: the greetings are done; decide whether this link is wanted."""
        own = self.own_hello()
        check_hello(own, hello)
        expected, peer_id = connection.peer, NodeId(hello.node_id)
        if expected is not None and expected != peer_id:
            raise PeerRefused(
                f"node {short(expected)} was expected there, {short(peer_id)} answered; "
                "its address has changed hands"
            )
        if peer_id in self._blocked:
            raise PeerRefused(f"node {short(peer_id)} is blocked for a test")
        peer = self._peers.get(peer_id)
        if (peer is None and expected is not None) or self._is_closed:
            connection.abort()  # Forgotten meanwhile.
            return
        if peer is None:
            peer = self._peers[peer_id] = _Peer(peer_id, hello.address, is_learnt=False)
        if peer.connection is not None:
            connection.abort()  # A seed that turns out to be a peer we have a link to.
            return
        connection.peer = peer_id
        connection.process = hello.process
        peer.cancel_retry()
        peer.connection = connection
        peer.address = hello.address
        peer.is_dialling = False
        peer.is_hopeful = False
        peer.backoff_s = BACKOFF_MIN_S
        assert self._node is not None
        _log.info("link up node=%s address=%s:%d", short(peer_id), *hello.address)
        self._node.link_up(peer_id, hello.address)
        self._flush_peer(peer, self._node.clock.last_us)

    def refused(self, connection: Dialled, reason: str, *, own: bool) -> None:
        """`DialOwner`: log why, unless the node has only met itself."""
        if not own:
            host, port = connection.address
            self._complaints.say(f"refused by {host}:{port}: {reason}")

    def lost(self, connection: Dialled) -> None:
        """`DialOwner`: a connection ended, up or not."""
        self._dialled.pop(connection, None)
        peer = self._peers.get(connection.peer) if connection.peer else None
        if peer is None:
            return
        if peer.connection is connection:
            peer.connection = None
            peer.queue = []
            peer.queued_bytes = 0
            if not self._is_closed and self._node is not None:
                _log.info("link down node=%s", short(peer.id))
                self._node.link_down(peer.id)
            self._redial(peer)
        elif peer.connection is None:
            self._failed(peer)

    def _failed(self, peer: _Peer) -> None:
        peer.is_dialling = False
        had_waiting = bool(peer.queue)
        peer.is_hopeful = False
        peer.queue = []
        peer.queued_bytes = 0
        if self._is_closed:
            return
        if had_waiting and self._node is not None:
            self._node.link_down(peer.id)
        self._redial(peer)

    def _redial(self, peer: _Peer) -> None:
        if self._is_closed or peer.id in self._blocked or peer.is_dialling:
            return
        if not peer.is_learnt:
            if self._peers.get(peer.id) is peer:
                del self._peers[peer.id]
            return
        delay_s = peer.backoff_s * self._random.uniform(0.5, 1.0)
        peer.backoff_s = min(peer.backoff_s * 2, BACKOFF_MAX_S)
        peer.cancel_retry()
        peer.retry = self._loop.call_later(delay_s, self._dial_peer, peer)

    # Accepting.

    def _accept(self) -> Accepted:
        assert self._node is not None
        return Accepted(self, self._loop, self._node.clock.merge, self._node.receive)

    def opened(self, connection: Accepted) -> bool:
        """`AcceptOwner`: bound the number of connections."""
        if self._is_closed or len(self._accepted) >= ACCEPTED_MAX:
            self._complaints.say(f"closed a connection: {ACCEPTED_MAX} links are open already")
            return False
        self._accepted[connection] = None
        if self._is_paused and connection.transport is not None:
            connection.transport.pause_reading()
        return True

    def greeted(self, connection: Accepted, hello: Hello) -> Refusal | None:
        """`AcceptOwner`: decide whether a peer may talk, and dial it back."""
        own = self.own_hello()
        if is_own(own, hello):
            return Refusal("this is the node itself", own=True)
        try:
            check_hello(own, hello)
            self._supersede(NodeId(hello.node_id), hello)
        except PeerRefused as error:
            self._complaints.say(f"refused {connection.address}: {error}")
            return Refusal(str(error))
        self._dial_back(NodeId(hello.node_id), hello)
        return None

    def broke(self, connection: Accepted, reason: str) -> None:
        """`AcceptOwner`: say who broke the rules."""
        who = short(connection.peer) if connection.peer else connection.address.split(":")[0]
        self._complaints.say(f"closed a link from {who}: {reason}")

    def closed(self, connection: Accepted) -> None:
        """`AcceptOwner`: forget the connection."""
        self._accepted.pop(connection, None)

    def _supersede(self, peer: NodeId, hello: Hello) -> None:
        """Make room for a peer's new connection, or refuse a second process with its id."""
        if peer in self._blocked:
            raise PeerRefused("this node has blocked the peer for a test")
        present = [other for other in self._accepted if other.peer == peer]
        for other in present:
            assert other.hello is not None
            if other.hello.process == hello.process:
                continue
            if hello.generation <= other.hello.generation:
                raise PeerRefused(
                    f"duplicate id: node {peer.hex()} is already connected from "
                    f"{other.hello.host}:{other.hello.port}; give each node a data folder of "
                    "its own, never a copy"
                )
            other.abort()  # A restarted node's former life.
        same = [other for other in present if other.peer == peer]
        if len(same) >= ACCEPTED_PER_PEER_MAX:
            same[0].abort()

    def _dial_back(self, peer_id: NodeId, hello: Hello) -> None:
        peer = self._peers.get(peer_id)
        if peer is None:
            strangers = sum(not known.is_learnt for known in self._peers.values())
            if strangers >= STRANGERS_MAX:
                self._complaints.say(f"not dialling back: {STRANGERS_MAX} strangers are known")
                return
            peer = self._peers[peer_id] = _Peer(peer_id, hello.address, is_learnt=False)
        link = peer.connection
        if link is not None:
            if link.process != hello.process:
                peer.backoff_s = BACKOFF_MIN_S
                link.abort()  # Its other end died with the peer's former life.
            return
        peer.address = hello.address
        peer.is_hopeful = True
        peer.backoff_s = BACKOFF_MIN_S
        self._dial_peer(peer)

    def _cut(self, peer: NodeId) -> None:
        for accepted in list(self._accepted):
            if accepted.peer == peer:
                accepted.abort()
        known = self._peers.get(peer)
        if known is not None:
            known.cancel_retry()
            known.is_hopeful = False
            if known.connection is not None:
                known.connection.abort()
