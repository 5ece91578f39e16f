"""Keyspaces and tables: how copies are placed, what the columns are, what was dropped.

A `Schema` is one node's immutable knowledge; two nodes merge theirs and know the same
(CORRECTNESS 13; the laws are `anel.data.schema_state`'s). Every change gives a new schema.
`Keyspace` and `Table` are what the rest of the node reads: the winning definitions.
"""

import re
from hashlib import blake2b

import msgspec

from anel.data.schema_state import (
    Column,
    KeyspaceDefinition,
    KeyspaceState,
    Stamp,
    TableDefinition,
    TableState,
    ids_of,
    merge_keyspaces,
    table_id,
)
from anel.errors import (
    AlreadyExists,
    CorruptData,
    InvalidRequest,
    UnknownFormat,
    UnknownTable,
)
from anel.limits import KEYSPACES_MAX, NODES_MAX, SCHEMA_NAMES_MAX, TABLES_MAX

__all__ = [
    "Column",
    "Keyspace",
    "KeyspaceDefinition",
    "Schema",
    "Stamp",
    "Table",
    "TableDefinition",
    "decode",
    "encode",
    "redis_keyspace",
    "redis_schema",
]

FORMAT = 1  # On disk and between nodes since format 1: never renumber.
REDIS = "redis"
REDIS_TABLE = "data"
REDIS_TABLE_ID = table_id(REDIS, 0, REDIS_TABLE, 0)
RANK_CHOSEN = 1 << 40  # Above every epoch, below every clock: see `redis_schema`.

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,47}", re.ASCII)


class Table(msgspec.Struct, frozen=True):
    """A table as it is now.

    Attributes:
        id: 16 bytes; a table dropped and created again has another.
        keyspace: Its keyspace's name.
        name: Its name.
        columns: Declared columns, key columns first, in key order.
        serial: Every write is conditional (CORRECTNESS 15).
        truncated_at: Mutations issued at or before this are void (CORRECTNESS 12); 0: never.
    """

    id: bytes
    keyspace: str
    name: str
    columns: tuple[Column, ...] = ()
    serial: bool = False
    truncated_at: int = 0


class Keyspace(msgspec.Struct, frozen=True):
    """A keyspace as it is now.

    Attributes:
        name: Its name.
        replication_factor: How many nodes hold a copy of each row.
        first_copy: Writes and reads go to the first living copy alone; the others follow.
        tables: In order of name.
    """

    name: str
    replication_factor: int
    first_copy: bool = False
    tables: tuple[Table, ...] = ()

    def table(self, name: str) -> Table | None:
        """Find a table of this keyspace by name."""
        return next((table for table in self.tables if table.name == name), None)


