"""The schema book: changes reach every node, meet, and are refused where rows would be lost."""

from collections.abc import Callable

import pytest

from anel.data import row
from anel.data.mutation import one_row, prefix_of
from anel.data.schema import RANK_CHOSEN, REDIS_TABLE_ID, Column, TableDefinition
from anel.errors import (
    AlreadyExists,
    InvalidRequest,
    NotReady,
    RequestFailed,
    RequestRefused,
    UnknownFormat,
    UnknownTable,
)
from anel.internode.messages import MessageType
from anel.node.schema_agreement import META, SchemaBook
from anel.ring.ring import Ring
from anel.simulation.world import World
from anel.storage.memory import MemoryStore
from tests.unit.fakes.ring import BareNode, node_id, view_of

Outcome = RequestRefused | RequestFailed | None
TABLE = TableDefinition((Column("k", "blob", "partition"), Column("v", "blob")))


class SchemaNode(BareNode):
    """A node with a store, a ring and a schema book."""

    def __init__(self, world: World, number: int, store: MemoryStore | None = None) -> None:
        super().__init__(world, number)
        self.store = store or MemoryStore(self.env.now_ns)
        self.ring = Ring(self.env, self.store, self.id, self.requests)
        self.book = SchemaBook(
            self.env, self.store, self.requests, self.ring, now=self.env.wall_us
        )
        self.handlers = {
            MessageType.RING_PULL: self.ring.on_ring_pull,
            MessageType.SCHEMA_PUSH: self.book.on_schema_push,
            MessageType.SCHEMA_PULL: self.book.on_schema_pull,
            MessageType.FREEZE: self.book.on_freeze,
        }

    def put(self, table: bytes, key: bytes = b"k") -> None:
        value = row.encode([row.cell(b"v", b"1", 1)])
        self.store.apply(one_row(1, prefix_of(table, 0, key), b"\x04", value))


class Town:
    """Some nodes in one world, and the outcomes of what their clients asked."""

    def __init__(self, count: int) -> None:
        self.world = World(seed=1)
        self.nodes = [SchemaNode(self.world, number) for number in range(count)]
        for node in self.nodes:
            node.attach()
            for other in self.nodes:
                node.env.learn(other.id, other.env.address)
            node.ring.adopt(view_of(count))
            node.book.found_redis(None)
        self.world.run(100)

    def ask(self, *questions: Callable[..., None]) -> list[Outcome]:
        """Run DDL calls at once; give their outcomes in order."""
        outcomes: dict[int, Outcome] = {}
        for index, question in enumerate(questions):

            def done(outcome: Outcome, index: int = index) -> None:
                assert index not in outcomes
                outcomes[index] = outcome

            question(done=done)
        assert self.world.run(60_000, until=lambda: len(outcomes) == len(questions))
        return [outcomes[index] for index in range(len(questions))]

    def digests(self) -> list[str]:
        return sorted({node.book.digest for node in self.nodes})

    def create(
        self, number: int, name: str, factor: int = 1, **settings: bool
    ) -> Callable[..., None]:
        book = self.nodes[number].book
        return lambda done: book.create_keyspace(name, factor, done=done, **settings)


@pytest.fixture
def town() -> Town:
    return Town(3)


def test_every_node_makes_the_same_redis_keyspace(town: Town) -> None:
    assert len(town.digests()) == 1
    for node in town.nodes:
        keyspace = node.book.keyspace("redis")
        assert keyspace is not None
        assert keyspace.replication_factor == 3
        assert node.book.table("redis", "data") is node.book.table_by_id(REDIS_TABLE_ID)


def test_a_chosen_factor_of_redis_holds_whatever_the_number_of_nodes() -> None:
    town = Town(3)
    for node in town.nodes:
        node.book.found_redis(2)
    keyspace = town.nodes[0].book.keyspace("redis")
    assert keyspace is not None
    assert keyspace.replication_factor == 2
    assert town.nodes[0].env.wall_us() > RANK_CHOSEN


def test_a_keyspace_reaches_every_node_before_its_client_is_answered(town: Town) -> None:
    assert town.ask(town.create(1, "shop", 3, first_copy=True)) == [None]
    assert len(town.digests()) == 1
    for node in town.nodes:
        shop = node.book.keyspace("shop")
        assert shop is not None
        assert (shop.replication_factor, shop.first_copy) == (3, True)
        assert [keyspace.name for keyspace in node.book.keyspaces()] == ["redis", "shop"]


def test_the_schema_is_read_again_at_the_next_start(town: Town) -> None:
    town.ask(town.create(0, "shop"))
    node = town.nodes[1]
    again = SchemaNode(World(1), 1, node.store.reopen())
    assert again.ring.load()
    again.book.load()
    assert again.book.digest == node.book.digest
    assert again.ring.view == node.ring.view


def test_a_schema_of_an_unknown_format_is_refused(town: Town) -> None:
    node = town.nodes[0]
    node.store.put_meta(META, b"\xff")
    with pytest.raises(UnknownFormat, match="255"):
        node.book.load()


