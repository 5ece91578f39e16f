"""WriteOperation: each decision of one write, one at a time."""

import pytest

from anel.coordinator.replica import Mutated
from anel.data import row
from anel.data.consistency import ConsistencyLevel
from anel.data.mutation import decode
from anel.errors import Overloaded, Unavailable, UnknownTable, WriteFailed, WriteTimeout
from anel.internode.messages import REPLY, MessageType, Origin, Status
from anel.limits import WRITE_TIMEOUT_MS
from tests.unit.coordinator.cluster import START_US, Cluster

ANY, ONE, QUORUM, ALL = (
    ConsistencyLevel.ANY,
    ConsistencyLevel.ONE,
    ConsistencyLevel.QUORUM,
    ConsistencyLevel.ALL,
)
ACK = MessageType.MUTATE | REPLY


def test_a_write_reaches_all_replicas() -> None:
    cluster = Cluster()
    assert cluster.nodes[0].put(b"soap") == []
    cluster.run()
    assert [node.has() for node in cluster.nodes] == [b"soap"] * 3
    assert len(cluster.nodes[0].requests) == 0
    assert cluster.nodes[0].coordinator.in_flight == 0


def test_a_coordinator_that_holds_no_copy_writes_to_those_that_do() -> None:
    cluster = Cluster(nodes=4)
    outsider = next(k for k in range(4) if k not in cluster.replicas(b"cart", 3))
    outcome = cluster.nodes[outsider].put(b"soap")
    cluster.run()
    assert outcome == [None]
    assert cluster.nodes[outsider].has() is None


def test_the_answer_comes_with_the_wth_durable_ack() -> None:
    cluster = Cluster()
    for k in (0, 1, 2):
        cluster.nodes[k].disk.pause()
    outcome = cluster.nodes[0].put(b"soap")
    cluster.run()
    assert outcome == []
    cluster.nodes[1].disk.resume()
    cluster.run()
    assert outcome == []
    cluster.nodes[0].disk.resume()
    assert outcome == [None]


def test_a_repeated_ack_counts_once() -> None:
    cluster = Cluster()
    cluster.nodes[0].disk.pause()
    cluster.hold(0, 2)
    outcome = cluster.nodes[0].put(b"soap")
    cluster.run()
    cluster.repeat(ACK)
    assert outcome == []
    cluster.nodes[0].disk.resume()
    assert outcome == [None]


def test_a_dead_replica_gets_a_hint_and_no_message() -> None:
    cluster = Cluster()
    cluster.dead = [2]
    outcome = cluster.nodes[0].put(b"soap")
    cluster.run()
    assert outcome == [None]
    assert cluster.nodes[0].hints.targets == [2]
    assert cluster.count(MessageType.MUTATE, 2) == 0


def test_a_replica_that_cannot_be_sent_to_is_treated_as_dead() -> None:
    cluster = Cluster()
    cluster.cut(0, 2)
    outcome = cluster.nodes[0].put(b"soap")
    cluster.run()
    assert outcome == [None]
    assert cluster.nodes[0].hints.targets == [2]


@pytest.mark.parametrize("level", [QUORUM, ALL])
def test_too_few_alive_is_unavailable_and_nothing_is_done(level: ConsistencyLevel) -> None:
    cluster = Cluster()
    cluster.dead = [1, 2]
    (outcome,) = cluster.nodes[0].put(b"soap", level)
    assert isinstance(outcome, Unavailable)
    assert outcome.alive == 1
    assert cluster.sent == []
    assert cluster.nodes[0].hints.kept == []
    assert cluster.nodes[0].has() is None
    assert cluster.nodes[0].coordinator.in_flight == 0


def test_liveness_never_shrinks_what_a_level_asks_for() -> None:
    cluster = Cluster(nodes=5, replication=5)
    replicas = cluster.replicas(b"cart", 5)
    cluster.dead = replicas[3:]
    coordinator = cluster.nodes[replicas[0]]
    cluster.hold(replicas[0], replicas[1])
    outcome = coordinator.put(b"soap")
    cluster.run()
    assert outcome == []  # Two acks of the three living, and three are asked for.


