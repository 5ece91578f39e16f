"""Hints handed over: order, deletion on durable acks only, pauses, tables that are gone."""

from collections.abc import Callable

from anel.data.mutation import issued_of
from anel.data.schema import REDIS, Schema, redis_schema
from anel.data.schema_state import KeyspaceDefinition, Stamp, TableDefinition
from anel.env import NodeId
from anel.internode.messages import MUTATE, MessageType, Origin, Status, pack_mutate_reply
from anel.limits import HINT_REPLAY_IN_FLIGHT
from anel.repair.hint_replay import HintReplay
from anel.repair.hint_store import PREFIX, HintStore
from anel.repair.services import RepairServices
from anel.ring.token_map import TokenMap
from anel.simulation.world import World
from anel.storage.memory import MemoryStore
from tests.unit.fakes.ring import BareNode, address_of, view_of
from tests.unit.repair.rows import REDIS_TABLE, put


class FakeRing:
    def __init__(self, count: int = 2) -> None:
        self.epoch = 1
        self.token_map = TokenMap(view_of(count))
        self.pulled: list[NodeId] = []

    def pull(self, peer: NodeId) -> None:
        self.pulled.append(peer)


class FakeMembership:
    def __init__(self) -> None:
        self.dead: list[NodeId] = []
        self.recovering: list[NodeId] = []

    def is_alive(self, node: NodeId) -> bool:
        return node not in self.dead

    def is_recovering(self, node: NodeId) -> bool:
        return node in self.recovering

    def update(self, **states: str | int) -> None:
        pass


class Bench:
    """Node 0 holds hints for node 1, which acks as the test says."""

    def __init__(self, status: Callable[[int], Status | None] = lambda _: Status.OK) -> None:
        self.world = World(1)
        self.source = BareNode(self.world, 0)
        self.target = BareNode(self.world, 1)
        self.status = status
        self.got: list[int] = []
        self.in_flight_max = 0
        self.target.handlers[MessageType.MUTATE] = self._mutate
        self.store = MemoryStore(self.source.env.now_ns)
        self.hints = HintStore(self.source.env, self.store, generation=1)
        self.hints.load()
        self.ring = FakeRing()
        self.membership = FakeMembership()
        self.schema: Schema = redis_schema(2)
        services = RepairServices(
            self.source.env,
            self.source.id,
            self.source.requests,
            self.store,
            self.ring,
            lambda: self.schema,
            self.membership,
        )
        self.replay = HintReplay(services, self.hints)
        self.source.attach()
        self.target.attach()
        self.source.env.learn(self.target.id, address_of(1))
        self.world.run(50)

    def _mutate(self, peer: NodeId, message: bytes) -> None:
        _, request, epoch, origin = MUTATE.unpack_from(message)
        assert (epoch, origin) == (1, Origin.HINT)
        self.in_flight_max = max(self.in_flight_max, len(self.source.requests))
        issued = issued_of(message[MUTATE.size :])
        self.got.append(issued)
        status = self.status(issued)
        if status is not None:
            self.target.env.send(peer, pack_mutate_reply(request, status, None))

    def keep(self, *issued: int) -> None:
        for each in issued:
            self.hints.keep(self.target.id, put(b"k", b"v", each), sole=False, done=None)

    def run(self, duration_ms: int) -> None:
        self.replay.start()
        self.world.run(duration_ms)
        self.replay.stop()


def test_hints_drain_in_order_and_are_deleted_on_durable_acks() -> None:
    bench = Bench()
    bench.keep(3, 1, 2)
    bench.run(100)
    assert sorted(bench.got) == [1, 2, 3]
    assert bench.hints.count == 0
    assert bench.replay.replayed == 3


def test_windows_go_oldest_first_and_bounded() -> None:
    bench = Bench()
    bench.keep(*range(1, 301))
    bench.run(2000)
    for at in range(0, 300, HINT_REPLAY_IN_FLIGHT):
        window = bench.got[at : at + HINT_REPLAY_IN_FLIGHT]
        assert sorted(window) == list(range(at + 1, at + len(window) + 1))
    assert bench.in_flight_max <= HINT_REPLAY_IN_FLIGHT
    assert bench.hints.count == 0


