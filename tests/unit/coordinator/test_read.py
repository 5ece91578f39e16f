"""ReadOperation and its blocking repair: each decision of one read, one at a time."""

import pytest

from anel.data.consistency import ConsistencyLevel
from anel.data.mutation import (
    PARTITION_DELETION,
    Deletion,
    encode,
    encode_deletion,
)
from anel.errors import ReadFailed, ReadTimeout, Unavailable, UnknownTable
from anel.internode.messages import REPLY, MessageType
from anel.limits import READ_TIMEOUT_MS
from tests.unit.coordinator.cluster import START_US, SUB, Cluster

ONE, QUORUM, ALL = ConsistencyLevel.ONE, ConsistencyLevel.QUORUM, ConsistencyLevel.ALL
ROW_REPLY = MessageType.READ_ROW | REPLY


def planted(*values: bytes | None, nodes: int = 3) -> Cluster:
    """Give a cluster whose node k holds values[k]; a value first named later is newer."""
    cluster = Cluster(nodes)
    for k, value in enumerate(values):
        if value is not None:
            cluster.nodes[k].plant(value, START_US + values.index(value))
    return cluster


def test_a_quorum_read_asks_this_node_and_one_more() -> None:
    cluster = planted(b"soap", b"soap", b"soap")
    outcome = cluster.nodes[0].get()
    cluster.run()
    assert outcome == [b"soap"]
    assert cluster.count(MessageType.READ_ROW) == 1
    assert len(cluster.nodes[0].requests) == 0


def test_a_read_of_one_is_served_here_without_a_message() -> None:
    cluster = planted(b"soap")
    assert cluster.nodes[0].get(ONE) == [b"soap"]
    assert cluster.sent == []
    assert cluster.nodes[0].coordinator.in_flight == 0


def test_a_read_of_one_at_a_node_without_a_copy_asks_one_replica() -> None:
    cluster = Cluster(nodes=4)
    outsider = next(k for k in range(4) if k not in cluster.replicas(b"cart", 3))
    cluster.nodes[outsider].put(b"soap", ALL)
    cluster.run()
    outcome = cluster.nodes[outsider].get(ONE)
    cluster.run()
    assert outcome == [b"soap"]
    assert cluster.count(MessageType.READ_ROW) == 1


def test_an_absent_row_is_empty() -> None:
    cluster = Cluster()
    outcome = cluster.nodes[0].get()
    cluster.run()
    assert outcome == [None]


def test_differing_rows_are_merged_and_repaired_before_the_answer() -> None:
    cluster = planted(b"old", b"new", b"new")
    outcome = cluster.nodes[0].get()
    cluster.nodes[0].disk.pause()
    cluster.run()
    assert outcome == []  # The merged row is not durable at two replicas yet.
    cluster.nodes[0].disk.resume()
    assert outcome == [b"new"]
    assert cluster.nodes[0].coordinator.counters.differing_reads == 1


def test_an_answer_is_never_older_than_what_r_replicas_hold() -> None:
    cluster = planted(b"old", None, b"new")
    cluster.hold(2, 0)
    outcome = cluster.nodes[0].get(ALL)
    cluster.run()
    assert outcome == []
    cluster.release(2, 0)
    cluster.run()
    assert outcome == [b"new"]
    assert [node.has() for node in cluster.nodes] == [b"new"] * 3


def test_a_repeated_answer_counts_once() -> None:
    cluster = planted(b"a", b"b", b"c")
    cluster.hold(0, 2)
    outcome = cluster.nodes[0].get(ALL)
    cluster.run()
    cluster.repeat(ROW_REPLY)
    assert outcome == []


def test_a_repeated_ack_of_a_repair_counts_once() -> None:
    cluster = planted(None, None, b"new")
    cluster.nodes[0].disk.pause()
    outcome = cluster.nodes[0].get(ALL)
    cluster.run()
    cluster.repeat(MessageType.MUTATE | REPLY)
    assert outcome == []  # Nodes 1 and 2 hold it; node 0 has not synced.
    cluster.nodes[0].disk.resume()
    assert outcome == [b"new"]


def test_a_read_of_what_is_not_durable_waits_for_the_sync() -> None:
    cluster = Cluster()
    cluster.nodes[0].disk.pause()
    cluster.nodes[0].put(b"soap", ONE)
    outcome = cluster.nodes[0].get(ONE)
    assert outcome == []
    cluster.nodes[0].disk.resume()
    assert outcome == [b"soap"]


def test_a_broken_link_is_replaced_by_the_next_candidate() -> None:
    cluster = planted(b"soap", b"soap", b"soap")
    replicas = cluster.replicas(b"cart", 3)
    first = next(k for k in replicas if k != 0)
    cluster.hold(0, first)
    outcome = cluster.nodes[0].get()
    cluster.run()
    assert outcome == []
    cluster.cut(0, first)
    cluster.run()
    assert outcome == [b"soap"]


