"""PageOperation: short reads, tombstones at the front, repair, spans, both directions."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anel.coordinator import merged_page
from anel.coordinator.coordinator import end_of, whole
from anel.coordinator.merged_page import MergedPage, PageReply
from anel.coordinator.page import Extent
from anel.data import row
from anel.data.consistency import ConsistencyLevel
from anel.data.mutation import (
    PARTITION_DELETION,
    ROW,
    Deletion,
    encode,
    encode_deletion,
    range_deletion_sub,
)
from anel.errors import AnelError, Overloaded, ReadFailed, ReadTimeout, UnknownTable
from anel.internode.messages import MessageType
from anel.limits import READ_TIMEOUT_MS
from anel.storage.store import Record
from tests.unit.coordinator.cluster import START_US, TABLE, Cluster, value_of

ONE, QUORUM, ALL = ConsistencyLevel.ONE, ConsistencyLevel.QUORUM, ConsistencyLevel.ALL
START, END = TABLE.id, end_of(TABLE.id)


def page(
    cluster: Cluster,
    level: ConsistencyLevel = ALL,
    *,
    start: bytes = START,
    end: bytes = END,
    backward: bool = False,
    records_max: int = 500,
) -> list[MergedPage | AnelError]:
    """Start reading one page at node 0."""
    outcome: list[MergedPage | AnelError] = []
    cluster.nodes[0].coordinator.read_page(
        TABLE,
        start,
        end,
        level,
        outcome.append,
        backward=backward,
        records_max=records_max,
    )
    return outcome


def walk(
    cluster: Cluster,
    level: ConsistencyLevel = ALL,
    *,
    backward: bool = False,
    records_max: int = 500,
) -> list[Record]:
    """Read a whole table page by page."""
    rows: list[Record] = []
    end: list[AnelError | None] = []

    def on_page(found: MergedPage) -> bool:
        rows.extend(found.rows)
        return True

    extent = whole(TABLE.id, backward=backward)._replace(records_max=records_max)
    cluster.nodes[0].coordinator.walk(TABLE, level, extent, on_page=on_page, done=end.append)
    cluster.run()
    assert end == [None]
    assert cluster.nodes[0].coordinator.in_flight == 0
    return rows


def only(outcome: list[MergedPage | AnelError]) -> MergedPage:
    (found,) = outcome
    assert isinstance(found, MergedPage)
    return found


def keys_of(rows: list[Record]) -> list[bytes]:
    """Give the partition keys and clustering of rows, without the rest."""
    return [key[26:] for key, _ in rows]


def delete(cluster: Cluster, node: int, key: bytes, sub: bytes, timestamp: int) -> None:
    """Plant a tombstone record at one node."""
    value = encode_deletion(Deletion(timestamp, timestamp))
    cluster.nodes[node].store.apply(encode(timestamp, cluster.prefix(key), [(sub, value)]))


def test_an_empty_table_is_one_empty_page() -> None:
    cluster = Cluster()
    outcome = page(cluster)
    cluster.run()
    assert only(outcome) == MergedPage([], None)


def test_equal_replicas_give_their_rows() -> None:
    cluster = Cluster()
    for key in (b"a", b"b", b"c"):
        cluster.nodes[0].put(b"v" + key, ALL, key=key)
    cluster.run()
    outcome = page(cluster)
    cluster.run()
    found = only(outcome)
    assert [value_of(value) for _, value in found.rows] == [b"va", b"vb", b"vc"]
    assert found.resume is None


def test_a_short_reply_does_not_hide_rows_of_another_replica() -> None:
    cluster = Cluster()
    for k, key in enumerate((b"a", b"b", b"c", b"d", b"e", b"f")):
        cluster.nodes[k % 3].plant(b"v", START_US, key=key)
    outcome = page(cluster, records_max=1)
    cluster.run()
    found = only(outcome)
    assert keys_of(found.rows) == [b"a" + ROW + b"k"]
    assert keys_of(walk(cluster, records_max=1)) == [
        key + ROW + b"k" for key in (b"a", b"b", b"c", b"d", b"e", b"f")
    ]


def test_without_short_read_protection_rows_would_be_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = Cluster()
    for node, key in ((0, b"a"), (0, b"b"), (1, b"y"), (1, b"z")):
        cluster.nodes[node].plant(b"v", START_US, key=key)

    def planted_bug(replies: Sequence[PageReply], *, backward: bool) -> bytes | None:
        assert not backward
        return max((reply.records[-1][0] for reply in replies if reply.more), default=None)

    monkeypatch.setattr(merged_page, "_bound", planted_bug)
    assert keys_of(walk(cluster, records_max=1)) != [
        key + ROW + b"k" for key in (b"a", b"b", b"y", b"z")
    ]


def test_going_backward_gives_the_same_rows_the_other_way() -> None:
    cluster = Cluster()
    for k in range(20):
        cluster.nodes[k % 3].plant(b"v", START_US, key=b"k%02d" % k)
    forward = walk(cluster, records_max=3)
    cluster = Cluster()
    for k in range(20):
        cluster.nodes[k % 3].plant(b"v", START_US, key=b"k%02d" % k)
    assert walk(cluster, backward=True, records_max=3) == forward[::-1]


def test_differing_records_are_repaired_before_the_answer() -> None:
    cluster = Cluster()
    for k, key in enumerate((b"a", b"b", b"c")):
        cluster.nodes[k].plant(b"v", START_US, key=key)
    cluster.nodes[1].disk.pause()
    cluster.nodes[2].disk.pause()
    outcome = page(cluster)
    cluster.run()
    assert outcome == []
    cluster.nodes[1].disk.resume()
    cluster.nodes[2].disk.resume()
    cluster.run()
    assert len(only(outcome).rows) == 3
    for node in cluster.nodes:
        assert [node.has(key=key) for key in (b"a", b"b", b"c")] == [b"v"] * 3


def test_a_page_never_crosses_from_one_replica_set_to_another() -> None:
    cluster = Cluster(nodes=4, replication=2)
    keys = [bytes((first,)) for first in range(1, 256, 3)]
    for key in keys:
        cluster.nodes[0].put(b"v", ALL, key=key)
    cluster.run()
    assert keys_of(walk(cluster)) == [key + ROW + b"k" for key in keys]
    assert cluster.nodes[0].coordinator.counters.pages > 4
    assert keys_of(walk(cluster, backward=True)) == [key + ROW + b"k" for key in keys[::-1]]


def test_ranges_with_the_same_replicas_are_one_page() -> None:
    cluster = Cluster(nodes=3, replication=3)
    for first in range(1, 256, 3):
        cluster.nodes[0].put(b"v", ALL, key=bytes((first,)))
    cluster.run()
    assert len(walk(cluster)) == 85
    assert cluster.nodes[0].coordinator.counters.pages == 1


def test_resume_keys_lead_through_the_first_and_last_token() -> None:
    cluster = Cluster(nodes=2, replication=1)
    keys = [b"\0" * 8, b"\0" * 7 + b"\1", b"\xff" * 7 + b"\xfe", b"\xff" * 8]
    for key in keys:
        cluster.nodes[0].put(b"v", ONE, key=key)
    cluster.run()
    for backward in (False, True):
        found = keys_of(walk(cluster, ONE, records_max=1, backward=backward))
        assert sorted(found) == [key + ROW + b"k" for key in keys]


def test_the_end_may_lie_within_a_partition() -> None:
    cluster = Cluster()
    for clustering in (b"1", b"2", b"3"):
        cluster.nodes[0].put(b"v", ALL, sub=ROW + clustering)
    cluster.run()
    prefix = cluster.prefix(b"cart")
    outcome = page(cluster, start=prefix + ROW + b"2", end=prefix + ROW + b"3")
    backward = page(cluster, start=prefix, end=prefix + ROW + b"3", backward=True)
    cluster.run()
    assert keys_of(only(outcome).rows) == [b"cart" + ROW + b"2"]
    assert keys_of(only(backward).rows) == [b"cart" + ROW + b"2", b"cart" + ROW + b"1"]


def live_keys(rows: list[Record]) -> list[bytes]:
    return [key[26:] for key, value in rows if value_of(value) is not None]


def test_partition_tombstones_cover_rows_and_are_not_shown() -> None:
    cluster = Cluster()
    for key in (b"a", b"b"):
        cluster.nodes[0].put(b"v", ALL, key=key, timestamp=START_US)
    cluster.run()
    delete(cluster, 1, b"a", PARTITION_DELETION, START_US + 1)
    for backward in (False, True):
        for records_max in (1, 2, 500):
            rows = walk(cluster, backward=backward, records_max=records_max)
            assert live_keys(rows) == [b"b" + ROW + b"k"]
            assert all(key[27] == ROW[0] for key, _ in rows)


def test_range_tombstones_cover_their_range_wherever_the_page_is_cut() -> None:
    for backward in (False, True):
        for records_max in (1, 2, 3, 500):
            cluster = Cluster()
            for n in range(6):
                cluster.nodes[0].put(b"v", ALL, sub=ROW + b"%d" % n, timestamp=START_US)
            cluster.run()
            for node in range(3):
                sub = range_deletion_sub(b"%d" % (node + 1), b"%d" % (node + 2))
                delete(cluster, node, b"cart", sub, START_US + 1)
            rows = walk(cluster, backward=backward, records_max=records_max)
            assert sorted(live_keys(rows)) == [b"cart" + ROW + n for n in (b"0", b"4", b"5")]


def test_a_newer_row_shows_through_a_tombstone() -> None:
    cluster = Cluster()
    delete(cluster, 0, b"cart", PARTITION_DELETION, START_US)
    cluster.nodes[1].plant(b"v", START_US + 1)
    assert live_keys(walk(cluster)) == [b"cart" + ROW + b"k"]


def test_too_many_tombstones_fail_the_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anel.coordinator.replica.TOMBSTONES_SCANNED_MAX", 20)
    cluster = Cluster()
    for n in range(30):
        for node in range(3):
            sub = range_deletion_sub(b"%03d" % n, b"%03d" % (n + 1))
            delete(cluster, node, b"cart", sub, START_US)
    outcome = page(cluster, start=cluster.prefix(b"cart") + ROW, records_max=5)
    cluster.run()
    (failure,) = outcome
    assert isinstance(failure, ReadFailed)
    assert "tombstones" in str(failure)


def test_an_empty_extent_is_the_end() -> None:
    cluster = Cluster()
    assert only(page(cluster, start=END[:-1] + b"\xff", end=END)) == MergedPage([], None)


def test_a_silent_replica_ends_in_a_read_timeout() -> None:
    cluster = Cluster()
    cluster.hold(0, 1)
    outcome = page(cluster)
    cluster.advance(READ_TIMEOUT_MS + 1)
    assert isinstance(outcome[0], ReadTimeout)


def test_a_page_starts_again_under_another_epoch() -> None:
    cluster = Cluster()
    cluster.nodes[0].put(b"v", ALL)
    cluster.run()
    cluster.nodes[0].ring.move_to(2)
    outcome = page(cluster)
    cluster.run()
    for node in cluster.nodes:
        node.ring.move_to(2)
    cluster.advance(30)
    assert len(only(outcome).rows) == 1


def test_a_damaged_page_is_read_from_another_replica() -> None:
    cluster = Cluster()
    cluster.nodes[0].put(b"v", ALL)
    cluster.run()
    cluster.nodes[0].store.rot(cluster.prefix(b"cart") + ROW + b"k")
    outcome = page(cluster, ONE)
    cluster.run()
    assert len(only(outcome).rows) == 1
    assert cluster.count(MessageType.READ_PAGE) == 1


def test_pages_are_bounded_in_flight_and_refused_without_a_keyspace() -> None:
    cluster = Cluster()
    cluster.nodes[0].coordinator.in_flight_max = 0
    assert isinstance(page(cluster)[0], Overloaded)
    cluster.nodes[0].coordinator.in_flight_max = 1
    cluster.nodes[0].schema.keyspaces = {}
    assert isinstance(page(cluster)[0], UnknownTable)


def test_a_walk_ends_when_its_taker_has_enough() -> None:
    cluster = Cluster()
    for first in range(10):
        cluster.nodes[0].put(b"v", ALL, key=bytes((65 + first,)))
    cluster.run()
    pages: list[MergedPage] = []
    ends: list[AnelError | None] = []

    def on_page(found: MergedPage) -> bool:
        pages.append(found)
        return len(pages) < 2

    extent = Extent(START, END, backward=False, records_max=3)
    cluster.nodes[0].coordinator.walk(TABLE, ALL, extent, on_page=on_page, done=ends.append)
    cluster.run()
    assert len(pages) == 2
    assert ends == [None]


def test_a_closed_walk_tells_nothing_more() -> None:
    cluster = Cluster()
    ends: list[AnelError | None] = []
    walking = cluster.nodes[0].coordinator.walk(
        TABLE, ALL, whole(TABLE.id), on_page=lambda _: True, done=ends.append
    )
    walking.close()
    cluster.run()
    walking = cluster.nodes[0].coordinator.walk(
        TABLE, ALL, whole(TABLE.id), on_page=lambda _: True, done=ends.append
    )
    cluster.posted.popleft()()
    walking.close()
    cluster.run()
    assert ends == []


def test_a_walk_ends_with_the_failure_of_a_page() -> None:
    cluster = Cluster()
    cluster.dead = [1]
    ends: list[AnelError | None] = []
    cluster.nodes[0].coordinator.walk(
        TABLE, ALL, whole(TABLE.id), on_page=lambda _: True, done=ends.append
    )
    cluster.run()
    assert isinstance(ends[0], AnelError)


placed = st.lists(
    st.tuples(
        st.integers(0, 5),  # partition
        st.integers(0, 3),  # clustering
        st.integers(0, 2),  # node
        st.integers(0, 3),  # timestamp
        st.sampled_from(["row", "partition", "range"]),
    ),
    max_size=24,
)


@given(placed, st.integers(1, 4), st.booleans())
def test_a_walk_at_all_shows_exactly_the_union_of_the_replicas(
    changes: list[tuple[int, int, int, int, str]],
    records_max: int,
    backward: bool,  # noqa: FBT001
) -> None:
    cluster = Cluster()
    rows: dict[tuple[bytes, bytes], int] = {}
    covers: list[tuple[bytes, bytes, bytes, int]] = []
    for partition, clustering, node, stamp, what in changes:
        key, name, timestamp = b"p%d" % partition, b"%d" % clustering, START_US + stamp
        if what == "row":
            cluster.nodes[node].plant(b"v", timestamp, key=key, sub=ROW + name)
            rows[key, name] = max(rows.get((key, name), 0), timestamp)
        elif what == "partition":
            delete(cluster, node, key, PARTITION_DELETION, timestamp)
            covers.append((key, b"", b"\xff", timestamp))
        else:
            sub = range_deletion_sub(name, b"%d" % (clustering + 2))
            delete(cluster, node, key, sub, timestamp)
            covers.append((key, name, b"%d" % (clustering + 2), timestamp))
    live = [
        key + ROW + name
        for (key, name), stamp in sorted(rows.items())
        if not any(k == key and s <= name < e and stamp <= t for k, s, e, t in covers)
    ]
    found = walk(cluster, backward=backward, records_max=records_max)
    assert live_keys(found) == (live[::-1] if backward else live)
    assert len(found) == len(rows)
    assert all(row.decode(value) for _, value in found)
    # And now every replica holds the union: a walk at ONE shows the same.
    assert live_keys(walk(cluster, ONE)) == live
