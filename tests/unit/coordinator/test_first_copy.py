"""First-copy mode: the write's protocol, and three sequences of stale reads and conflict."""

from anel.data.consistency import ConsistencyLevel
from anel.errors import Unavailable, WriteFailed, WriteTimeout
from anel.internode.messages import MessageType
from anel.limits import WRITE_TIMEOUT_MS
from tests.unit.coordinator.cluster import START_US, Cluster

ONE, QUORUM, ALL = ConsistencyLevel.ONE, ConsistencyLevel.QUORUM, ConsistencyLevel.ALL
KEY = b"cart"


def ring_of(nodes: int = 3, replication: int = 2) -> tuple[Cluster, list[int]]:
    """Give a cluster in first-copy mode, and the key's copies in order."""
    cluster = Cluster(nodes, replication, first_copy=True)
    return cluster, cluster.replicas(KEY, replication)


def stale() -> tuple[Cluster, int, int]:
    """Play sequence 1 up to the failure: copy 2 has A, copy 1 took B and failed."""
    cluster, (first, second) = ring_of()
    assert cluster.nodes[first].put(b"A") == [None]
    cluster.run()
    cluster.hold(first, second)
    assert cluster.nodes[first].put(b"B") == [None]  # Answered before it has replicated.
    cluster.cut(first, second)
    cluster.release(first, second)
    cluster.dead = [first]
    return cluster, first, second


def test_the_level_is_ignored_and_the_first_copys_ack_answers() -> None:
    cluster, (first, second) = ring_of()
    cluster.nodes[second].disk.pause()
    outcome = cluster.nodes[first].put(b"A", ALL)
    assert outcome == [None]
    assert cluster.count(MessageType.MUTATE, second) == 1
    cluster.run()
    cluster.nodes[second].disk.resume()
    cluster.run()
    assert len(cluster.nodes[first].requests) == 0
    assert cluster.nodes[first].hints.kept == []


def test_replication_begins_after_the_first_copy_acked() -> None:
    cluster, (first, second) = ring_of()
    cluster.nodes[first].disk.pause()
    outcome = cluster.nodes[second].put(b"A")
    cluster.run()
    assert outcome == []
    assert cluster.nodes[second].has() is None
    cluster.nodes[first].disk.resume()
    cluster.run()
    assert outcome == [None]
    assert cluster.nodes[second].has() == b"A"


def test_any_node_coordinates() -> None:
    cluster, copies = ring_of(nodes=5)
    outsider = next(k for k in range(5) if k not in copies)
    outcome = cluster.nodes[outsider].put(b"A")
    cluster.run()
    assert outcome == [None]
    read = cluster.nodes[outsider].get()
    cluster.run()
    assert read == [b"A"]
    assert cluster.count(MessageType.READ_ROW, copies[0]) == 1


def test_sequence_1_the_second_copy_gives_a_stale_read() -> None:
    cluster, _, second = stale()
    read = cluster.nodes[second].get()
    cluster.run()
    assert read == [b"A"]


def test_sequence_1_at_quorum_is_not_stale() -> None:
    cluster = Cluster(3, 3)
    first, second, third = cluster.replicas(KEY, 3)
    cluster.nodes[first].put(b"A")
    cluster.run()
    cluster.hold(first, second)
    written = cluster.nodes[first].put(b"B")
    cluster.run()
    assert written == [None]
    cluster.cut(first, second)
    cluster.cut(first, third)
    cluster.dead = [first]
    read = cluster.nodes[second].get()
    cluster.run()
    assert read == [b"B"]


def test_sequence_2_each_copy_gives_its_own_value_until_they_meet() -> None:
    cluster, first, second = stale()
    written = cluster.nodes[second].put(b"C")
    cluster.run()
    assert written == [None]
    assert cluster.nodes[second].hints.targets == [first]
    cluster.dead = []
    cluster.mend()
    read = cluster.nodes[first].get()
    cluster.run()
    assert read == [b"B"]
    # By time C wins: handed over, it replaces B at copy 1.
    cluster.nodes[first].store.apply(cluster.nodes[second].hints.kept[0][1])
    assert cluster.nodes[first].has() == b"C"


def test_sequence_3_a_write_at_copy_1_conflicts_with_copy_2_and_time_decides() -> None:
    cluster, first, second = stale()
    cluster.nodes[second].put(b"C")
    cluster.run()
    hint = cluster.nodes[second].hints.kept[0][1]
    cluster.dead = []
    cluster.mend()
    cluster.advance(1)
    written = cluster.nodes[first].put(b"D")
    assert written == [None]
    assert cluster.nodes[first].has() == b"D"
    assert cluster.nodes[second].has() == b"C"  # Both exist: a conflict.
    cluster.run()
    cluster.nodes[first].store.apply(hint)
    assert [cluster.nodes[k].has() for k in (first, second)] == [b"D", b"D"]


