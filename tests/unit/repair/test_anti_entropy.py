"""Anti-entropy: summaries made equal by moving differing leaves only, and `in_sync`."""

import pytest

from anel.data import row
from anel.data.mutation import (
    PARTITION_DELETION,
    ROW,
    Deletion,
    encode,
    encode_deletion,
    one_row,
)
from anel.data.schema_state import KeyspaceDefinition, Stamp, TableDefinition
from anel.env import NodeId
from anel.internode.messages import MUTATE, REPLY, MessageType, pack_control
from anel.limits import LEAVES, MIB
from anel.repair.leaves import Leaves, shared_spans
from anel.simulation.world import Weather
from tests.unit.fakes.ring import node_id
from tests.unit.repair.ring import RepairRing
from tests.unit.repair.rows import REDIS_TABLE, prefix, put, records

SECOND = 1000


def key(number: int) -> bytes:
    return b"key%d" % number


def test_two_stores_become_equal() -> None:
    ring = RepairRing(2)
    one, two = ring.nodes
    one.write(*[put(key(k), b"one", 1) for k in range(50)])
    two.write(*[put(key(k), b"two", 2) for k in range(30, 80)])
    one.anti_entropy.start()
    ring.run(10 * SECOND, one.is_in_sync)
    assert ring.equal()
    assert records(one.store) == records(two.store)
    assert len(records(one.store)) == 80


def test_only_differing_leaves_move() -> None:
    ring = RepairRing(2)
    one, two = ring.nodes
    for node in (one, two):
        node.write(*[put(key(k), b"x" * 100, 1) for k in range(2000)])
    one.write(put(b"new", b"fresh", 5))
    two.write(put(key(7), b"newer", 9))
    one.anti_entropy.start()
    ring.run(10 * SECOND, one.is_in_sync)
    assert ring.equal()
    assert one.anti_entropy.repaired_leaves == 2
    assert one.anti_entropy.totals.pulled == 1
    assert one.anti_entropy.totals.pushed == 1
    assert one.anti_entropy.totals.moved_bytes < 2000


def test_equal_stores_move_nothing_and_are_in_sync_at_once() -> None:
    ring = RepairRing(3)
    for node in ring.nodes:
        node.write(*[put(key(k), b"v", 1) for k in range(500)])
        node.anti_entropy.start()
    ring.run(2 * SECOND)
    for node in ring.nodes:
        assert node.is_in_sync()
        assert node.membership.states["in_sync"] == 1
        assert node.anti_entropy.totals.moved_bytes == 0


def test_rows_deletions_and_cells_of_one_partition_meet() -> None:
    ring = RepairRing(2)
    one, two = ring.nodes
    deletion = encode_deletion(Deletion(5, 5))
    one.write(encode(5, prefix(b"p"), [(PARTITION_DELETION, deletion)]))
    cell_a = row.encode([row.cell(b"a", b"1", 7)])
    cell_b = row.encode([row.cell(b"b", b"2", 8)])
    one.write(one_row(7, prefix(b"p"), ROW + b"r", cell_a))
    two.write(one_row(8, prefix(b"p"), ROW + b"r", cell_b))
    one.anti_entropy.start()
    ring.run(10 * SECOND, one.is_in_sync)
    merged = dict(records(two.store))
    assert merged == dict(records(one.store))
    assert merged[prefix(b"p") + PARTITION_DELETION] == deletion
    assert merged[prefix(b"p") + ROW + b"r"] == row.merge(cell_a, cell_b)


def test_a_big_difference_goes_through_many_pages_both_ways() -> None:
    ring = RepairRing(2)
    one, two = ring.nodes
    one.write(
        *[one_row(1, prefix(b"big"), ROW + b"%05d" % k, _cell(k)) for k in range(0, 3000, 2)]
    )
    two.write(
        *[one_row(1, prefix(b"big"), ROW + b"%05d" % k, _cell(k)) for k in range(1, 3000, 3)]
    )
    one.anti_entropy.start()
    ring.run(20 * SECOND, one.is_in_sync)
    assert records(one.store) == records(two.store)
    assert len(records(one.store)) == 2000