class Schema(msgspec.Struct, frozen=True, array_like=True):
    """Everything one node knows of keyspaces and tables, by keyspace name."""

    states: dict[str, KeyspaceState] = {}

    def merge(self, other: "Schema") -> "Schema":
        """Take in what another node knows; commutative, associative, idempotent."""
        return Schema(
            {
                name: merge_keyspaces(
                    name,
                    self.states.get(name, KeyspaceState()),
                    other.states.get(name, KeyspaceState()),
                )
                for name in sorted({*self.states, *other.states})
            }
        )

    def digest(self) -> bytes:
        """Give 16 bytes that are equal exactly when two nodes know the same."""
        return blake2b(encode(self), digest_size=16).digest()

    def keyspace(self, name: str) -> Keyspace | None:
        """Give a keyspace as it is now; None where there is none of that name."""
        state = self.states.get(name)
        if state is None or state.creation is None:
            return None
        return _keyspace_of(name, state, state.creation[1])

    def keyspaces(self) -> list[Keyspace]:
        """List the keyspaces in order of name."""
        found = (self.keyspace(name) for name in sorted(self.states))
        return [keyspace for keyspace in found if keyspace is not None]

    def dropped_tables(self) -> list[bytes]:
        """List the ids of tables that are gone: mutations for them are discarded."""
        gone: list[bytes] = []
        for name, state in sorted(self.states.items()):
            gone += state.dropped
            for table, known in sorted(state.tables.items()):
                gone += [
                    table_id(name, state.drops, table, drop) for drop in range(known.drops)
                ]
        return gone

    def create_keyspace(
        self, name: str, definition: KeyspaceDefinition, stamp: Stamp
    ) -> "Schema":
        """Add a keyspace.

        Raises:
            AlreadyExists: There is one of that name. InvalidRequest: The name, the
            replication factor or the number of keyspaces is out of
                bounds.
        """
        _check_name(name)
        check_replication(definition.replication_factor)
        if name.startswith("system"):
            raise InvalidRequest(f"keyspace names that begin with system are kept: {name}")
        if self.keyspace(name) is not None:
            raise AlreadyExists(f"keyspace {name} exists already")
        if len(self.keyspaces()) >= KEYSPACES_MAX:
            raise InvalidRequest(f"a ring has at most {KEYSPACES_MAX} keyspaces: drop one")
        self._check_room(name in self.states)
        state = self.states.get(name, KeyspaceState())
        return self._with(name, msgspec.structs.replace(state, creation=(stamp, definition)))

    def alter_keyspace(
        self,
        name: str,
        stamp: Stamp,
        *,
        replication_factor: int | None = None,
        first_copy: bool | None = None,
    ) -> "Schema":
        """Change a keyspace's settings; None leaves one as it is.

        Raises:
            UnknownTable: There is no such keyspace.
            InvalidRequest: The replication factor is out of bounds.
        """
        state = self._living(name)
        if replication_factor is not None:
            check_replication(replication_factor)
            state = msgspec.structs.replace(state, replication=(stamp, replication_factor))
        if first_copy is not None:
            state = msgspec.structs.replace(state, first_copy=(stamp, first_copy))
        return self._with(name, state)

    def drop_keyspace(self, name: str) -> "Schema":
        """Remove a keyspace and its tables.

        Raises:
            UnknownTable: There is no such keyspace.
            InvalidRequest: It is the Redis door's own.
        """
        if name == REDIS:
            raise InvalidRequest("keyspace redis belongs to the Redis door and stays")
        state = self._living(name)
        dropped = tuple(sorted({*state.dropped, *ids_of(name, state)}))
        return self._with(name, KeyspaceState(drops=state.drops + 1, dropped=dropped))

    def create_table(
        self, keyspace: str, name: str, definition: TableDefinition, stamp: Stamp
    ) -> "Schema":
        """Add a table.

        Raises:
            AlreadyExists: There is one of that name.
            UnknownTable: There is no such keyspace.
            InvalidRequest: The name or the number of tables is out of bounds.
        """
        _check_name(name)
        state = self._living(keyspace)
        known = state.tables.get(name, TableState())
        if known.creation is not None:
            raise AlreadyExists(f"table {keyspace}.{name} exists already")
        if sum(len(other.tables) for other in self.keyspaces()) >= TABLES_MAX:
            raise InvalidRequest(f"a ring has at most {TABLES_MAX} tables: drop one first")
        self._check_room(name in state.tables)
        created = msgspec.structs.replace(known, creation=(stamp, definition))
        return self._with_table(keyspace, name, created)

    def drop_table(self, keyspace: str, name: str) -> "Schema":
        """Remove a table.

        Raises:
            UnknownTable: There is no such table.
            InvalidRequest: It is the Redis door's own.
        """
        if keyspace == REDIS:
            raise InvalidRequest("table redis.data belongs to the Redis door and stays")
        known = self._living(keyspace).tables.get(name, TableState())
        if known.creation is None:
            raise UnknownTable(f"there is no table {keyspace}.{name}")
        return self._with_table(keyspace, name, TableState(drops=known.drops + 1))

    def truncated(self, table: Table, issued: int) -> "Schema":
        """Record that mutations of a table issued at or before `issued` are void."""
        state = self.states.get(table.keyspace, KeyspaceState())
        known = state.tables.get(table.name, TableState())
        if table_id(table.keyspace, state.drops, table.name, known.drops) != table.id:
            return self  # Dropped meanwhile: there is nothing to empty.
        later = msgspec.structs.replace(known, truncated_at=max(issued, known.truncated_at))
        return self._with_table(table.keyspace, table.name, later)

    def _living(self, name: str) -> KeyspaceState:
        state = self.states.get(name)
        if state is None or state.creation is None:
            raise UnknownTable(f"there is no keyspace {name} (anel keyspace list)")
        return state

    def _check_room(self, is_known: bool) -> None:  # noqa: FBT001  # One private caller's fact.
        names = len(self.states) + sum(
            len(state.tables) + len(state.dropped) for state in self.states.values()
        )
        if not is_known and names >= SCHEMA_NAMES_MAX:
            raise InvalidRequest(
                f"the schema remembers {names} names, dropped ones too, and keeps no more: "
                "use a name again instead of a new one"
            )

    def _with(self, name: str, state: KeyspaceState) -> "Schema":
        return Schema({**self.states, name: state})

    def _with_table(self, keyspace: str, name: str, table: TableState) -> "Schema":
        state = self.states[keyspace]
        tables = {**state.tables, name: table}
        return self._with(keyspace, msgspec.structs.replace(state, tables=tables))


