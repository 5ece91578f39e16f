"""How a Redis key lies in its table: places, rows, expiry."""

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from anel.data import row
from anel.data.clustering import encode_bytes
from anel.data.mutation import ROW, one_row
from anel.doors.resp.layout import (
    EXPIRY,
    KEY_AND_TAG_BYTES_MAX,
    TYPE,
    VALUE,
    Head,
    deletion_row,
    expiring_row,
    head_key,
    head_of,
    key_of,
    later_expiry_row,
    place,
    plain_value,
    string_mutation,
    string_row,
    tag_of,
)
from anel.errors import CorruptData, InvalidRequest

TABLE = b"T" * 16
NEVER_MS = 1 << 62


@pytest.mark.parametrize(
    ("key", "tag"),
    [
        (b"a", b"a"),
        (b"{t}a", b"t"),
        (b"a{t}b{u}", b"t"),
        (b"{}a", b"{}a"),
        (b"{t", b"{t"),
        (b"}{t}", b"t"),
        (b"{{t}}", b"{t"),
        (b"", b""),
    ],
)
def test_a_tag_is_what_stands_in_the_first_braces(key: bytes, tag: bytes) -> None:
    assert tag_of(key) == tag


keys = st.one_of(st.binary(max_size=40), st.text("a{}\0", max_size=8).map(str.encode))


@given(keys)
def test_a_key_is_found_again_in_its_store_key(key: bytes) -> None:
    prefix, sub = place(TABLE, key)
    assert key_of(prefix + sub) == key
    assert prefix.endswith(tag_of(key))


@given(keys, keys)
def test_keys_of_one_tag_share_a_prefix_and_no_sub(one: bytes, other: bytes) -> None:
    first, second = place(TABLE, b"{t}" + one), place(TABLE, b"{t}" + other)
    assert first[0] == second[0]
    assert (first[1] == second[1]) == (one == other)


@given(keys, st.binary(min_size=1))
def test_an_elements_row_is_no_key(key: bytes, element: bytes) -> None:
    prefix, _ = place(TABLE, key)
    assert key_of(prefix + ROW + encode_bytes(key) + encode_bytes(element)) is None


@given(st.one_of(st.binary(max_size=40), st.binary(min_size=1000, max_size=1100)), st.binary())
@example(b"{tag}key", b"value")
@example(b"zero\0byte", b"value")
def test_the_quick_ways_to_a_key_and_its_mutation_agree_with_place(
    key: bytes, value: bytes
) -> None:
    prefix, sub = place(TABLE, key)
    assert head_key(TABLE, key) == prefix + sub
    slow = one_row(77, prefix, sub, string_row(value, 77))
    assert string_mutation(TABLE, key, value, 77) == slow


def test_a_key_that_cannot_be_stored_is_refused() -> None:
    longest = b"k" * (KEY_AND_TAG_BYTES_MAX // 2)
    prefix, sub = place(TABLE, longest)
    assert len(prefix + sub) <= 65_535
    for key in (longest + b"k", b"{t}" + bytes(KEY_AND_TAG_BYTES_MAX // 2 + 1)):
        with pytest.raises(InvalidRequest):
            place(TABLE, key)


@given(st.binary(), st.integers(1, 1 << 50))
def test_rows_packed_at_once_are_canonical(value: bytes, timestamp: int) -> None:
    plain = [row.cell(TYPE, b"\0", timestamp), row.cell(VALUE, value, timestamp)]
    assert string_row(value, timestamp) == row.encode(plain)
    expiry = row.cell(EXPIRY, (99).to_bytes(8, "big"), timestamp)
    assert expiring_row(value, timestamp, 99) == row.encode([*plain, expiry])
    deletion = row.row_deletion(timestamp, timestamp)
    assert deletion_row(timestamp) == row.encode([deletion])


@given(st.binary())
def test_a_string_is_read_back(value: bytes) -> None:
    raw = string_row(value, 5)
    assert plain_value(raw) == value
    assert head_of(raw, 0) == Head(0, value, 5, None)


@given(st.binary())
def test_an_expiring_string_is_read_back_until_then(value: bytes) -> None:
    raw = expiring_row(value, 5, 1000)
    assert plain_value(raw) is None
    assert head_of(raw, 999) == Head(0, value, 5, 1000)
    assert head_of(raw, 1000) is None


def test_the_quick_way_to_read_an_expiring_string_agrees_with_the_careful_one() -> None:
    raw = expiring_row(b"v", 5, 1000)
    changed = row.merge(raw, row.encode([row.cell(b"zzz", b"", 5)]))
    assert head_of(changed, 0) == head_of(raw, 0)


def test_a_new_value_is_not_ended_by_the_old_ones_expiry() -> None:
    raw = row.merge(expiring_row(b"old", 5, 1000), string_row(b"new", 6))
    assert head_of(raw, NEVER_MS) == Head(0, b"new", 6, None)


def test_expire_ends_the_value_it_means_and_no_other() -> None:
    ended = row.merge(string_row(b"v", 5), later_expiry_row(5, 9, 1000))
    assert head_of(ended, 999) == Head(0, b"v", 5, 1000)
    assert head_of(ended, 1000) is None
    assert head_of(row.merge(ended, string_row(b"w", 7)), NEVER_MS) == Head(0, b"w", 7, None)


def test_expire_does_not_undo_the_expiry_of_a_set_it_did_not_see() -> None:
    raw = row.merge(string_row(b"v", 5), expiring_row(b"w", 7, 500))
    late = row.merge(raw, later_expiry_row(5, 9, 1000))
    assert head_of(late, 0) == Head(0, b"w", 7, 500)


def test_the_later_expire_wins() -> None:
    raw = row.merge(expiring_row(b"v", 5, 500), later_expiry_row(5, 8, 700))
    assert head_of(raw, 0) == Head(0, b"v", 5, 700)
    assert head_of(row.merge(raw, later_expiry_row(5, 9, 600)), 0) == Head(0, b"v", 5, 600)


def test_a_restamped_row_keeps_its_expiry() -> None:
    raw = row.merge(string_row(b"x", 4), row.restamp(expiring_row(b"v", 5, 1000), 9))
    assert head_of(raw, 0) == Head(0, b"v", 9, 1000)


def test_a_deleted_key_is_not_there_whatever_expiry_remains() -> None:
    gone = row.merge(string_row(b"v", 5), deletion_row(6))
    assert head_of(gone, 0) is None
    assert head_of(row.merge(gone, later_expiry_row(5, 9, NEVER_MS)), 0) is None


def test_an_expiry_of_the_wrong_size_is_damage() -> None:
    raw = row.encode([row.cell(TYPE, b"\0", 5), row.cell(EXPIRY, b"12", 5)])
    with pytest.raises(CorruptData):
        head_of(raw, 0)


@given(st.binary(max_size=40))
def test_any_bytes_are_a_head_or_damage(raw: bytes) -> None:
    with suppress(CorruptData):
        head_of(raw, 0)
