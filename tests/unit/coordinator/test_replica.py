"""Replica: what each status stands for, and that acks and reads wait for the sync."""

from anel.coordinator.replica import Replica
from anel.data import row
from anel.data.mutation import ROW, one_row
from anel.internode.messages import (
    MUTATE_REPLY,
    READ_ROW_REPLY,
    MessageType,
    Origin,
    PageRequest,
    Status,
    pack_mutate,
    pack_read_page,
    pack_read_row,
    unpack_read_page_reply,
)
from anel.limits import ROW_BYTES_MAX
from anel.storage.store import Record
from tests.unit.coordinator.cluster import START_US, SUB, TABLE, Cluster, Node

EPOCH = 1


def mutation_of(cluster: Cluster, value: bytes, timestamp: int = START_US) -> bytes:
    raw = row.encode([row.cell(b"value", value, timestamp)])
    return one_row(timestamp, cluster.prefix(b"cart"), SUB, raw)


def mutate(
    node: Node, mutation: bytes, epoch: int = EPOCH, origin: Origin = Origin.CLIENT
) -> list[tuple[Status, int | None]]:
    acks: list[tuple[Status, int | None]] = []
    node.replica.mutate(epoch, origin, mutation, lambda *ack: acks.append(ack))
    return acks


def read(node: Node, epoch: int = EPOCH) -> list[tuple[Status, bytes]]:
    answers: list[tuple[Status, bytes]] = []
    key = node.cluster.prefix(b"cart") + SUB
    node.replica.read_row(epoch, key, lambda *answer: answers.append(answer))
    return answers


def page(node: Node, request: PageRequest) -> list[tuple[Status, bool, list[Record]]]:
    answers: list[tuple[Status, bool, list[Record]]] = []
    node.replica.read_page(request, lambda *answer: answers.append(answer))
    return answers


def everything(epoch: int = EPOCH, records_max: int = 500) -> PageRequest:
    return PageRequest(epoch, False, records_max, 1 << 20, TABLE.id, TABLE.id + b"\xff" * 20)


def test_an_ack_waits_for_the_sync_also_when_nothing_changed() -> None:
    cluster = Cluster(1, 1)
    node = cluster.nodes[0]
    node.disk.pause()
    mutation = mutation_of(cluster, b"soap")
    first, second = mutate(node, mutation), mutate(node, mutation)
    assert first == second == []
    node.disk.resume()
    assert first == second == [(Status.OK, None)]


def test_an_ack_tells_what_hides_the_mutation() -> None:
    cluster = Cluster(1, 1)
    node = cluster.nodes[0]
    mutate(node, mutation_of(cluster, b"newer", START_US + 5))
    assert mutate(node, mutation_of(cluster, b"older")) == [(Status.OK, START_US + 5)]


def test_another_epoch_is_refused_and_nothing_is_done() -> None:
    cluster = Cluster(1, 1)
    node = cluster.nodes[0]
    assert mutate(node, mutation_of(cluster, b"soap"), epoch=2) == [(Status.WRONG_EPOCH, None)]
    assert read(node, epoch=2) == [(Status.WRONG_EPOCH, b"")]
    assert page(node, everything(epoch=2)) == [(Status.WRONG_EPOCH, False, [])]
    assert node.has() is None


def test_an_unknown_table_is_refused() -> None:
    cluster = Cluster(1, 1)
    node = cluster.nodes[0]
    node.schema.tables = {}
    assert mutate(node, mutation_of(cluster, b"soap")) == [(Status.UNKNOWN_TABLE, None)]
    assert read(node) == [(Status.UNKNOWN_TABLE, b"")]


def test_a_recovering_store_takes_mutations_and_answers_no_read() -> None:
    cluster = Cluster(1, 1)
    node = cluster.nodes[0]
    node.store.start_recovering("test")
    assert mutate(node, mutation_of(cluster, b"soap")) == [(Status.RECOVERING, None)]
    assert read(node) == [(Status.RECOVERING, b"")]
    assert node.has() == b"soap"


def test_a_store_that_recovers_between_the_write_and_its_sync_counts_neither() -> None:
    cluster = Cluster(1, 1)
    node = cluster.nodes[0]
    node.store.start_recovering("test")
    node.disk.pause()
    acks = mutate(node, mutation_of(cluster, b"soap"))
    node.store.recovered()
    node.disk.resume()
    assert acks == [(Status.RECOVERING, None)]