def test_a_recovering_replica_takes_the_write_but_counts_in_no_w() -> None:
    cluster = Cluster()
    cluster.nodes[1].store.start_recovering("test")
    cluster.dead = [2]
    (outcome,) = cluster.nodes[0].put(b"soap")
    assert isinstance(outcome, Unavailable)
    assert outcome.recovering == 1
    cluster.dead = []
    cluster.hold(0, 2)
    outcomes = cluster.nodes[0].put(b"soap")
    cluster.run()
    assert outcomes == []
    assert cluster.nodes[1].has() == b"soap"
    cluster.release(0, 2)
    cluster.run()
    assert outcomes == [None]
    assert cluster.nodes[0].hints.kept == []


def test_a_silent_replica_gets_a_hint_at_the_deadline_though_the_client_was_answered() -> None:
    cluster = Cluster()
    cluster.hold(0, 2)
    outcome = cluster.nodes[0].put(b"soap")
    cluster.run()
    assert outcome == [None]
    assert cluster.nodes[0].hints.kept == []
    cluster.advance(WRITE_TIMEOUT_MS + 1)
    assert cluster.nodes[0].hints.targets == [2]
    assert len(cluster.nodes[0].requests) == 0


def test_too_few_acks_by_the_deadline_is_a_write_timeout() -> None:
    cluster = Cluster()
    cluster.hold(0, 1)
    cluster.hold(0, 2)
    outcome = cluster.nodes[0].put(b"soap")
    cluster.advance(WRITE_TIMEOUT_MS + 1)
    assert isinstance(outcome[0], WriteTimeout)
    assert (outcome[0].required, outcome[0].received) == (2, 1)
    assert cluster.nodes[0].hints.targets == [1, 2]
    cluster.release(0, 1)
    cluster.run()
    assert len(outcome) == 1


def test_a_link_that_breaks_counts_as_a_failure_at_once() -> None:
    cluster = Cluster()
    cluster.hold(0, 1)
    cluster.hold(0, 2)
    outcome = cluster.nodes[0].put(b"soap")
    cluster.run()
    cluster.cut(0, 1)
    assert outcome == []
    cluster.cut(0, 2)
    assert isinstance(outcome[0], WriteTimeout)
    assert cluster.nodes[0].hints.targets == [1, 2]


def test_a_link_that_breaks_after_the_answer_leaves_a_hint() -> None:
    cluster = Cluster()
    cluster.hold(0, 2)
    cluster.nodes[0].put(b"soap")
    cluster.run()
    cluster.cut(0, 2)
    assert cluster.nodes[0].hints.targets == [2]
    assert len(cluster.nodes[0].requests) == 0


def test_a_replica_without_the_table_gets_a_hint() -> None:
    cluster = Cluster()
    cluster.nodes[2].schema.tables = {}
    outcome = cluster.nodes[0].put(b"soap")
    cluster.run()
    assert outcome == [None]
    assert cluster.nodes[0].hints.targets == [2]


def test_too_many_refusals_fail_the_write_with_their_reason() -> None:
    cluster = Cluster()
    for k in (1, 2):
        cluster.nodes[k].store.is_full = True
    outcome = cluster.nodes[0].put(b"soap")
    cluster.run()
    assert isinstance(outcome[0], WriteFailed)
    assert "disk" in str(outcome[0])


def test_any_is_satisfied_by_a_durable_hint_alone() -> None:
    cluster = Cluster(nodes=4)
    outsider = next(k for k in range(4) if k not in cluster.replicas(b"cart", 3))
    cluster.dead = cluster.replicas(b"cart", 3)
    outcome = cluster.nodes[outsider].put(b"soap", ANY)
    assert outcome == []
    hints = cluster.nodes[outsider].hints
    assert [sole for _, _, sole in hints.kept] == [True] * 3
    hints.finish()
    assert outcome == [None]
    assert len(cluster.nodes[outsider].requests) == 0


def test_any_times_out_when_every_hint_is_dropped() -> None:
    cluster = Cluster(nodes=4)
    outsider = next(k for k in range(4) if k not in cluster.replicas(b"cart", 3))
    cluster.dead = cluster.replicas(b"cart", 3)
    outcome = cluster.nodes[outsider].put(b"soap", ANY)
    cluster.nodes[outsider].hints.finish(kept=False)
    cluster.advance(WRITE_TIMEOUT_MS + 1)
    assert isinstance(outcome[0], WriteTimeout)


