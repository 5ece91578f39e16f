"""What the schema consists of between nodes: small states that any two nodes can merge.

    drops        how often the name was dropped: the higher count wins whole, so a drop is a
                 tombstone, and a name created again is something new with new table ids
    creation     of two definitions under one count the one with the lowest stamp wins
    setting      of two changes of one setting the one with the greatest stamp wins
    truncated_at the greatest

Each merge is commutative, associative and idempotent, so that concurrent changes converge in
any order of arrival. It never asks a clock: stamps were given by the node that made the
change.

Source: CORRECTNESS 13; Shapiro et al., "Conflict-free Replicated Data Types" (2011).
"""

from hashlib import blake2b
from typing import Literal, NamedTuple, TypeVar

import msgspec

TABLE_ID_SIZE = 16

T = TypeVar("T")
Kind = Literal["partition", "clustering", "static", "regular"]


class Stamp(NamedTuple):
    """When and where a change was made; no two changes have one stamp.

    Attributes:
        at: The node's hybrid logical clock, microseconds.
        node: Its id.
    """

    at: int
    node: bytes


class Column(msgspec.Struct, frozen=True, array_like=True):
    """One declared column; key columns in key order. `type` is CQL's name of it."""

    name: str
    type: str
    kind: Kind = "regular"
    descending: bool = False


class TableDefinition(msgspec.Struct, frozen=True, array_like=True):
    """What CREATE TABLE fixes. `serial`: every write is conditional (CORRECTNESS 15)."""

    columns: tuple[Column, ...]
    serial: bool = False


class KeyspaceDefinition(msgspec.Struct, frozen=True, array_like=True):
    """What CREATE KEYSPACE says; both may be altered later."""

    replication_factor: int
    first_copy: bool = False


class TableState(msgspec.Struct, frozen=True, array_like=True):
    """A table's name through its life; `creation` is None while it does not exist."""

    drops: int = 0
    creation: tuple[Stamp, TableDefinition] | None = None
    truncated_at: int = 0


class KeyspaceState(msgspec.Struct, frozen=True, array_like=True):
    """A keyspace's name through its life; `creation` is None while it does not exist.

    Attributes:
        drops: How often the name was dropped.
        creation: The one that holds.
        replication: The last change of the replication factor.
        first_copy: The last change of the first-copy mode.
        tables: Tables of this life of the keyspace, by name.
        dropped: Ids of tables of earlier lives, in order: what comes for them is discarded.
    """

    drops: int = 0
    creation: tuple[Stamp, KeyspaceDefinition] | None = None
    replication: tuple[Stamp, int] | None = None
    first_copy: tuple[Stamp, bool] | None = None
    tables: dict[str, TableState] = {}
    dropped: tuple[bytes, ...] = ()


def table_id(keyspace: str, keyspace_drops: int, table: str, table_drops: int) -> bytes:
    """Name a table for life: equal creations meet; one created after a drop is another."""
    # On disk since format 1: never change.
    identity = f"{keyspace}\0{keyspace_drops}\0{table}\0{table_drops}"
    return blake2b(identity.encode(), digest_size=TABLE_ID_SIZE).digest()


def merge_keyspaces(name: str, one: KeyspaceState, other: KeyspaceState) -> KeyspaceState:
    """Reconcile what two nodes know of one keyspace."""
    if one.drops < other.drops:
        one, other = other, one
    dropped = {*one.dropped, *other.dropped}
    if one.drops > other.drops:
        dropped.update(ids_of(name, other))
        return msgspec.structs.replace(one, dropped=tuple(sorted(dropped)))
    return KeyspaceState(
        drops=one.drops,
        creation=_first_creation(one.creation, other.creation),
        replication=_last_setting(one.replication, other.replication),
        first_copy=_last_setting(one.first_copy, other.first_copy),
        tables={
            table: merge_tables(
                one.tables.get(table, TableState()), other.tables.get(table, TableState())
            )
            for table in sorted({*one.tables, *other.tables})
        },
        dropped=tuple(sorted(dropped)),
    )


def merge_tables(one: TableState, other: TableState) -> TableState:
    """Reconcile what two nodes know of one table in one life of its keyspace."""
    if one.drops != other.drops:
        return one if one.drops > other.drops else other
    creation = _first_creation(one.creation, other.creation)
    return TableState(one.drops, creation, max(one.truncated_at, other.truncated_at))


def ids_of(name: str, state: KeyspaceState) -> list[bytes]:
    """List the ids of all tables, dropped ones too, that one life of a keyspace has known."""
    return [
        table_id(name, state.drops, table, drops)
        for table, known in state.tables.items()
        for drops in range(known.drops + 1)
    ]


def _first_creation(
    one: tuple[Stamp, T] | None, other: tuple[Stamp, T] | None
) -> tuple[Stamp, T] | None:
    if one is None or other is None:
        return one or other
    # Equal stamps do not happen; were they to, all nodes must still choose alike.
    return min(one, other, key=lambda creation: (creation[0], msgspec.msgpack.encode(creation)))


def _last_setting(
    one: tuple[Stamp, T] | None, other: tuple[Stamp, T] | None
) -> tuple[Stamp, T] | None:
    if one is None or other is None:
        return one or other
    return max(one, other)
