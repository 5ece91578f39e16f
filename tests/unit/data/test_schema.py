"""The schema: what two nodes know merges into the same, in any order, and drops hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anel.data import schema_state
from anel.data.schema import (
    RANK_CHOSEN,
    REDIS_TABLE_ID,
    Column,
    KeyspaceDefinition,
    Schema,
    Stamp,
    TableDefinition,
    decode,
    encode,
    redis_keyspace,
    redis_schema,
)
from anel.data.schema_state import KeyspaceState, TableState, table_id
from anel.errors import (
    AlreadyExists,
    CorruptData,
    InvalidRequest,
    RequestRefused,
    UnknownFormat,
    UnknownTable,
)
from anel.limits import KEYSPACES_MAX, NODES_MAX, SCHEMA_NAMES_MAX, TABLES_MAX
from tests.unit.data.planted import assert_fails

SMALL = st.integers(0, 3)
DROPS = st.integers(0, 1)
STAMPS = st.builds(Stamp, SMALL, st.sampled_from([b"a", b"b"]))
TABLES = st.builds(
    TableState,
    DROPS,
    st.none() | st.tuples(STAMPS, st.builds(TableDefinition, st.just(()), st.booleans())),
    SMALL,
)
KEYSPACES = st.builds(
    KeyspaceState,
    DROPS,
    st.none() | st.tuples(STAMPS, st.builds(KeyspaceDefinition, SMALL, st.booleans())),
    st.none() | st.tuples(STAMPS, SMALL),
    st.none() | st.tuples(STAMPS, st.booleans()),
    st.fixed_dictionaries({}, optional={"t": TABLES}),
    st.lists(st.sampled_from([b"1", b"2"]), unique=True).map(lambda ids: tuple(sorted(ids))),
)
SCHEMAS = st.builds(Schema, st.fixed_dictionaries({"k": KEYSPACES}))

PLAIN = TableDefinition((Column("k", "blob", "partition"),))
SERIAL = TableDefinition((Column("k", "blob", "partition"),), serial=True)


@given(SCHEMAS, SCHEMAS)
def test_merging_is_commutative(one: Schema, other: Schema) -> None:
    assert encode(one.merge(other)) == encode(other.merge(one))


@given(SCHEMAS, SCHEMAS, SCHEMAS)
def test_merging_is_associative(one: Schema, two: Schema, three: Schema) -> None:
    assert one.merge(two).merge(three) == one.merge(two.merge(three))


@given(SCHEMAS, SCHEMAS)
def test_merging_is_idempotent(one: Schema, other: Schema) -> None:
    merged = one.merge(other)
    assert merged.merge(other) == merged == merged.merge(merged)


def test_the_laws_catch_a_creation_that_the_later_message_wins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(schema_state, "_first_creation", lambda one, other: one or other)
    assert_fails(test_merging_is_commutative, SCHEMAS, SCHEMAS)


def test_the_laws_catch_a_drop_that_forgets_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    def only_the_last(name: str, state: KeyspaceState) -> list[bytes]:
        return [
            table_id(name, state.drops, table, known.drops)
            for table, known in state.tables.items()
        ]

    monkeypatch.setattr(schema_state, "ids_of", only_the_last)
    assert_fails(test_merging_is_associative, SCHEMAS, SCHEMAS, SCHEMAS)


@given(SCHEMAS)
def test_a_schema_survives_its_bytes(schema: Schema) -> None:
    assert decode(encode(schema)) == schema
    assert decode(encode(schema)).digest() == schema.digest()


@given(SCHEMAS, SCHEMAS)
def test_digests_are_equal_exactly_when_schemas_are(one: Schema, other: Schema) -> None:
    assert (one.digest() == other.digest()) == (encode(one) == encode(other))


CHANGES = st.lists(
    st.tuples(
        st.integers(0, 1),  # Which of two nodes takes it.
        st.sampled_from(["create", "alter", "drop", "table", "untable", "truncate", "talk"]),
        st.sampled_from(["k", "l"]),
        st.integers(1, 3),
    ),
    max_size=30,
)


def changed(schema: Schema, change: tuple[int, str, str, int], stamp: Stamp) -> Schema:
    _, what, name, value = change
    match what:
        case "create":
            return schema.create_keyspace(name, KeyspaceDefinition(value), stamp)
        case "alter":
            return schema.alter_keyspace(name, stamp, replication_factor=value)
        case "drop":
            return schema.drop_keyspace(name)
        case "table":
            return schema.create_table(name, f"t{value}", PLAIN, stamp)
        case "untable":
            return schema.drop_table(name, f"t{value}")
        case _:
            keyspace = schema.keyspace(name)
            for table in () if keyspace is None else keyspace.tables:
                schema = schema.truncated(table, stamp.at)
            return schema


@given(CHANGES)
def test_two_nodes_that_change_and_talk_end_alike_and_reuse_no_table_id(
    changes: list[tuple[int, str, str, int]],
) -> None:
    books = [Schema(), Schema()]
    gone: set[bytes] = set()
    for at, change in enumerate(changes, 1):
        taker = change[0]
        if change[1] == "talk":
            books[taker] = books[taker].merge(books[1 - taker])
        else:
            try:
                books[taker] = changed(books[taker], change, Stamp(at, bytes([taker])))
            except RequestRefused:
                continue
        dropped = set(books[taker].dropped_tables())
        living = {
            table.id for keyspace in books[taker].keyspaces() for table in keyspace.tables
        }
        assert dropped >= {name for name in gone if name in dropped}
        assert not dropped & living
        gone |= dropped
    one, other = books[0].merge(books[1]), books[1].merge(books[0])
    assert encode(one) == encode(other)
    assert gone <= set(one.dropped_tables())


def made(name: str = "k", factor: int = 1, at: int = 1, node: bytes = b"a") -> Schema:
    return Schema().create_keyspace(name, KeyspaceDefinition(factor), Stamp(at, node))


def factor_of(schema: Schema, name: str = "k") -> int:
    keyspace = schema.keyspace(name)
    assert keyspace is not None
    return keyspace.replication_factor


def test_of_two_creations_the_first_wins() -> None:
    assert factor_of(made(factor=1, at=5).merge(made(factor=2, at=4))) == 2
    assert factor_of(made(factor=1, at=5).merge(made(factor=2, at=5, node=b"b"))) == 1


def test_of_two_alterations_the_last_wins() -> None:
    first = made()
    one = first.alter_keyspace("k", Stamp(7, b"a"), replication_factor=2)
    other = first.alter_keyspace("k", Stamp(8, b"a"), replication_factor=3)
    assert factor_of(one.merge(other)) == 3


def test_alterations_of_different_settings_both_hold() -> None:
    first = made()
    one = first.alter_keyspace("k", Stamp(7, b"a"), replication_factor=2)
    other = first.alter_keyspace("k", Stamp(8, b"b"), first_copy=True)
    keyspace = one.merge(other).keyspace("k")
    assert keyspace is not None
    assert (keyspace.replication_factor, keyspace.first_copy) == (2, True)


def test_a_drop_beats_a_concurrent_alteration() -> None:
    altered = made().alter_keyspace("k", Stamp(9, b"b"), replication_factor=2)
    assert made().drop_keyspace("k").merge(altered).keyspace("k") is None


def test_a_table_made_while_its_keyspace_was_dropped_elsewhere_is_gone() -> None:
    with_table = made().create_table("k", "t", PLAIN, Stamp(2, b"a"))
    keyspace = with_table.keyspace("k")
    assert keyspace is not None
    merged = made().drop_keyspace("k").merge(with_table)
    assert merged.keyspace("k") is None
    assert keyspace.tables[0].id in merged.dropped_tables()


def test_of_two_different_tables_the_first_made_wins() -> None:
    one = made().create_table("k", "t", PLAIN, Stamp(3, b"a"))
    other = made().create_table("k", "t", SERIAL, Stamp(2, b"b"))
    keyspace = one.merge(other).keyspace("k")
    assert keyspace is not None
    table = keyspace.table("t")
    assert table is not None
    assert table.serial
    assert keyspace.table("none") is None


def test_a_table_made_again_has_another_id_and_was_never_truncated() -> None:
    first = made().create_table("k", "t", PLAIN, Stamp(2, b"a"))
    keyspace = first.keyspace("k")
    assert keyspace is not None
    old = keyspace.tables[0]
    again = first.truncated(old, 9).drop_table("k", "t")
    again = again.create_table("k", "t", PLAIN, Stamp(3, b"a"))
    new = again.keyspace("k")
    assert new is not None
    assert new.tables[0].id != old.id
    assert new.tables[0].truncated_at == 0
    assert again.truncated(old, 99) == again


def test_the_latest_truncation_holds() -> None:
    schema = redis_schema(1)
    table = redis_keyspace(1).tables[0]
    one, other = schema.truncated(table, 5), schema.truncated(table, 7)
    keyspace = one.merge(other).truncated(table, 6).keyspace("redis")
    assert keyspace is not None
    assert keyspace.tables[0].truncated_at == 7


def test_the_redis_keyspace_is_as_documented() -> None:
    keyspace = redis_keyspace(3)
    assert (keyspace.name, keyspace.replication_factor) == ("redis", 3)
    table = keyspace.table("data")
    assert table is not None
    assert table.id == REDIS_TABLE_ID
    assert table.serial
    assert [(column.name, column.type, column.kind) for column in table.columns] == [
        ("tag", "blob", "partition"),
        ("key", "blob", "clustering"),
        ("element", "blob", "clustering"),
        ("type", "tinyint", "regular"),
        ("value", "blob", "regular"),
    ]


def test_the_id_of_the_redis_table_never_changes() -> None:
    assert REDIS_TABLE_ID.hex() == "9dc5d665bddd4716fbcad7f2a11b3a87"


def test_the_factor_of_redis_follows_epochs_then_the_configuration_then_an_alter() -> None:
    schema = redis_schema(1, 1).merge(redis_schema(3, 3)).merge(redis_schema(2, 2))
    assert factor_of(schema, "redis") == 3
    schema = schema.merge(redis_schema(2, RANK_CHOSEN))
    assert factor_of(schema, "redis") == 2
    clock = 1_600_000_000_000_000
    schema = schema.alter_keyspace("redis", Stamp(clock, b""), replication_factor=1)
    assert factor_of(schema.merge(redis_schema(4, 4)), "redis") == 1


@pytest.mark.parametrize("name", ["", "1k", "k-1", "k k", "é", "k" * 49, "k\n"])
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match="is no name"):
        made(name)
    with pytest.raises(InvalidRequest, match="is no name"):
        made().create_table("k", name, PLAIN, Stamp(1, b""))


@pytest.mark.parametrize("factor", [0, -1, NODES_MAX + 1])
def test_a_replication_factor_that_no_ring_can_have_is_refused(factor: int) -> None:
    with pytest.raises(InvalidRequest, match="replication must be"):
        made(factor=factor)
    with pytest.raises(InvalidRequest, match="replication must be"):
        made().alter_keyspace("k", Stamp(1, b""), replication_factor=factor)


def test_names_of_the_system_are_kept() -> None:
    with pytest.raises(InvalidRequest, match="system"):
        made("system_x")


def test_what_exists_cannot_be_made() -> None:
    with pytest.raises(AlreadyExists):
        made().create_keyspace("k", KeyspaceDefinition(1), Stamp(1, b""))
    with pytest.raises(AlreadyExists):
        redis_schema(1).create_table("redis", "data", PLAIN, Stamp(1, b""))


def test_the_redis_keyspace_stays() -> None:
    with pytest.raises(InvalidRequest):
        redis_schema(1).drop_keyspace("redis")
    with pytest.raises(InvalidRequest):
        redis_schema(1).drop_table("redis", "data")


def test_what_does_not_exist_cannot_be_changed() -> None:
    schema = made().drop_keyspace("k")
    with pytest.raises(UnknownTable):
        schema.drop_keyspace("k")
    with pytest.raises(UnknownTable):
        schema.alter_keyspace("none", Stamp(1, b""), first_copy=True)
    with pytest.raises(UnknownTable):
        made().drop_table("k", "t")


def test_the_number_of_keyspaces_is_bounded() -> None:
    schema = Schema({f"k{n}": made().states["k"] for n in range(KEYSPACES_MAX)})
    with pytest.raises(InvalidRequest, match="keyspaces"):
        schema.create_keyspace("one_more", KeyspaceDefinition(1), Stamp(1, b""))


def test_the_number_of_tables_is_bounded() -> None:
    table = TableState(creation=(Stamp(1, b""), PLAIN))
    creation = (Stamp(1, b""), KeyspaceDefinition(1))
    tables = {f"t{n}": table for n in range(TABLES_MAX)}
    state = KeyspaceState(creation=creation, tables=tables)
    with pytest.raises(InvalidRequest, match="tables"):
        Schema({"k": state}).create_table("k", "one_more", PLAIN, Stamp(1, b""))


def test_the_number_of_names_ever_used_is_bounded_but_used_ones_may_come_back() -> None:
    dead = KeyspaceState(drops=1)
    schema = Schema({f"k{n}": dead for n in range(SCHEMA_NAMES_MAX)})
    with pytest.raises(InvalidRequest, match="use a name again"):
        schema.create_keyspace("one_more", KeyspaceDefinition(1), Stamp(1, b""))
    assert schema.create_keyspace("k7", KeyspaceDefinition(1), Stamp(1, b"")).keyspace("k7")


def test_unknown_formats_and_broken_bytes_are_refused() -> None:
    with pytest.raises(UnknownFormat, match="format 9 is unknown"):
        decode(b"\x09")
    with pytest.raises(UnknownFormat):
        decode(b"")
    with pytest.raises(CorruptData):
        decode(encode(redis_schema(1))[:-1])