def test_no_candidate_left_is_unavailable_at_once() -> None:
    cluster = planted(b"soap", b"soap", b"soap")
    cluster.hold(0, 1)
    cluster.hold(0, 2)
    outcome = cluster.nodes[0].get()
    cluster.run()
    cluster.cut(0, 1)
    cluster.cut(0, 2)
    assert isinstance(outcome[0], Unavailable)
    assert len(cluster.nodes[0].requests) == 0
    assert cluster.nodes[0].coordinator.in_flight == 0


def test_a_node_that_cannot_be_sent_to_is_passed_over() -> None:
    cluster = planted(b"soap", b"soap", b"soap")
    first = next(k for k in cluster.replicas(b"cart", 3) if k != 0)
    cluster.cut(0, first)
    outcome = cluster.nodes[0].get()
    cluster.run()
    assert outcome == [b"soap"]


def test_too_few_alive_is_unavailable_before_anything_is_sent() -> None:
    cluster = planted(b"soap")
    cluster.dead = [1, 2]
    (outcome,) = cluster.nodes[0].get()
    assert isinstance(outcome, Unavailable)
    assert cluster.sent == []


def test_a_damaged_record_here_is_read_from_another_replica() -> None:
    cluster = planted(b"soap", b"soap", b"soap")
    cluster.nodes[0].store.rot(cluster.prefix(b"cart") + SUB)
    outcome = cluster.nodes[0].get(ONE)
    cluster.run()
    assert outcome == [b"soap"]


def test_damage_everywhere_is_a_failed_read_that_says_so() -> None:
    cluster = planted(b"soap", b"soap", b"soap")
    for node in cluster.nodes:
        node.store.rot(cluster.prefix(b"cart") + SUB)
    outcome = cluster.nodes[0].get()
    cluster.run()
    assert isinstance(outcome[0], ReadFailed)
    assert "damaged" in str(outcome[0])


def test_a_recovering_replica_is_not_asked() -> None:
    cluster = planted(None, b"soap", b"soap")
    cluster.nodes[0].store.start_recovering("test")
    outcome = cluster.nodes[0].get()
    cluster.run()
    assert outcome == [b"soap"]
    assert cluster.count(MessageType.READ_ROW) == 2


def test_a_recovering_only_copy_is_unavailable_and_says_why() -> None:
    cluster = Cluster(nodes=1, replication=1)
    cluster.nodes[0].store.start_recovering("test")
    (outcome,) = cluster.nodes[0].get()
    assert isinstance(outcome, Unavailable)
    assert outcome.recovering == 1


def test_a_replica_that_began_recovering_unnoticed_is_replaced() -> None:
    cluster = planted(b"soap", b"soap", b"soap")
    for node in cluster.nodes:
        node.knows_recovering = False
    first = next(k for k in cluster.replicas(b"cart", 3) if k != 0)
    cluster.nodes[first].store.start_recovering("test")
    outcome = cluster.nodes[0].get()
    cluster.run()
    assert outcome == [b"soap"]


def test_a_late_replica_is_joined_by_one_more() -> None:
    cluster = planted(b"soap", b"soap", b"soap")
    first = next(k for k in cluster.replicas(b"cart", 3) if k != 0)
    cluster.hold(0, first)
    outcome = cluster.nodes[0].get()
    cluster.advance(40)
    assert outcome == []
    cluster.advance(20)
    assert outcome == [b"soap"]
    assert cluster.nodes[0].coordinator.counters.speculations == 1


def test_silence_ends_in_a_read_timeout() -> None:
    cluster = planted(b"soap", b"soap", b"soap")
    cluster.hold(0, 1)
    cluster.hold(0, 2)
    outcome = cluster.nodes[0].get()
    cluster.advance(READ_TIMEOUT_MS + 1)
    assert isinstance(outcome[0], ReadTimeout)
    assert (outcome[0].required, outcome[0].received) == (2, 1)
    assert len(cluster.nodes[0].requests) == 0


def test_another_epoch_starts_the_read_again() -> None:
    cluster = planted(b"soap", b"soap", b"soap")
    for node in cluster.nodes[1:]:
        node.ring.move_to(2)
    outcome = cluster.nodes[0].get()
    cluster.advance(10)
    assert outcome == []
    assert cluster.nodes[0].ring.pulled != []
    cluster.nodes[0].ring.move_to(2)
    cluster.advance(30)
    assert outcome == [b"soap"]
    assert len(cluster.nodes[0].requests) == 0


def test_epochs_that_never_meet_end_in_a_read_timeout() -> None:
    cluster = planted(b"soap", b"soap", b"soap")
    for node in cluster.nodes[1:]:
        node.ring.move_to(2)
    outcome = cluster.nodes[0].get()
    cluster.advance(READ_TIMEOUT_MS + 1)
    assert isinstance(outcome[0], ReadTimeout)


