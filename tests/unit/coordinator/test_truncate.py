"""TRUNCATE: everything issued before is gone, nothing issued after, or the client is told."""

from anel.coordinator.fence import FENCE_MS, Stage, TruncateReply, TruncateStep
from anel.data.consistency import ConsistencyLevel
from anel.errors import AnelError, NotReady, Overloaded, Unavailable, WriteTimeout
from anel.internode.messages import MessageType, Origin, Status, body_of
from anel.limits import WRITE_TIMEOUT_MS
from tests.unit.coordinator.cluster import TABLE, Cluster

ONE, QUORUM, ALL = ConsistencyLevel.ONE, ConsistencyLevel.QUORUM, ConsistencyLevel.ALL


def truncate(cluster: Cluster, node: int = 0) -> list[AnelError | None]:
    outcome: list[AnelError | None] = []
    coordinator = cluster.nodes[node].coordinator
    coordinator.truncate(TABLE, outcome.append)
    return outcome


def filled(nodes: int = 3, replication: int = 3) -> Cluster:
    cluster = Cluster(nodes, replication)
    cluster.nodes[0].put(b"soap", ALL)
    cluster.run()
    return cluster


def test_a_truncation_empties_every_node_and_records_when() -> None:
    cluster = filled()
    outcome = truncate(cluster)
    cluster.run()
    assert outcome == [None]
    for node in cluster.nodes:
        assert node.has() is None
        table = node.schema.table_by_id(TABLE.id)
        assert table is not None
        assert table.truncated_at > 0
        assert not node.replica.fences.is_fenced(TABLE.id)
    assert cluster.nodes[0].coordinator.in_flight == 0
    assert len(cluster.nodes[0].requests) == 0


def test_it_is_answered_once_durable_everywhere() -> None:
    cluster = filled()
    cluster.nodes[2].disk.pause()
    outcome = truncate(cluster)
    cluster.run()
    assert outcome == []
    cluster.nodes[2].disk.resume()
    cluster.run()
    assert outcome == [None]


def test_a_dead_node_makes_it_unavailable_before_anything_is_sent() -> None:
    cluster = filled()
    cluster.dead = [2]
    sent = len(cluster.sent)
    (outcome,) = truncate(cluster)
    assert isinstance(outcome, Unavailable)
    assert (outcome.required, outcome.alive) == (3, 2)
    assert len(cluster.sent) == sent


def test_a_hint_from_before_does_not_bring_the_row_back() -> None:
    cluster = Cluster()
    cluster.dead = [2]
    cluster.nodes[0].put(b"soap")
    cluster.run()
    cluster.dead = []
    truncate(cluster)
    cluster.run()
    hint = cluster.nodes[0].hints.kept[0][1]
    cluster.nodes[2].replica.mutate(1, Origin.HINT, hint, lambda *_: None)
    assert cluster.nodes[2].has() is None
    assert cluster.nodes[2].replica.dropped_truncated == 1


def test_a_write_after_the_answer_stays() -> None:
    cluster = filled()
    cluster.nodes[2].env.skew_us = -300_000
    truncate(cluster)
    cluster.run()
    written = cluster.nodes[2].put(b"after")
    cluster.run()
    assert written == [None]
    assert [node.has() for node in cluster.nodes] == [b"after"] * 3


def test_a_write_in_between_is_held_and_lands_after_the_truncation() -> None:
    cluster = filled()
    cluster.hold(0, 2)  # Node 2 hears of the truncation late.
    outcome = truncate(cluster)
    cluster.run()
    written = cluster.nodes[1].put(b"between")
    cluster.run()
    assert outcome == []
    assert written == []  # Nodes 0 and 1 hold still; node 2 alone is no quorum.
    cluster.release(0, 2)
    cluster.run()
    assert outcome == [None]
    assert written == [None]
    assert [node.has() for node in cluster.nodes] == [b"between"] * 3


def test_a_fast_clock_does_not_carry_an_older_row_over() -> None:
    cluster = Cluster()
    cluster.nodes[2].env.skew_us = 400_000
    cluster.nodes[2].put(b"soap", ALL)
    cluster.run()
    outcome = truncate(cluster, node=1)
    cluster.run()
    assert outcome == [None]
    assert [node.has() for node in cluster.nodes] == [None] * 3


def test_reads_wait_too_so_that_no_repair_brings_a_row_back() -> None:
    cluster = filled()
    cluster.hold(0, 2)
    truncate(cluster)
    cluster.run()
    read = cluster.nodes[1].get()
    page: list[object] = []
    cluster.nodes[1].coordinator.read_page(
        TABLE, TABLE.id, TABLE.id + b"\xff" * 20, ONE, page.append
    )
    cluster.run()
    assert read == []
    assert page == []
    cluster.release(0, 2)
    cluster.run()
    assert read == [b"soap"]  # Node 2 had answered before; the read began before the end.
    assert len(page) == 1
    assert [node.has() for node in cluster.nodes] == [None] * 3  # Its repair was dropped.