def _keyspace_of(name: str, state: KeyspaceState, definition: KeyspaceDefinition) -> Keyspace:
    factor, first_copy = definition.replication_factor, definition.first_copy
    if state.replication is not None:
        factor = state.replication[1]
    if state.first_copy is not None:
        first_copy = state.first_copy[1]
    tables = tuple(
        Table(
            id=table_id(name, state.drops, table, known.drops),
            keyspace=name,
            name=table,
            columns=known.creation[1].columns,
            serial=known.creation[1].serial,
            truncated_at=known.truncated_at,
        )
        for table, known in sorted(state.tables.items())
        if known.creation is not None
    )
    return Keyspace(name, factor, first_copy, tables)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"{name[:60]!r} is no name: use a letter, then letters, digits and _, 48 at most"
        )


def check_replication(factor: int) -> None:
    """Refuse a replication factor that no ring can have.

    Raises:
        InvalidRequest: It is below 1 or above NODES_MAX.
    """
    if not 1 <= factor <= NODES_MAX:
        raise InvalidRequest(f"replication must be 1 to {NODES_MAX}, not {factor}")


def redis_schema(replication: int, rank: int = 0) -> Schema:
    """Give the keyspace that the Redis door owns, made by every node by itself.

    Args:
        replication: Its replication factor.
        rank: How binding that factor is: a ring's epoch for one that follows the number of
            nodes, RANK_CHOSEN for one from the configuration. An ALTER beats both.
    """
    columns = (
        Column("tag", "blob", "partition"),
        Column("key", "blob", "clustering"),
        Column("element", "blob", "clustering"),
        Column("type", "tinyint"),
        Column("value", "blob"),
    )
    always = Stamp(0, b"")
    table = TableState(creation=(always, TableDefinition(columns, serial=True)))
    keyspace = KeyspaceState(
        creation=(always, KeyspaceDefinition(1)),
        replication=(Stamp(rank, b""), replication),
        tables={REDIS_TABLE: table},
    )
    return Schema({REDIS: keyspace})


def redis_keyspace(replication: int) -> Keyspace:
    """Give keyspace `redis` with its table `data`, as every node knows it."""
    keyspace = redis_schema(replication).keyspace(REDIS)
    assert keyspace is not None
    return keyspace


_encoder = msgspec.msgpack.Encoder(order="deterministic")
_decoder = msgspec.msgpack.Decoder(Schema)


def encode(schema: Schema) -> bytes:
    """Write a schema as canonical bytes, the format number first."""
    return bytes((FORMAT,)) + _encoder.encode(schema)


def decode(data: bytes) -> Schema:
    """Read a schema.

    Raises:
        UnknownFormat: A newer release wrote it.
        CorruptData: The bytes are not a schema.
    """
    if data[:1] != bytes((FORMAT,)):
        raise UnknownFormat(
            f"schema format {data[0] if data else 'none'} is unknown; this release reads "
            f"format {FORMAT}: start the release that wrote it"
        )
    try:
        return _decoder.decode(data[1:])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptData(f"schema cannot be read: {error}") from error