def test_what_was_issued_before_the_truncation_is_dropped_but_acked() -> None:
    cluster = Cluster(1, 1)
    node = cluster.nodes[0]
    node.schema.truncated(TABLE.id, START_US)
    assert mutate(node, mutation_of(cluster, b"soap")) == [(Status.OK, START_US)]
    assert node.has() is None
    mutate(node, mutation_of(cluster, b"soup", START_US + 1))
    assert node.has() == b"soup"


def test_faults_of_the_store_have_a_status_each() -> None:
    cluster = Cluster(1, 1)
    node = cluster.nodes[0]
    node.store.is_full = True
    assert mutate(node, mutation_of(cluster, b"soap")) == [(Status.DISK_FAILED, None)]
    node.store.is_full = False
    node.store.is_slow = True
    assert mutate(node, mutation_of(cluster, b"soap")) == [(Status.OVERLOADED, None)]
    node.store.is_slow = False
    big = mutation_of(cluster, bytes(ROW_BYTES_MAX))
    assert mutate(node, big) == [(Status.TOO_LARGE, None)]
    mutate(node, mutation_of(cluster, b"soap"))
    node.store.rot(cluster.prefix(b"cart") + SUB)
    assert mutate(node, mutation_of(cluster, b"soup")) == [(Status.DAMAGED, None)]
    assert read(node) == [(Status.DAMAGED, b"")]
    assert page(node, everything()) == [(Status.DAMAGED, False, [])]


def test_reads_of_what_is_not_durable_wait_and_others_do_not() -> None:
    cluster = Cluster(1, 1)
    node = cluster.nodes[0]
    assert read(node) == [(Status.OK, b"")]
    node.disk.pause()
    mutate(node, mutation_of(cluster, b"soap"))
    row_answers, page_answers = read(node), page(node, everything())
    assert row_answers == []
    assert page_answers == []
    node.disk.resume()
    assert row_answers[0][0] is Status.OK
    assert len(page_answers[0][2]) == 1
    assert node.replica.waited_for_sync == 2


def test_a_page_is_bounded_by_the_replica_whatever_is_asked() -> None:
    cluster = Cluster(1, 1)
    node = cluster.nodes[0]
    for number in range(501):
        node.plant(b"v", START_US, sub=ROW + b"%03d" % number)
    ((_, more, records),) = page(node, everything(records_max=1 << 30))
    assert more
    assert len(records) == 500


def call(node: Node, message: bytes) -> bytes:
    """Give the reply that a message gets."""
    handlers = {
        MessageType.MUTATE: Replica.on_mutate,
        MessageType.READ_ROW: Replica.on_read_row,
        MessageType.READ_PAGE: Replica.on_read_page,
    }
    handlers[MessageType(message[0])](node.replica, node.id, message)
    return node.cluster.sent[-1][2]


def test_the_messages_do_the_same() -> None:
    cluster = Cluster(1, 1)
    node = cluster.nodes[0]
    mutation = mutation_of(cluster, b"soap")
    ack = call(node, pack_mutate(7, EPOCH, Origin.CLIENT, mutation))
    assert MUTATE_REPLY.unpack(ack)[1:3] == (7, Status.OK)
    key = cluster.prefix(b"cart") + SUB
    answer = call(node, pack_read_row(8, EPOCH, key))
    assert READ_ROW_REPLY.unpack_from(answer)[1:3] == (8, Status.OK)
    assert answer[READ_ROW_REPLY.size :] == node.store.get(key)
    status, more, records = unpack_read_page_reply(call(node, pack_read_page(9, everything())))
    assert (status, more) == (Status.OK, False)
    assert records == [(key, node.store.get(key))]


def test_a_message_of_a_later_epoch_makes_the_replica_pull_the_ring() -> None:
    cluster = Cluster(2, 1)
    node = cluster.nodes[0]
    key = cluster.prefix(b"cart") + SUB
    call(node, pack_mutate(1, 2, Origin.CLIENT, mutation_of(cluster, b"soap")))
    call(node, pack_read_row(2, 2, key))
    call(node, pack_read_page(3, everything(epoch=2)))
    assert node.ring.pulled == [node.id] * 3