def test_two_truncations_at_once_both_end() -> None:
    cluster = filled()
    first, second = truncate(cluster, 0), truncate(cluster, 1)
    cluster.run()
    assert first == [None]
    assert second == [None]
    assert not any(node.replica.fences.is_fenced(TABLE.id) for node in cluster.nodes)


def test_a_fence_that_does_not_stand_in_time_undoes_the_others() -> None:
    cluster = filled()
    cluster.hold(0, 2)
    outcome = truncate(cluster)
    cluster.advance(WRITE_TIMEOUT_MS + 1)
    assert isinstance(outcome[0], Unavailable)
    assert cluster.nodes[1].has() == b"soap"
    assert not cluster.nodes[0].replica.fences.is_fenced(TABLE.id)
    assert not cluster.nodes[1].replica.fences.is_fenced(TABLE.id)


def test_a_broken_link_while_fencing_is_unavailable_at_once() -> None:
    cluster = filled()
    cluster.hold(0, 2)
    outcome = truncate(cluster)
    cluster.run()
    cluster.cut(0, 2)
    assert isinstance(outcome[0], Unavailable)
    cluster.cut(0, 1)
    assert isinstance(truncate(cluster)[0], Unavailable)


def test_a_node_lost_after_the_instant_was_chosen_is_a_write_timeout() -> None:
    cluster = filled()
    cluster.nodes[2].disk.pause()
    outcome = truncate(cluster)
    cluster.run()
    cluster.cut(0, 2)
    assert isinstance(outcome[0], WriteTimeout)
    assert (outcome[0].required, outcome[0].received) == (3, 2)


def test_a_node_without_the_table_or_at_another_epoch_is_not_ready() -> None:
    cluster = filled()
    cluster.nodes[2].schema.tables = {}
    outcome = truncate(cluster)
    cluster.run()
    assert isinstance(outcome[0], NotReady)
    cluster = filled()
    cluster.nodes[2].ring.move_to(2)
    outcome = truncate(cluster)
    cluster.run()
    assert isinstance(outcome[0], NotReady)
    assert cluster.nodes[0].ring.pulled == [cluster.nodes[2].id]
    assert not cluster.nodes[1].replica.fences.is_fenced(TABLE.id)


def test_a_fence_whose_coordinator_died_falls_by_itself() -> None:
    cluster = filled()
    cluster.hold(0, 2)
    truncate(cluster)
    cluster.run()
    cluster.cut(0, 1)  # Node 0 is gone for the others.
    written = cluster.nodes[1].put(b"later")
    cluster.advance(FENCE_MS + 1)
    assert not cluster.nodes[1].replica.fences.is_fenced(TABLE.id)
    assert cluster.nodes[1].has() == b"later"
    assert len(written) == 1


def test_an_instant_that_comes_after_its_fence_fell_is_refused() -> None:
    cluster = filled()
    replies: list[TruncateReply] = []
    step = TruncateStep(1, TABLE.id, b"fence", Stage.TRUNCATE, at=1 << 60)
    cluster.nodes[0].replica.fences.take(step, replies.append)
    assert replies[0].status == Status.OVERLOADED
    assert cluster.nodes[0].has() == b"soap"


def test_what_waits_behind_a_fence_is_bounded() -> None:
    cluster = filled()
    fences = cluster.nodes[0].replica.fences
    fences.take(TruncateStep(1, TABLE.id, b"fence", Stage.FENCE), lambda _: None)
    for _ in range(20_000):
        assert fences.hold(TABLE.id, lambda: None)
    assert not fences.hold(TABLE.id, lambda: None)
    read = cluster.nodes[0].get(ONE)
    cluster.run()
    assert len(read) == 1  # From another replica: this one said that it is overloaded.


def test_a_repeated_fence_is_one_fence() -> None:
    cluster = filled()
    outcome = truncate(cluster)
    cluster.run()
    cluster.repeat(MessageType.TRUNCATE | 0x80)
    assert outcome == [None]
    step = body_of(
        next(each for _, _, each in cluster.sent if each[0] == MessageType.TRUNCATE),
        TruncateStep,
    )
    fences = cluster.nodes[1].replica.fences
    fences.take(step, lambda _: None)
    fences.take(step, lambda _: None)
    assert len(fences.standing[TABLE.id]) == 1


def test_it_is_bounded_like_every_request() -> None:
    cluster = filled()
    cluster.nodes[0].coordinator.in_flight_max = 0
    assert isinstance(truncate(cluster)[0], Overloaded)
