"""Coordinate a TRUNCATE: all nodes hold still, one instant is chosen, all remove what is older.

::

    some node not alive        Unavailable: nothing was sent
    FENCE to all               all stand -> `at` above all their clocks
    one refuses, breaks        RELEASE to all; Unavailable or NotReady: nothing was done
    TRUNCATE(at) to all        all acked -> done
    one refuses, breaks, late  WriteTimeout: some nodes may have truncated; do it again

Source: CORRECTNESS 12; the fences are `anel.coordinator.fence`.
"""

from anel.coordinator.fence import Stage, TruncateReply, TruncateStep
from anel.coordinator.services import Services
from anel.coordinator.write import Written
from anel.data.consistency import ConsistencyLevel
from anel.data.schema import Table
from anel.env import NodeId
from anel.errors import NotReady, RequestFailed, Unavailable, WriteTimeout
from anel.internode.messages import MessageType, Status, body_of, pack_control, request_of
from anel.limits import WRITE_TIMEOUT_MS


class TruncateOperation:
    """One truncation, at all nodes of the ring."""

    __slots__ = (
        "_at",
        "_clock",
        "_deadline",
        "_done",
        "_ended",
        "_fence",
        "_nodes",
        "_round",
        "_services",
        "_stage",
        "_table",
        "_waiting",
    )

    def __init__(self, services: Services, table: Table, done: Written) -> None:
        self._services = services
        self._table = table
        self._done = done
        self._nodes = services.ring.token_map.nodes
        self._waiting: list[NodeId] = []
        self._stage = Stage.FENCE
        self._clock = 0
        self._at = 0
        self._fence = b""
        self._deadline = 0
        self._round = 0
        self._ended = False

    def start(self) -> None:
        """Raise the fences, or answer Unavailable."""
        services = self._services
        is_alive = services.liveness.is_alive
        alive = sum(node == services.self_id or is_alive(node) for node in self._nodes)
        if alive < len(self._nodes):
            self._end(self._unavailable(alive))
            return
        self._round = self._deadline = services.requests.start(self, WRITE_TIMEOUT_MS)
        self._fence = services.self_id + services.clock.now().to_bytes(8, "big")
        self._send_all()

    def _send_all(self) -> None:
        services = self._services
        step = self._step()
        message = pack_control(MessageType.TRUNCATE, self._round, step)
        self._waiting = list(self._nodes)
        for node in self._nodes:
            if node != services.self_id and not services.env.send(node, message):
                self._fail(len(self._nodes) - 1)
                return
        if services.self_id in self._waiting:
            this_round = self._round

            def on_stepped(reply: TruncateReply) -> None:
                if this_round == self._round:
                    self._take(services.self_id, reply)

            services.replica.fences.take(step, on_stepped)

    def _step(self) -> TruncateStep:
        epoch = self._services.ring.epoch
        return TruncateStep(epoch, self._table.id, self._fence, self._stage, self._at)

    def on_reply(self, peer: NodeId, message: bytes) -> None:
        """Take a node's answer to the present step."""
        if request_of(message) == self._round:
            self._take(peer, body_of(message, TruncateReply))

    def _take(self, peer: NodeId, reply: TruncateReply) -> None:
        if peer not in self._waiting or self._ended:
            return
        if reply.status != Status.OK:
            self._take_refusal(peer, reply)
            return
        self._waiting.remove(peer)
        self._clock = max(self._clock, reply.clock)
        if self._waiting:
            return
        if self._stage is Stage.FENCE:
            self._choose()
        else:
            self._end(None)

    def _take_refusal(self, peer: NodeId, reply: TruncateReply) -> None:
        if reply.status == Status.WRONG_EPOCH and peer != self._services.self_id:
            self._services.ring.pull(peer)
        if self._stage is not Stage.FENCE:
            self._fail(0)
            return
        self._release()
        what = "ring" if reply.status == Status.WRONG_EPOCH else "schema"
        self._end(NotReady(f"the {what} has not reached every node yet; try again soon"))

    def _choose(self) -> None:
        """Choose the instant: above the clock of every node while all hold still."""
        services = self._services
        services.clock.merge(self._clock)
        self._at = max(services.clock.now(), self._clock + 1)
        self._stage = Stage.TRUNCATE
        self._round = services.requests.again(self)
        self._send_all()

    def on_link_down(self, peer: NodeId) -> None:
        """Fail at once: that node will not answer."""
        if peer in self._waiting:
            self._fail(len(self._nodes) - 1)

    def on_deadline(self) -> None:
        """Fail: some node has not answered."""
        self._fail(len(self._nodes) - len(self._waiting))

    def _fail(self, reached: int) -> None:
        if self._ended:
            return
        if self._stage is Stage.FENCE:
            self._release()
            self._end(self._unavailable(reached))
        else:
            services = self._services
            services.counters.write_timeouts += 1
            acks = len(self._nodes) - len(self._waiting)
            self._end(WriteTimeout(ConsistencyLevel.ALL, len(self._nodes), acks))

    def _release(self) -> None:
        """Let go of every fence; one that does not hear it falls by itself."""
        services = self._services
        self._stage = Stage.RELEASE
        step = self._step()
        message = pack_control(MessageType.TRUNCATE, 0, step)
        for node in self._nodes:
            if node == services.self_id:
                services.replica.fences.take(step, lambda _: None)
            else:
                services.env.send(node, message)

    def _unavailable(self, alive: int) -> RequestFailed:
        self._services.counters.unavailable += 1
        return Unavailable(ConsistencyLevel.ALL, len(self._nodes), alive)

    def _end(self, outcome: RequestFailed | None) -> None:
        self._ended = True
        services = self._services
        services.in_flight -= 1
        if self._round:
            services.requests.finish(self._deadline)
            if self._round != self._deadline:
                services.requests.finish(self._round)
        self._done(outcome)