def test_a_name_that_exists_is_refused(town: Town) -> None:
    town.ask(town.create(0, "shop"))
    (outcome,) = town.ask(town.create(2, "shop"))
    assert isinstance(outcome, AlreadyExists)


def test_of_two_clients_that_create_one_name_differently_at_once_one_is_told(
    town: Town,
) -> None:
    outcomes = town.ask(town.create(0, "shop", 1), town.create(1, "shop", 2))
    assert outcomes[0] is None  # The lower node id wins at equal clocks.
    assert isinstance(outcomes[1], AlreadyExists)
    town.world.run(1_000)
    assert len(town.digests()) == 1
    shop = town.nodes[2].book.keyspace("shop")
    assert shop is not None
    assert shop.replication_factor == 1


def test_two_clients_that_create_the_same_at_once_are_both_well(town: Town) -> None:
    assert town.ask(town.create(0, "shop", 2), town.create(1, "shop", 2)) == [None, None]


def test_of_two_tables_created_differently_at_once_one_client_is_told(town: Town) -> None:
    town.ask(town.create(0, "shop"))
    other = TableDefinition(TABLE.columns[:1])
    books = [node.book for node in town.nodes]
    outcomes = town.ask(
        lambda done: books[0].create_table("shop", "cart", TABLE, done=done),
        lambda done: books[1].create_table("shop", "cart", other, done=done),
    )
    assert outcomes[0] is None
    assert isinstance(outcomes[1], AlreadyExists)
    table = books[2].table("shop", "cart")
    assert table is not None
    assert table.columns == TABLE.columns
    (again,) = town.ask(lambda done: books[2].create_table("shop", "cart", TABLE, done=done))
    assert isinstance(again, AlreadyExists)


def test_a_node_that_was_away_learns_the_schema_from_a_digest(town: Town) -> None:
    away = town.nodes[2]
    for node in town.nodes[:2]:
        town.world.cut(node.id, away.id)
        town.world.cut(away.id, node.id)
        node.book.is_alive = lambda peer: peer != away.id
    assert town.ask(town.create(0, "shop")) == [None]
    assert away.book.keyspace("shop") is None
    town.world.heal()
    away.book.heard(town.nodes[0].id, town.nodes[0].book.digest)
    away.book.heard(town.nodes[0].id, town.nodes[0].book.digest)
    town.world.run(100)
    assert away.book.keyspace("shop") is not None
    assert away.env.sent[MessageType.SCHEMA_PULL] == 1


def test_a_pull_whose_answer_was_lost_is_repeated(town: Town) -> None:
    away = town.nodes[2]
    for node in town.nodes[:2]:
        town.world.cut(node.id, away.id)
        node.book.is_alive = lambda peer: peer != away.id
    town.ask(town.create(0, "shop"))
    away.book.heard(town.nodes[0].id, town.nodes[0].book.digest)
    town.world.run(20_000)
    assert away.book.keyspace("shop") is None
    assert 2 <= away.env.sent[MessageType.SCHEMA_PULL] <= 5
    town.world.heal()
    town.world.run(10_000)
    assert away.book.keyspace("shop") is not None


def test_equal_digests_ask_nothing(town: Town) -> None:
    one, other, _ = town.nodes
    one.book.heard(other.id, other.book.digest)
    assert MessageType.SCHEMA_PULL not in one.env.sent


def test_a_client_is_told_which_living_node_did_not_confirm(town: Town) -> None:
    town.world.cut(node_id(0), node_id(2))
    (outcome,) = town.ask(town.create(0, "shop"))
    assert isinstance(outcome, RequestFailed)
    assert node_id(2)[:4].hex() in str(outcome)
    assert node_id(1)[:4].hex() not in str(outcome)


def test_replication_above_the_number_of_nodes_is_refused(town: Town) -> None:
    book = town.nodes[0].book
    outcomes = town.ask(
        town.create(0, "shop", 4), lambda done: book.alter_keyspace("redis", 4, done=done)
    )
    assert [type(outcome) for outcome in outcomes] == [InvalidRequest, InvalidRequest]


def test_an_empty_keyspace_takes_another_replication_factor(town: Town) -> None:
    town.ask(town.create(0, "shop"))
    book = town.nodes[1].book
    assert town.ask(lambda done: book.alter_keyspace("shop", 3, done=done)) == [None]
    for node in town.nodes:
        shop = node.book.keyspace("shop")
        assert shop is not None
        assert shop.replication_factor == 3
    town.world.run(100)
    assert not any(node.ring.is_locked for node in town.nodes)


def test_writes_are_held_back_while_the_replication_changes(town: Town) -> None:
    ring, book = town.nodes[2].ring, town.nodes[1].book
    seen: list[bool] = []
    town.nodes[2].book.listeners.append(lambda: seen.append(ring.write_epoch == ring.epoch))
    assert town.ask(lambda done: book.alter_keyspace("redis", 1, done=done)) == [None]
    assert seen == [False]