def test_a_first_copy_that_breaks_is_followed_by_the_next() -> None:
    cluster, (first, second) = ring_of(nodes=4)
    outsider = next(k for k in range(4) if k not in (first, second))
    cluster.nodes[first].disk.pause()
    outcome = cluster.nodes[outsider].put(b"A")
    cluster.run()
    assert outcome == []
    cluster.cut(outsider, first)
    cluster.run()
    assert outcome == [None]
    assert cluster.nodes[second].has() == b"A"
    assert cluster.nodes[outsider].hints.targets == [first]


def test_a_first_copy_that_refuses_is_followed_by_the_next() -> None:
    cluster, (first, second) = ring_of()
    cluster.nodes[first].store.is_full = True
    outcome = cluster.nodes[second].put(b"A")
    cluster.run()
    assert outcome == [None]
    assert cluster.nodes[second].hints.targets == [first]


def test_every_copy_refusing_fails_the_write() -> None:
    cluster, copies = ring_of()
    for k in copies:
        cluster.nodes[k].store.is_full = True
    outcome = cluster.nodes[copies[0]].put(b"A")
    cluster.run()
    assert isinstance(outcome[0], WriteFailed)


def test_no_living_copy_is_unavailable() -> None:
    cluster, copies = ring_of(nodes=4)
    outsider = next(k for k in range(4) if k not in copies)
    cluster.dead = copies
    assert isinstance(cluster.nodes[outsider].put(b"A")[0], Unavailable)
    assert isinstance(cluster.nodes[outsider].get()[0], Unavailable)
    assert cluster.nodes[outsider].hints.kept == []
    assert cluster.nodes[outsider].coordinator.in_flight == 0


def test_a_silent_first_copy_is_a_write_timeout_and_a_silent_second_gets_a_hint() -> None:
    cluster, (first, second) = ring_of()
    cluster.hold(second, first)
    outcome = cluster.nodes[second].put(b"A")
    cluster.advance(WRITE_TIMEOUT_MS + 1)
    assert isinstance(outcome[0], WriteTimeout)
    cluster.hold(first, second)
    outcome = cluster.nodes[first].put(b"B")
    cluster.advance(WRITE_TIMEOUT_MS + 1)
    assert outcome == [None]
    assert cluster.nodes[first].hints.targets == [second]
    assert len(cluster.nodes[first].requests) == 0


def test_a_hidden_write_is_issued_again_at_the_first_copy() -> None:
    cluster, (first, second) = ring_of()
    cluster.nodes[first].plant(b"older", START_US + 3_600_000_000)
    outcome = cluster.nodes[second].put(b"newer")
    cluster.run()
    assert outcome == [None]
    assert [cluster.nodes[k].has() for k in (first, second)] == [b"newer"] * 2


def test_a_link_to_a_later_copy_that_breaks_leaves_a_hint() -> None:
    cluster, (first, second) = ring_of()
    cluster.hold(first, second)
    cluster.nodes[first].put(b"A")
    cluster.cut(first, second)
    assert cluster.nodes[first].hints.targets == [second]
    assert len(cluster.nodes[first].requests) == 0


def test_another_epoch_starts_the_write_again() -> None:
    cluster, (first, second) = ring_of()
    cluster.nodes[first].ring.move_to(2)
    outcome = cluster.nodes[second].put(b"A")
    cluster.run()
    assert outcome == []
    assert cluster.nodes[second].ring.pulled == [cluster.nodes[first].id]
    cluster.nodes[second].ring.move_to(2)
    cluster.advance(30)
    assert outcome == [None]


def test_one_copy_here_is_written_here() -> None:
    cluster = Cluster(1, 1, first_copy=True)
    assert cluster.nodes[0].put(b"A", ALL) == [None]
    assert cluster.nodes[0].get(ALL) == [b"A"]


def test_a_late_first_copy_is_waited_for() -> None:
    cluster, (first, second) = ring_of()
    cluster.nodes[first].put(b"A")
    cluster.run()
    cluster.hold(second, first)
    read = cluster.nodes[second].get()
    cluster.advance(1_000)
    assert read == []  # No speculation: the second copy may be stale.
    cluster.release(second, first)
    cluster.run()
    assert read == [b"A"]