def test_hints_never_count_for_one() -> None:
    cluster = Cluster()
    cluster.dead = [1, 2]
    cluster.nodes[0].disk.pause()
    outcome = cluster.nodes[0].put(b"soap", ONE)
    cluster.nodes[0].hints.finish()
    assert outcome == []
    cluster.nodes[0].disk.resume()
    assert outcome == [None]


def test_a_server_stamped_write_that_is_hidden_is_issued_again_above_what_hides_it() -> None:
    cluster = Cluster()
    future = START_US + 3_600_000_000
    for node in cluster.nodes[1:]:
        node.plant(b"older", future)
    outcome = cluster.nodes[0].put(b"newer")
    cluster.run()
    assert outcome == [None]
    assert [node.has() for node in cluster.nodes] == [b"newer"] * 3
    assert cluster.nodes[0].coordinator.counters.reissues >= 1
    assert cluster.nodes[0].clock.last_us < future  # The clock took nothing in.


def test_the_answer_waits_for_the_reissue_and_not_for_acks_of_the_first_round() -> None:
    cluster = Cluster()
    cluster.nodes[1].plant(b"older", START_US + 3_600_000_000)
    cluster.hold(1, 0)
    cluster.hold(2, 0)
    outcome = cluster.nodes[0].put(b"newer")
    cluster.run()
    cluster.release(1, 0)
    cluster.nodes[0].disk.pause()
    cluster.hold(0, 1)
    cluster.run()  # The ack of node 1 starts a second round, of which nothing arrives.
    assert outcome == []
    cluster.release(2, 0)
    cluster.repeat(ACK)
    assert outcome == []  # Acks of the first round count no more; node 2's second ack does.
    cluster.nodes[0].disk.resume()
    assert outcome == [None]


def test_a_client_stamped_write_is_never_stamped_anew() -> None:
    cluster = Cluster()
    cluster.nodes[1].plant(b"older", START_US + 50)
    outcome = cluster.nodes[0].put(b"newer", timestamp=START_US)
    cluster.run()
    assert outcome == [None]
    assert cluster.nodes[0].coordinator.counters.reissues == 0


def test_another_epoch_starts_the_write_again_without_earlier_acks() -> None:
    cluster = Cluster()
    cluster.nodes[1].ring.move_to(2)
    cluster.nodes[2].ring.move_to(2)
    outcome = cluster.nodes[0].put(b"soap")
    cluster.run()
    assert outcome == []
    assert cluster.nodes[0].ring.pulled != []
    cluster.nodes[0].ring.move_to(2)
    cluster.advance(30)
    assert outcome == [None]
    assert [node.has() for node in cluster.nodes] == [b"soap"] * 3


def test_a_replica_behind_pulls_the_ring() -> None:
    cluster = Cluster()
    cluster.nodes[0].ring.move_to(2)
    cluster.nodes[0].put(b"soap")
    cluster.run()
    assert cluster.nodes[1].ring.pulled == [cluster.nodes[0].id]


def test_epochs_that_never_meet_end_in_a_write_timeout() -> None:
    cluster = Cluster()
    cluster.nodes[1].ring.move_to(2)
    cluster.nodes[2].ring.move_to(2)
    outcome = cluster.nodes[0].put(b"soap")
    cluster.advance(WRITE_TIMEOUT_MS + 1)
    assert isinstance(outcome[0], WriteTimeout)
    assert cluster.nodes[0].coordinator.in_flight == 0
    cluster.advance(100)
    assert len(cluster.nodes[0].requests) == 0


def test_a_locked_ring_makes_writes_wait() -> None:
    cluster = Cluster(nodes=1, replication=1)
    node = cluster.nodes[0]
    node.ring.write_epoch = -1
    outcome = node.put(b"soap")
    cluster.advance(100)
    assert outcome == []
    node.ring.write_epoch = 1
    cluster.advance(100)
    assert outcome == [None]


def test_a_ring_locked_for_good_ends_in_a_write_timeout() -> None:
    cluster = Cluster(nodes=1, replication=1)
    cluster.nodes[0].ring.write_epoch = -1
    outcome = cluster.nodes[0].put(b"soap")
    cluster.advance(WRITE_TIMEOUT_MS + 50)
    assert isinstance(outcome[0], WriteTimeout)


def test_one_copy_here_needs_no_message_and_waits_for_its_sync() -> None:
    cluster = Cluster(nodes=1, replication=1)
    node = cluster.nodes[0]
    node.disk.pause()
    outcome = node.put(b"soap")
    assert outcome == []
    node.disk.resume()
    assert outcome == [None]
    assert len(node.requests) == 0
    assert node.coordinator.in_flight == 0