def _cell(number: int) -> bytes:
    return row.encode([row.cell(b"v", b"%d" % number, 1)])


def test_five_nodes_of_three_copies_converge_under_loss() -> None:
    ring = RepairRing(5, replication=3, seed=4)
    for k in range(300):
        token_replicas = _replicas(ring, key(k))
        ring.nodes[token_replicas[k % 3]].write(put(key(k), b"v", k))
    ring.world.weather = Weather(drop=0.02, duplicate=0.02, delay_ms_max=5)
    for node in ring.nodes:
        node.anti_entropy.start()
    ring.run(60 * SECOND, lambda: all(node.is_in_sync() for node in ring.nodes))
    ring.world.weather = Weather()
    ring.run(60 * SECOND, ring.equal)
    assert ring.equal()


def _replicas(ring: RepairRing, partition_key: bytes) -> list[int]:
    token = int.from_bytes(prefix(partition_key)[16:24], "big") - (1 << 63)
    nodes = ring.ring.replicas(token, ring.replication)
    return [next(k for k, node in enumerate(ring.nodes) if node.id == each) for each in nodes]


def test_writes_in_flight_are_not_repaired() -> None:
    ring = RepairRing(2)
    one, two = ring.nodes
    one.write(put(b"slow", b"v", 1))
    one.anti_entropy.start()
    # The other replica gets the same write between the two looks.
    ring.run(1 * SECOND)
    two.write(put(b"slow", b"v", 1))
    ring.run(5 * SECOND)
    assert one.is_in_sync()
    assert one.anti_entropy.totals.pushed == 0
    assert one.anti_entropy.repaired_leaves == 0


def test_a_leaf_that_never_rests_is_repaired_all_the_same() -> None:
    ring = RepairRing(2)
    one, two = ring.nodes
    for node in ring.nodes:
        node.write(put(b"hot", b"v", 1))
    one.write(put(b"hot", b"missed by two", 2))

    def beat(stamp: int) -> None:
        # The same leaf is written all the time, on one node a little earlier.
        one.write(one_row(stamp, prefix(b"hot"), ROW + b"other", _stamped(stamp)))
        one.env.set_timer(
            30,
            lambda: two.write(one_row(stamp, prefix(b"hot"), ROW + b"other", _stamped(stamp))),
        )
        one.env.set_timer(31, lambda: beat(stamp + 1))

    beat(10)
    one.anti_entropy.start()
    ring.run(10 * SECOND)
    assert (
        dict(records(two.store))[prefix(b"hot") + ROW]
        == dict(records(one.store))[prefix(b"hot") + ROW]
    )
    assert one.is_in_sync()


def _stamped(stamp: int) -> bytes:
    return row.encode([row.cell(b"v", b"", stamp)])


def test_a_node_alone_is_not_in_sync_until_another_replica_comes() -> None:
    ring = RepairRing(3)
    one = ring.nodes[0]
    one.membership.dead += [node_id(1), node_id(2)]
    one.anti_entropy.start()
    ring.run(10 * SECOND)
    assert not one.is_in_sync()
    one.membership.dead.remove(node_id(2))
    ring.run(10 * SECOND)
    assert one.is_in_sync()


def test_every_living_replica_must_be_compared_before_in_sync() -> None:
    ring = RepairRing(3)
    one, two, three = ring.nodes
    del three.node.handlers[MessageType.LEAVES]
    one.anti_entropy.start()
    ring.run(15 * SECOND)
    assert not one.is_in_sync()
    del two
    three.node.handlers[MessageType.LEAVES] = three.anti_entropy.on_leaves
    ring.run(15 * SECOND)
    assert one.is_in_sync()


def test_a_ring_without_copies_is_in_sync() -> None:
    ring = RepairRing(3, replication=1)
    ring.nodes[0].anti_entropy.start()
    ring.run(1 * SECOND)
    assert ring.nodes[0].is_in_sync()


