"""Rows: reconciling keeps the laws on bytes, and readers see what the rules say."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import pairwise, permutations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from anel.data import row
from anel.data.row import Entry, Kind
from anel.errors import CorruptData
from tests.unit.data.planted import assert_fails

STAMPS = st.integers(-2, 3)
ISSUED = st.integers(1, 4)
NAMES = st.sampled_from([b"", b"a", b"b"])
PATHS = st.sampled_from([b"", b"1"])
VALUES = st.sampled_from([b"", b"x", b"y"])
EXPIRIES = st.integers(1, 3)


def entries_of(kind: Kind, **fields: st.SearchStrategy[object]) -> st.SearchStrategy[Entry]:
    """Draw entries of a kind; the fields not given are empty or 0, as they must be."""
    drawn = {"name": st.just(b""), "path": st.just(b""), "timestamp": STAMPS, **fields}
    return st.fixed_dictionaries(drawn).map(lambda given: Entry(kind, **given))  # type: ignore[arg-type]


TIMES = {"expiry_ms": EXPIRIES, "ttl_s": EXPIRIES, "issued": ISSUED}
CELLS = entries_of(Kind.CELL, name=NAMES, path=PATHS, value=VALUES)
EXPIRING = entries_of(Kind.EXPIRING, name=NAMES, path=PATHS, value=VALUES, **TIMES)
TOMBSTONES = st.builds(row.tombstone, NAMES, STAMPS, ISSUED, PATHS)
COLLECTIONS = entries_of(Kind.COLLECTION_DELETION, name=NAMES, issued=ISSUED)
LIVENESS = st.builds(row.liveness, STAMPS)
EXPIRING_LIVENESS = entries_of(Kind.EXPIRING_LIVENESS, **TIMES)
DELETIONS = st.builds(row.row_deletion, STAMPS, ISSUED)
ENTRIES = st.lists(
    st.one_of(CELLS, EXPIRING, TOMBSTONES, COLLECTIONS, LIVENESS, EXPIRING_LIVENESS, DELETIONS),
    max_size=7,
    unique_by=lambda entry: entry.slot,
)
SIMPLE = st.builds(
    lambda at, one, two: row.encode([row.cell(b"a", one, at), row.cell(b"b", two, at)]),
    STAMPS,
    VALUES,
    VALUES,
)
ROWS = st.one_of(ENTRIES.map(row.encode), SIMPLE)


def by_the_rules(*rows: bytes) -> bytes:
    """Reconcile slot by slot, taking the entry of the greatest rank: the definition."""
    best: dict[tuple[bytes, int, bytes], Entry] = {}
    for entry in (entry for one in rows for entry in row.decode(one)):
        if entry.slot not in best or entry.rank > best[entry.slot].rank:
            best[entry.slot] = entry
    return row.encode(best.values())


@given(ROWS, ROWS)
def test_merging_is_what_the_rules_say(one: bytes, other: bytes) -> None:
    assert row.merge(one, other) == by_the_rules(one, other)


@given(ROWS, ROWS)
def test_merging_is_commutative(one: bytes, other: bytes) -> None:
    assert row.merge(one, other) == row.merge(other, one)


@given(ROWS, ROWS, ROWS)
def test_merging_is_associative(one: bytes, two: bytes, three: bytes) -> None:
    assert row.merge(row.merge(one, two), three) == row.merge(one, row.merge(two, three))


@given(ROWS, ROWS)
def test_merging_is_idempotent(one: bytes, other: bytes) -> None:
    merged = row.merge(one, other)
    assert row.merge(merged, other) == merged == row.merge(merged, one)


@given(SIMPLE, SIMPLE)
def test_the_fast_path_of_simple_rows_is_the_slow_one(one: bytes, other: bytes) -> None:
    assert row.merge(one, other) == by_the_rules(one, other)


def test_the_laws_catch_a_deletion_that_removes_what_it_covers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    merge = row.merge

    def hasty(old: bytes, new: bytes) -> bytes:
        entries = row.decode(merge(old, new))
        if entries and entries[0].kind is Kind.ROW_DELETION:
            entries = [entry for entry in entries if not entry.timestamp < entries[0].timestamp]
        return row.encode(entries)

    monkeypatch.setattr(row, "merge", hasty)
    assert_fails(test_merging_is_what_the_rules_say, ROWS, ROWS)


def test_the_laws_catch_a_fast_path_that_ignores_equal_stamps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = row.merge

    def hasty(old: bytes, new: bytes) -> bytes:
        if old and new and row._same_simple_shape(old, new):
            return new if new[2:10] >= old[2:10] else old
        return slow(old, new)

    monkeypatch.setattr(row, "merge", hasty)
    assert_fails(test_merging_is_commutative, ROWS, ROWS)


@given(ENTRIES)
def test_entries_survive_their_bytes(entries: list[Entry]) -> None:
    ordered = sorted(entries, key=lambda entry: entry.slot)
    assert row.decode(row.encode(entries)) == ordered
    assert row.encode(reversed(entries)) == row.encode(entries)


@given(ROWS)
def test_bytes_survive_their_entries(data: bytes) -> None:
    assert row.encode(row.decode(data)) == data


def test_a_tombstone_beats_an_expiring_cell_beats_a_plain_one() -> None:
    plain = row.encode([row.cell(b"a", b"z", 5)])
    expiring = row.encode([Entry(Kind.EXPIRING, b"a", b"", 5, b"a", 9, 9, 5)])
    dead = row.encode([row.tombstone(b"a", 5, 5)])
    for order in permutations([plain, expiring, dead]):
        assert row.merge(row.merge(order[0], order[1]), order[2]) == dead
    assert row.merge(plain, expiring) == expiring == row.merge(expiring, plain)
    later = row.encode([row.cell(b"a", b"", 6)])
    assert row.merge(dead, later) == later


def test_of_equal_records_the_greater_expiry_then_value_then_issued_wins() -> None:
    entries = [
        Entry(Kind.EXPIRING, b"a", b"", 5, b"x", 8, 3, 5),
        Entry(Kind.EXPIRING, b"a", b"", 5, b"x", 8, 3, 6),
        Entry(Kind.EXPIRING, b"a", b"", 5, b"y", 8, 3, 5),
        Entry(Kind.EXPIRING, b"a", b"", 5, b"a", 9, 3, 5),
    ]
    rows = [row.encode([entry]) for entry in entries]
    for lower, higher in pairwise(rows):
        assert row.merge(lower, higher) == higher == row.merge(higher, lower)


# Restamping.


@given(ROWS, st.integers(-5, 50))
def test_restamping_shifts_every_timestamp_alike(data: bytes, timestamp: int) -> None:
    assume(data)
    shift = timestamp - row.stamp_of(data)
    moved = row.restamp(data, timestamp)
    assert row.stamp_of(moved) == timestamp
    for before, after in zip(row.decode(data), row.decode(moved), strict=True):
        assert after.timestamp == before.timestamp + shift
        has_issued = before.kind not in {Kind.CELL, Kind.LIVENESS}
        assume(before.issued + shift != 0)
        assert after.issued == (before.issued + shift if has_issued else 0)
        assert after[:3] == before[:3]
        assert after[4:7] == before[4:7]
    assert row.encode(row.decode(moved)) == moved


# What hides a new row.


def covers(deletion: Entry, other: Entry) -> bool:
    if deletion.kind is Kind.ROW_DELETION:
        return other.kind is not Kind.ROW_DELETION
    is_cell = other.kind in {Kind.CELL, Kind.EXPIRING, Kind.TOMBSTONE}
    return deletion.kind is Kind.COLLECTION_DELETION and deletion.name == other.name and is_cell


def hides(old: Entry, new: Entry) -> bool:
    if old.slot == new.slot:
        return old.rank > new.rank
    if covers(old, new):
        return old.timestamp >= new.timestamp
    return covers(new, old) and old.timestamp > new.timestamp


def hiding_by_the_rules(old: bytes, new: bytes) -> int | None:
    pairs = [(theirs, ours) for theirs in row.decode(old) for ours in row.decode(new)]
    return max(
        (theirs.timestamp for theirs, ours in pairs if hides(theirs, ours)), default=None
    )


@given(ROWS, ROWS)
def test_what_hides_a_new_row_is_what_the_rules_say(old: bytes, new: bytes) -> None:
    assume(new)
    expected = None if old == new else hiding_by_the_rules(old, new)
    assert row.dominant(old, new) == expected


@given(ROWS, ROWS)
def test_a_row_issued_again_above_what_hides_it_is_not_hidden(old: bytes, new: bytes) -> None:
    assume(new)
    least = min(entry.timestamp for entry in row.decode(new))
    again = row.restamp(new, 50 + row.stamp_of(new) - least)
    assert row.dominant(old, again) is None


def test_the_comparison_catches_a_deletion_that_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(row, "_areas_over", lambda _: ())
    assert_fails(test_what_hides_a_new_row_is_what_the_rules_say, ROWS, ROWS)


# Reading.


def seen_by_the_rules(
    entries: Sequence[Entry], now_ms: int, covered_to: int | None
) -> row.LiveRow:
    def is_covered(entry: Entry) -> bool:
        if covered_to is not None and entry.timestamp <= covered_to:
            return True
        return any(
            covers(other, entry) and other.timestamp >= entry.timestamp for other in entries
        )

    def lives(entry: Entry) -> bool:
        has_expired = entry.expiry_ms != 0 and entry.expiry_ms <= now_ms
        return not has_expired and not is_covered(entry)

    markers = {Kind.LIVENESS, Kind.EXPIRING_LIVENESS}
    cells = {
        (entry.name, entry.path): entry
        for entry in entries
        if entry.kind in {Kind.CELL, Kind.EXPIRING} and lives(entry)
    }
    exists = bool(cells) or any(entry.kind in markers and lives(entry) for entry in entries)
    return row.LiveRow(exists, cells)


@given(ROWS, st.integers(0, 4), st.none() | STAMPS)
def test_readers_see_what_the_rules_say(
    data: bytes, now_ms: int, covered_to: int | None
) -> None:
    entries = row.decode(data)
    assert row.live(entries, now_ms, covered_to) == seen_by_the_rules(
        entries, now_ms, covered_to
    )


def test_a_cell_expires_in_its_millisecond() -> None:
    data = row.encode([Entry(Kind.EXPIRING, b"a", b"", 1, b"v", 2, 2, 1)])
    assert row.live(row.decode(data), 1).exists
    assert not row.live(row.decode(data), 2).exists


def microseconds(minute: int) -> int:
    return int(datetime(2020, 2, 2, 13, minute, tzinfo=UTC).timestamp()) * 1_000_000


JOSE = (
    ("José", b"Nome", microseconds(45)),
    ("30", b"Idade", microseconds(45)),
    ("33", b"Idade", microseconds(50)),
    ("333444554433", b"Telefone", microseconds(55)),
)


@pytest.mark.parametrize("order", list(permutations(JOSE)))
def test_a_person_written_in_pieces_reads_the_same_in_every_order_of_arrival(
    order: Iterable[tuple[str, bytes, int]],
) -> None:
    stored = b""
    for value, name, timestamp in order:
        stored = row.merge(stored, row.encode([row.cell(name, value.encode(), timestamp)]))
    cells = row.live(row.decode(stored), 0).cells
    assert {name: cells[name, b""].value.decode() for name, _ in cells} == {
        b"Nome": "José",
        b"Idade": "33",
        b"Telefone": "333444554433",
    }


# Rows of one fixed shape, as doors write them.


def test_a_simple_row_is_written_and_read_by_its_shape() -> None:
    entries = [row.cell(b"a", b"1", 7), row.cell(b"b", b"", 7, b"path")]
    data = row.encode(entries)
    shape = row.shape_of(data)
    assert row.simple_row(shape, 7, [b"1", b""]) == data
    assert row.is_simple_of(data, shape)
    assert row.simple_values(data, len(shape)) == [b"1", b""]


@pytest.mark.parametrize(
    "other",
    [
        row.encode([row.cell(b"a", b"1", 7)]),
        row.encode([row.cell(b"a", b"1", 7), row.cell(b"c", b"", 7)]),
        row.encode([row.cell(b"a", b"1", 7), row.cell(b"b", b"", 6)]),
        row.encode([row.cell(b"a", b"1", 7), row.tombstone(b"b", 7, 7)]),
    ],
)
def test_a_row_of_another_shape_is_not_taken_for_a_simple_one(other: bytes) -> None:
    shape = row.shape_of(row.encode([row.cell(b"a", b"1", 7), row.cell(b"b", b"", 7)]))
    assert not row.is_simple_of(other, shape)


# Damage.


def test_nothing_is_no_row() -> None:
    assert row.encode([]) == b""
    assert row.decode(b"") == []
    data = row.encode([row.liveness(1)])
    assert row.merge(b"", data) == data == row.merge(data, b"")
    assert row.dominant(b"", data) is None


def test_an_unknown_format_is_refused() -> None:
    data = row.encode([row.liveness(1)])
    with pytest.raises(CorruptData, match="row format 2 is unknown"):
        row.decode(b"\x02" + data[1:])


@given(ROWS, st.data())
def test_a_cut_row_is_refused(data: bytes, draw: st.DataObject) -> None:
    assume(len(data) > 1)
    size = draw.draw(st.integers(1, len(data) - 1))
    with pytest.raises(CorruptData):
        row.decode(data[:size])


@given(ROWS, st.data())
def test_any_bytes_are_a_row_or_refused(data: bytes, draw: st.DataObject) -> None:
    assume(data)
    at = draw.draw(st.integers(0, len(data) - 1))
    byte = draw.draw(st.integers(0, 255))
    broken = data[:at] + bytes([byte]) + data[at + 1 :]
    try:
        row.decode(broken)
    except CorruptData:
        return