def test_one_copy_here_is_issued_again_above_what_hides_it() -> None:
    cluster = Cluster(nodes=1, replication=1)
    node = cluster.nodes[0]
    node.plant(b"older", START_US + 3_600_000_000)
    assert node.put(b"newer") == [None]
    assert node.has() == b"newer"


def test_one_copy_that_is_recovering_is_unavailable() -> None:
    cluster = Cluster(nodes=1, replication=1)
    cluster.nodes[0].store.start_recovering("test")
    (outcome,) = cluster.nodes[0].put(b"soap")
    assert isinstance(outcome, Unavailable)
    assert "anel status" in str(outcome)


def test_one_copy_whose_disk_refuses_fails() -> None:
    cluster = Cluster(nodes=1, replication=1)
    cluster.nodes[0].store.is_full = True
    (outcome,) = cluster.nodes[0].put(b"soap")
    assert isinstance(outcome, WriteFailed)


def test_past_the_bound_requests_are_refused_before_any_work() -> None:
    cluster = Cluster()
    coordinator = cluster.nodes[0].coordinator
    coordinator.in_flight_max = 1
    first = cluster.nodes[0].put(b"soap")
    (second,) = cluster.nodes[0].put(b"soup")
    (third,) = cluster.nodes[0].get()
    assert isinstance(second, Overloaded)
    assert isinstance(third, Overloaded)
    cluster.run()
    assert first == [None]
    assert cluster.nodes[0].put(b"soup") == []


def test_when_many_writes_wait_for_the_silent_their_hints_are_kept_at_once() -> None:
    cluster = Cluster()
    cluster.nodes[0].coordinator.in_flight_max = 2
    cluster.hold(0, 2)
    for _ in range(4):
        cluster.nodes[0].put(b"soap")
        cluster.run()
    assert len(cluster.nodes[0].requests) <= 2
    assert cluster.nodes[0].hints.targets == [2, 2]


def test_a_dropped_keyspace_is_refused() -> None:
    cluster = Cluster()
    cluster.nodes[0].schema.keyspaces = {}
    (outcome,) = cluster.nodes[0].put(b"soap")
    assert isinstance(outcome, UnknownTable)


def test_a_write_waits_until_the_clocks_ceiling_is_durable() -> None:
    cluster = Cluster()
    node = cluster.nodes[0]
    node.ceiling_is_durable = False
    cluster.advance(20_000)
    outcome = node.put(b"soap")
    cluster.advance(10)
    assert outcome == []
    assert node.has() is None
    node.clock.ceiling_is_durable(node.clock.last_us + 1)
    cluster.advance(10)
    assert outcome == [None]


def test_the_mutation_travels_unchanged() -> None:
    cluster = Cluster()
    cluster.nodes[0].put(b"soap", timestamp=START_US)
    message = next(each for _, _, each in cluster.sent if each[0] == MessageType.MUTATE)
    (record,) = decode(message[14:]).records
    assert row.stamp_of(record[1]) == START_US


def test_a_planted_bug_that_acks_before_the_sync_would_be_seen() -> None:
    cluster = Cluster(nodes=1, replication=1)
    node = cluster.nodes[0]
    node.disk.pause()
    mutate = node.replica.mutate

    def hasty(epoch: int, origin: Origin, mutation: bytes, done: Mutated) -> None:
        mutate(epoch, origin, mutation, lambda *_: None)
        done(Status.OK, None)

    node.replica.mutate = hasty  # type: ignore[method-assign]
    assert node.put(b"soap") == [None]  # What the tests above forbid.


def test_one_copy_that_is_recovering_takes_nothing_it_calls_undone() -> None:
    cluster = Cluster(nodes=1, replication=1)
    cluster.nodes[0].store.start_recovering("test")
    cluster.nodes[0].put(b"soap")
    assert cluster.nodes[0].has() is None


def test_a_write_to_two_copies_where_one_is_the_factor_is_unavailable() -> None:
    cluster = Cluster(nodes=1, replication=1)
    (outcome,) = cluster.nodes[0].put(b"soap", ConsistencyLevel.TWO)
    assert isinstance(outcome, Unavailable)
    assert (outcome.required, outcome.alive) == (2, 1)