def test_a_repair_target_that_fails_is_replaced_by_the_next_candidate() -> None:
    cluster = planted(b"new", None, None)
    first = next(k for k in cluster.replicas(b"cart", 3) if k != 0)
    cluster.nodes[first].store.is_full = True
    outcome = cluster.nodes[0].get()
    cluster.run()
    assert outcome == [b"new"]
    other = 3 - first
    assert cluster.nodes[other].has() == b"new"


def test_a_repair_without_enough_replicas_left_fails_the_read() -> None:
    cluster = planted(b"new", None, None)
    for node in cluster.nodes[1:]:
        node.store.is_full = True
    outcome = cluster.nodes[0].get()
    cluster.run()
    assert isinstance(outcome[0], ReadFailed)
    assert len(cluster.nodes[0].requests) == 0


def test_a_link_that_breaks_during_the_repair_is_replaced() -> None:
    cluster = planted(b"new", None, None)
    first = next(k for k in cluster.replicas(b"cart", 3) if k != 0)
    cluster.nodes[first].disk.pause()
    outcome = cluster.nodes[0].get()
    cluster.run()
    assert outcome == []
    cluster.cut(0, first)
    cluster.run()
    assert outcome == [b"new"]


def test_a_late_repair_is_joined_by_one_more() -> None:
    cluster = planted(b"new", None, None)
    first = next(k for k in cluster.replicas(b"cart", 3) if k != 0)
    cluster.nodes[first].disk.pause()
    outcome = cluster.nodes[0].get()
    cluster.advance(60)
    assert outcome == [b"new"]


def test_an_epoch_change_during_the_repair_starts_again() -> None:
    cluster = planted(b"new", None, None)
    first = next(k for k in cluster.replicas(b"cart", 3) if k != 0)
    cluster.hold(0, first)
    outcome = cluster.nodes[0].get()
    cluster.release(0, first)
    node = cluster.nodes[first]
    receive = node.receive

    def move_then_receive(peer: bytes, message: bytes) -> None:
        if message[0] == MessageType.MUTATE:
            node.ring.move_to(2)
        receive(peer, message)  # type: ignore[arg-type]

    node.receive = move_then_receive  # type: ignore[method-assign]
    cluster.run()
    assert outcome == []
    for each in cluster.nodes:
        each.ring.move_to(2)
    cluster.advance(30)
    assert outcome == [b"new"]


def test_a_repair_is_dropped_by_a_truncation_after_the_read_began() -> None:
    cluster = planted(b"new", None, None)
    first = next(k for k in cluster.replicas(b"cart", 3) if k != 0)
    outcome = cluster.nodes[0].get()
    at = cluster.nodes[first].clock.now() + 1_000
    cluster.nodes[first].schema.truncated(bytes(range(16)), at)
    cluster.run()
    assert len(outcome) == 1
    assert cluster.nodes[first].has() is None


def test_a_row_under_a_partition_tombstone_is_read_with_it() -> None:
    cluster = planted(b"old", b"old", b"old")
    deletion = encode_deletion(Deletion(START_US + 100, START_US + 100))
    mutation = encode(START_US + 100, cluster.prefix(b"cart"), [(PARTITION_DELETION, deletion)])
    for node in cluster.nodes:
        node.store.apply(mutation)
        assert node.has() == b"old"  # As stored: only readers overlay it.
    for level in (ONE, QUORUM, ALL):
        outcome = cluster.nodes[0].get(level)
        cluster.run()
        assert outcome == [None]
    assert cluster.nodes[0].coordinator.in_flight == 0


def test_a_tombstone_that_one_replica_lacks_is_repaired_by_a_read() -> None:
    cluster = planted(b"old", b"old", b"old")
    deletion = encode_deletion(Deletion(START_US + 100, START_US + 100))
    mutation = encode(START_US + 100, cluster.prefix(b"cart"), [(PARTITION_DELETION, deletion)])
    cluster.nodes[2].store.apply(mutation)
    outcome = cluster.nodes[0].get(ALL)
    cluster.run()
    assert outcome == [None]
    outcome = cluster.nodes[0].get(ONE)
    assert outcome == [None]


def test_a_dropped_keyspace_is_refused() -> None:
    cluster = Cluster()
    cluster.nodes[0].schema.keyspaces = {}
    (outcome,) = cluster.nodes[0].get()
    assert isinstance(outcome, UnknownTable)


@pytest.mark.parametrize("writer", range(3))
@pytest.mark.parametrize("reader", range(3))
def test_a_quorum_read_sees_a_quorum_write_whoever_was_left_out(
    writer: int, reader: int
) -> None:
    for left_out in (writer + 1, writer + 2):
        cluster = Cluster()
        cluster.hold(writer, left_out % 3)
        written = cluster.nodes[writer].put(b"soap")
        cluster.run()
        assert written == [None]
        outcome = cluster.nodes[reader].get()
        cluster.advance(200)
        assert outcome == [b"soap"]