def test_it_goes_on_for_ever() -> None:
    ring = RepairRing(3)
    for node in ring.nodes:
        node.anti_entropy.start()
    ring.run(5 * SECOND)
    ring.nodes[1].write(put(b"late", b"v", 3))
    ring.run(30 * SECOND)
    assert ring.equal()
    assert len(records(ring.nodes[2].store)) == 1


def test_a_dropped_table_ends_the_exchange() -> None:
    ring = RepairRing(2)
    one, two = ring.nodes
    stamp = Stamp(1, bytes(16))
    schema = one.book.schema.create_keyspace("app", KeyspaceDefinition(2), stamp)
    schema = schema.create_table("app", "t", TableDefinition(()), stamp)
    app = schema.keyspace("app")
    assert app is not None
    table = app.tables[0].id
    one.book.schema = two.book.schema = schema
    two.write(put(b"k", b"v", 1, table=table))
    one.anti_entropy.start()
    ring.run(1200)
    one.book.schema = schema.drop_table("app", "t")
    ring.run(5 * SECOND)
    assert one.store.page(table, table + b"\xff", 9, 999).records == []
    assert one.is_in_sync()


def test_rows_read_before_a_truncation_do_not_come_back() -> None:
    ring = RepairRing(2)
    one, two = ring.nodes
    for node in ring.nodes:
        node.write(put(b"k", b"v", 50))
    two.store.truncate(REDIS_TABLE)
    two.book.truncated(REDIS_TABLE, 100)
    # One has not truncated yet: it must neither give nor take rows.
    one.anti_entropy.start()
    two.anti_entropy.start()
    ring.run(10 * SECOND)
    assert records(two.store) == []
    assert not one.is_in_sync()
    one.store.truncate(REDIS_TABLE)
    one.book.truncated(REDIS_TABLE, 100)
    ring.run(10 * SECOND)
    assert one.is_in_sync()
    assert records(one.store) == []


@pytest.mark.parametrize("look", [1, 2])
def test_a_truncation_between_look_and_exchange_is_respected(look: int) -> None:
    ring = RepairRing(2)
    one, two = ring.nodes
    two.write(put(b"k", b"v", 50))
    receive = one.node.receive
    answers: list[bytes] = []

    def truncate_after(peer: NodeId, message: bytes) -> None:
        receive(peer, message)
        if message[0] == MessageType.LEAVES | REPLY:
            answers.append(message)
            if len(answers) == look:
                one.store.truncate(REDIS_TABLE)
                one.book.truncated(REDIS_TABLE, 100)

    one.node.receive = truncate_after  # type: ignore[method-assign]
    one.anti_entropy.start()
    ring.run(3 * SECOND)
    assert len(answers) >= look
    assert records(one.store) == []


def test_a_push_that_crosses_a_truncation_is_dropped_there() -> None:
    ring = RepairRing(2)
    one, two = ring.nodes
    one.write(put(b"k", b"v", 50))
    receive = two.node.handlers[MessageType.MUTATE]
    pushes: list[bytes] = []

    def truncate_first(peer: object, message: bytes) -> None:
        pushes.append(message)
        two.store.truncate(REDIS_TABLE)
        two.book.truncated(REDIS_TABLE, 100)
        receive(peer, message)  # type: ignore[arg-type]

    two.node.handlers[MessageType.MUTATE] = truncate_first
    one.anti_entropy.start()
    ring.run(3 * SECOND)
    assert pushes
    assert records(two.store) == []


@pytest.mark.parametrize("fenced", [0, 1])
def test_a_table_that_a_truncation_holds_still_is_not_repaired(fenced: int) -> None:
    ring = RepairRing(2)
    one, two = ring.nodes
    two.write(put(b"k", b"v", 50))
    ring.nodes[fenced].services.is_fenced = lambda _: True
    one.anti_entropy.start()
    ring.run(5 * SECOND)
    assert records(one.store) == []
    assert not one.is_in_sync()
    ring.nodes[fenced].services.is_fenced = lambda _: False
    ring.run(5 * SECOND)
    assert records(one.store) == records(two.store)


