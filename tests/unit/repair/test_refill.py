"""Refill of a damaged store: needs ALL other replicas, and says whom it waits for."""

from anel.internode.messages import MessageType
from tests.unit.fakes.ring import node_id
from tests.unit.repair.ring import RepairRing
from tests.unit.repair.rows import REDIS_TABLE, put, records

SECOND = 1000


def key(number: int) -> bytes:
    return b"key%d" % number


def damaged_ring(count: int = 3, replication: int | None = None) -> RepairRing:
    """Node 0 lost its store; every acked row lies on it and on one other node."""
    ring = RepairRing(count, replication=replication)
    for k in range(200):
        ring.nodes[1 + k % (count - 1)].write(put(key(k), b"v", k + 1))
    ring.run(10)
    ring.nodes[0].damage()
    return ring


def test_everything_of_all_other_replicas_comes_back() -> None:
    ring = damaged_ring()
    node = ring.nodes[0]
    node.refill.start()
    assert node.membership.states["recovering"] == 1
    ring.run(10 * SECOND, lambda: not node.is_recovering())
    assert len(records(node.store)) == 200
    assert node.membership.states["recovering"] == 0
    assert node.refill.waiting_for == ""


def test_with_one_replica_missing_it_waits_and_names_it() -> None:
    ring = damaged_ring()
    node = ring.nodes[0]
    ring.kill(2)
    node.refill.start()
    ring.run(30 * SECOND)
    assert node.is_recovering()
    assert node_id(2)[:4].hex() in node.refill.waiting_for
    assert "start it" in node.refill.waiting_for


def test_a_replica_that_does_not_answer_is_waited_for() -> None:
    ring = damaged_ring()
    node = ring.nodes[0]
    del ring.nodes[1].node.handlers[MessageType.LEAVES]
    node.refill.start()
    ring.run(20 * SECOND)
    assert node.is_recovering()
    ring.nodes[1].node.handlers[MessageType.LEAVES] = ring.nodes[1].anti_entropy.on_leaves
    ring.run(20 * SECOND)
    assert not node.is_recovering()
    assert len(records(node.store)) == 200


def test_a_page_that_fails_is_asked_for_again() -> None:
    ring = damaged_ring()
    node = ring.nodes[0]
    handler = ring.nodes[2].node.handlers.pop(MessageType.READ_PAGE)
    node.refill.start()
    ring.run(8 * SECOND)
    assert node.is_recovering()
    assert node_id(2)[:4].hex() in node.refill.waiting_for
    ring.nodes[2].node.handlers[MessageType.READ_PAGE] = handler
    ring.run(20 * SECOND)
    assert not node.is_recovering()
    assert len(records(node.store)) == 200


def test_two_recovering_replicas_wait_for_each_other_and_say_what_to_do() -> None:
    ring = damaged_ring()
    ring.nodes[1].damage()
    ring.nodes[0].refill.start()
    ring.run(10 * SECOND)
    assert ring.nodes[0].is_recovering()
    assert "recovering itself" in ring.nodes[0].refill.waiting_for
    assert "backup" in ring.nodes[0].refill.waiting_for


def test_without_copies_it_stays_recovering_and_says_what_to_do() -> None:
    ring = damaged_ring(replication=1)
    node = ring.nodes[0]
    node.refill.start()
    ring.run(10 * SECOND)
    assert node.is_recovering()
    assert "keyspace redis" in node.refill.waiting_for
    assert "accept the loss" in node.refill.waiting_for


def test_a_ring_of_one_stays_recovering_and_says_what_to_do() -> None:
    ring = RepairRing(1)
    node = ring.nodes[0]
    node.damage()
    node.refill.start()
    ring.run(5 * SECOND)
    assert node.is_recovering()
    assert "restore a backup" in node.refill.waiting_for


def test_the_loss_can_be_accepted() -> None:
    ring = damaged_ring(replication=1)
    node = ring.nodes[0]
    node.refill.start()
    ring.run(2 * SECOND)
    node.refill.accept_loss()
    assert not node.is_recovering()
    assert node.membership.states["recovering"] == 0
    ring.run(5 * SECOND)
    assert node.refill.waiting_for == ""


def test_the_schema_must_be_known_first() -> None:
    ring = damaged_ring()
    node = ring.nodes[0]
    full = node.book.schema
    node.book.schema = type(full)()
    node.refill.start()
    ring.run(5 * SECOND)
    assert node.is_recovering()
    assert "schema" in node.refill.waiting_for
    node.book.schema = full
    ring.run(5 * SECOND)
    assert not node.is_recovering()
    assert len(records(node.store)) == 200


def test_a_sound_store_is_not_refilled() -> None:
    ring = RepairRing(3)
    node = ring.nodes[0]
    node.refill.start()
    ring.run(2 * SECOND)
    assert node.membership.states["recovering"] == 0
    assert node.env.sent == {}


def test_writes_taken_while_recovering_are_kept() -> None:
    ring = damaged_ring()
    node = ring.nodes[0]
    node.write(put(key(3), b"new", 10_000))
    node.refill.start()
    ring.run(10 * SECOND, lambda: not node.is_recovering())
    newest = dict(records(node.store))
    assert len(newest) == 200
    assert any(b"new" in value for value in newest.values())


def test_what_was_refilled_survives_a_crash() -> None:
    ring = damaged_ring()
    node = ring.nodes[0]
    node.refill.start()
    ring.run(10 * SECOND, lambda: not node.is_recovering())
    ring.run(20)
    survivor = node.store.crash(ring.world.random)
    assert not survivor.recovering
    assert len(records(survivor)) == 200
    assert survivor.summary(REDIS_TABLE) is not None


def test_a_refilled_node_goes_on_to_be_in_sync() -> None:
    ring = damaged_ring()
    node = ring.nodes[0]
    node.refill.start()
    for each in ring.nodes:
        each.anti_entropy.start()
    ring.run(30 * SECOND, lambda: all(each.is_in_sync() for each in ring.nodes))
    assert ring.equal()