@pytest.mark.parametrize("holder", [0, 1])
def test_the_replication_of_a_keyspace_with_rows_is_kept(town: Town, holder: int) -> None:
    town.nodes[holder].put(REDIS_TABLE_ID)
    book = town.nodes[0].book
    (outcome,) = town.ask(lambda done: book.alter_keyspace("redis", 1, done=done))
    assert isinstance(outcome, InvalidRequest)
    assert "1 records of redis.data" in str(outcome)
    redis = book.keyspace("redis")
    assert redis is not None
    assert redis.replication_factor == 3
    assert not town.nodes[0].ring.is_locked


def test_hints_count_as_rows(town: Town) -> None:
    town.nodes[2].book.keeps_hints = lambda: True
    book = town.nodes[0].book
    (outcome,) = town.ask(lambda done: book.alter_keyspace("redis", 1, done=done))
    assert "hints" in str(outcome)


def test_the_replication_is_kept_when_a_node_cannot_be_asked(town: Town) -> None:
    town.nodes[2].kill()
    book = town.nodes[0].book
    (outcome,) = town.ask(lambda done: book.alter_keyspace("redis", 1, done=done))
    assert isinstance(outcome, RequestFailed)
    assert node_id(2)[:4].hex() in str(outcome)
    town.world.run(100)
    assert not any(node.ring.is_locked for node in town.nodes[:2])


def test_first_copy_changes_while_rows_are_held(town: Town) -> None:
    town.nodes[1].put(REDIS_TABLE_ID)
    book = town.nodes[0].book
    change = lambda done: book.alter_keyspace("redis", first_copy=True, done=done)  # noqa: E731
    assert town.ask(change) == [None]
    redis = town.nodes[2].book.keyspace("redis")
    assert redis is not None
    assert (redis.first_copy, redis.replication_factor) == (True, 3)


def test_what_does_not_exist_is_not_changed(town: Town) -> None:
    book = town.nodes[0].book
    outcomes = town.ask(
        lambda done: book.alter_keyspace("none", 1, done=done),
        lambda done: book.drop_keyspace("none", done=done),
        lambda done: book.drop_table("redis", "none", done=done),
        lambda done: book.create_table("none", "t", TABLE, done=done),
    )
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds == [UnknownTable, UnknownTable, InvalidRequest, UnknownTable]


def test_a_dropped_table_leaves_no_row_and_comes_back_empty_under_another_id(
    town: Town,
) -> None:
    books = [node.book for node in town.nodes]
    town.ask(town.create(0, "shop"))
    town.ask(lambda done: books[0].create_table("shop", "cart", TABLE, done=done))
    first = books[1].table("shop", "cart")
    assert first is not None
    town.nodes[2].put(first.id)
    town.ask(lambda done: books[1].drop_table("shop", "cart", done=done))
    assert town.nodes[2].store.summary(first.id).rows == 0
    assert books[2].table_by_id(first.id) is None
    assert books[2].is_dropped(first.id)
    town.ask(lambda done: books[1].create_table("shop", "cart", TABLE, done=done))
    second = books[2].table("shop", "cart")
    assert second is not None
    assert second.id != first.id
    town.ask(lambda done: books[0].drop_keyspace("shop", done=done))
    assert books[2].is_dropped(second.id)
    assert books[2].table("shop", "cart") is None


def test_a_truncation_is_kept(town: Town) -> None:
    node = town.nodes[0]
    node.book.truncated(REDIS_TABLE_ID, 77)
    node.book.truncated(REDIS_TABLE_ID, 33)
    node.book.truncated(bytes(16), 99)
    again = SchemaNode(World(1), 0, node.store.reopen())
    again.book.load()
    table = again.book.table_by_id(REDIS_TABLE_ID)
    assert table is not None
    assert table.truncated_at == 77


def test_a_node_without_a_ring_takes_no_change() -> None:
    node = SchemaNode(World(1), 0)
    outcomes: list[Outcome] = []
    node.book.drop_keyspace("shop", done=outcomes.append)
    assert [type(outcome) for outcome in outcomes] == [NotReady]


def test_the_answer_waits_until_the_change_is_on_disk_here_and_there(town: Town) -> None:
    waiting: list[Callable[[], None]] = []
    for node in town.nodes[:2]:
        node.store._sync = waiting.append
    outcomes: list[Outcome] = []
    town.nodes[0].book.create_keyspace("shop", 1, done=outcomes.append)
    town.world.run(1_000)
    assert town.nodes[1].book.keyspace("shop") is None
    waiting.pop()()
    town.world.run(1_000)
    assert town.nodes[1].book.keyspace("shop") is not None
    assert outcomes == []
    waiting.pop()()
    town.world.run(1_000)
    assert outcomes == [None]


def test_a_broken_link_ends_the_wait_for_a_node(town: Town) -> None:
    waiting: list[Callable[[], None]] = []
    town.nodes[2].store._sync = waiting.append
    outcomes: list[Outcome] = []
    town.nodes[0].book.create_keyspace("shop", 1, done=outcomes.append)
    town.world.run(100)
    assert outcomes == []
    town.nodes[2].kill()
    town.world.run(100)
    assert isinstance(outcomes[0], RequestFailed)
    assert town.nodes[2].id[:4].hex() in str(outcomes[0])