def test_a_row_too_large_to_merge_is_counted_and_left() -> None:
    ring = RepairRing(2)
    one, two = ring.nodes
    half = b"x" * (9 * MIB)
    one.write(one_row(1, prefix(b"p"), ROW, row.encode([row.cell(b"a", half, 1)])))
    two.write(one_row(1, prefix(b"p"), ROW, row.encode([row.cell(b"b", half, 1)])))
    one.anti_entropy.start()
    ring.run(5 * SECOND)
    assert one.anti_entropy.totals.refused == 2
    assert one.is_in_sync()


def test_another_epoch_is_not_compared_and_the_ring_is_pulled() -> None:
    ring = RepairRing(2)
    one = ring.nodes[0]
    elsewhere = RepairRing(2)
    one.anti_entropy._services = one.anti_entropy._services.__class__(
        one.env,
        one.id,
        one.node.requests,
        one.store,
        elsewhere.ring,
        lambda: one.book.schema,
        one.membership,
    )
    elsewhere.ring.epoch = 2
    one.anti_entropy.start()
    ring.run(3 * SECOND)
    assert not one.is_in_sync()
    assert node_id(1) in elsewhere.ring.pulled
    assert node_id(0) in ring.ring.pulled


def test_damage_met_during_an_exchange_ends_it() -> None:
    ring = RepairRing(2)
    one, two = ring.nodes
    two.write(put(b"k", b"v", 1))
    one.write(put(b"j", b"v", 1))
    one.store.rot(prefix(b"j") + ROW)
    one.anti_entropy.start()
    ring.run(5 * SECOND)
    assert one.anti_entropy.failures >= 1
    assert not one.is_in_sync()


def test_a_recovering_node_is_left_to_its_refill() -> None:
    ring = RepairRing(2)
    one, two = ring.nodes
    two.write(put(b"k", b"v", 1))
    one.damage()
    one.anti_entropy.start()
    two.anti_entropy.start()
    ring.run(5 * SECOND)
    assert records(one.store) == []
    assert not one.is_in_sync()
    assert not two.is_in_sync()


def test_repair_is_paced() -> None:
    ring = RepairRing(2)
    one, two = ring.nodes
    big = b"x" * MIB
    one.write(*[put(key(k), big, 1) for k in range(48)])
    one.anti_entropy.start()
    ring.run(3 * SECOND)
    assert 0 < len(records(two.store)) < 48
    ring.run(10 * SECOND)
    assert len(records(two.store)) == 48


def test_a_malformed_question_is_refused() -> None:
    ring = RepairRing(2)
    body = Leaves(1, REDIS_TABLE, 0, [])
    message = pack_control(MessageType.LEAVES, 1, body)[:-1]
    with pytest.raises(ValueError, match="truncated"):
        ring.nodes[0].anti_entropy.on_leaves(node_id(1), message)


@pytest.mark.parametrize(("count", "replication"), [(2, 2), (3, 2), (5, 3), (1, 1)])
def test_shared_spans_cover_each_own_leaf_once_per_other_replica(
    count: int, replication: int
) -> None:
    ring = RepairRing(count, replication=replication)
    token_map = ring.ring.token_map
    for node in ring.nodes:
        shared = shared_spans(token_map, node.id, replication)
        leaves = [
            (leaf, peer)
            for peer, spans in shared.items()
            for first, last in spans
            for leaf in range(first, last + 1)
        ]
        expected = [
            (leaf, peer)
            for part in token_map.ranges_of(node.id, replication)
            for leaf in part.leaves
            for peer in part.replicas
            if peer != node.id
        ]
        assert sorted(leaves) == sorted(expected)
        assert len(leaves) <= LEAVES * max(0, replication - 1)


def test_stopping_ends_all_traffic() -> None:
    ring = RepairRing(2)
    one, two = ring.nodes
    two.write(*[put(key(k), b"v", 1) for k in range(100)])
    one.anti_entropy.start()
    ring.run(600)
    one.anti_entropy.stop()
    ring.run(100)
    before = dict(one.env.sent)
    ring.run(5 * SECOND)
    assert one.env.sent == before
    assert MUTATE.size == 14