def test_a_failed_ack_keeps_the_hint_and_it_goes_again() -> None:
    answers = [Status.DISK_FAILED, Status.OVERLOADED, Status.OK]
    bench = Bench(lambda _: answers.pop(0))
    bench.keep(1)
    bench.run(500)
    assert bench.hints.count == 1
    bench.run(3000)
    assert bench.got == [1, 1, 1]
    assert bench.hints.count == 0


def test_silence_keeps_the_hint() -> None:
    bench = Bench(lambda _: None)
    bench.keep(1)
    bench.run(2500)
    assert bench.hints.count == 1
    assert bench.replay.replayed == 0


def test_an_unknown_table_holds_back_its_own_hints_only() -> None:
    bench = Bench(lambda issued: Status.UNKNOWN_TABLE if issued == 1 else Status.OK)
    bench.keep(*range(1, 101))
    bench.run(900)
    assert [
        issued_of(hint.mutation) for hint in bench.hints.first(bench.target.id, b"", 9)
    ] == [1]


def test_hints_of_a_dropped_table_are_discarded_unsent() -> None:
    bench = Bench()
    stamp = Stamp(1, bytes(16))
    schema = bench.schema.create_keyspace("app", KeyspaceDefinition(2), stamp)
    schema = schema.create_table("app", "t", TableDefinition(()), stamp)
    app = schema.keyspace("app")
    assert app is not None
    for issued in (1, 2):
        mutation = put(b"k", b"v", issued, table=app.tables[0].id)
        bench.hints.keep(bench.target.id, mutation, sole=False, done=None)
    bench.schema = schema.drop_keyspace("app")
    bench.run(100)
    assert bench.got == []
    assert bench.hints.count == 0
    assert bench.replay.discarded == 2


def test_hints_issued_before_a_truncation_are_discarded_unsent() -> None:
    bench = Bench()
    bench.keep(1, 2, 3)
    keyspace = bench.schema.keyspace(REDIS)
    assert keyspace is not None
    assert keyspace.tables[0].id == REDIS_TABLE
    bench.schema = bench.schema.truncated(keyspace.tables[0], 2)
    bench.run(100)
    assert bench.got == [3]
    assert bench.hints.count == 0


def test_another_epoch_keeps_the_hint_and_asks_for_the_ring() -> None:
    bench = Bench(lambda _: Status.WRONG_EPOCH)
    bench.keep(1)
    bench.run(100)
    assert bench.hints.count == 1
    assert bench.ring.pulled == [bench.target.id]


def test_a_dead_node_gets_nothing_until_it_is_up() -> None:
    bench = Bench()
    bench.membership.dead.append(bench.target.id)
    bench.keep(1)
    bench.replay.start()
    bench.world.run(3000)
    assert bench.got == []
    bench.membership.dead.clear()
    bench.replay.node_up(bench.target.id)
    bench.world.run(50)
    assert bench.got == [1]


def test_a_recovering_node_gets_nothing_until_it_counts() -> None:
    bench = Bench()
    bench.membership.recovering.append(bench.target.id)
    bench.keep(1)
    bench.run(2000)
    assert bench.got == []


def test_a_node_without_a_link_is_tried_again() -> None:
    bench = Bench()
    bench.keep(1)
    bench.target.kill()
    bench.world.run(10)
    bench.run(1500)
    assert bench.hints.count == 1
    assert bench.replay.kept_back >= 1


def test_hints_that_cannot_be_read_are_complained_of_and_kept() -> None:
    bench = Bench()
    bench.keep(1)
    name = bench.store.metas(PREFIX, PREFIX, 1)[0][0]
    bench.store.put_meta(name, b"\x09rest")
    bench.run(3000)
    assert "format 9" in bench.replay.complaint
    assert bench.got == []
    assert bench.hints.count == 1


def test_replay_is_paced() -> None:
    bench = Bench()
    for issued in range(1, 64 + 1):
        mutation = put(b"k", bytes(1024 * 1024), issued)
        bench.hints.keep(bench.target.id, mutation, sole=False, done=None)
    bench.replay.start()
    bench.world.run(1000)
    assert bench.hints.count > 0
    bench.world.run(8000)
    assert bench.hints.count == 0
