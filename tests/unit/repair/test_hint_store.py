"""Hints on disk: order, bounds, durability, what a restart finds."""

from random import Random

import pytest

from anel.data import row
from anel.data.mutation import ROW, one_row, prefix_of
from anel.env import NodeId
from anel.errors import UnknownFormat
from anel.limits import KIB
from anel.repair.hint_store import PREFIX, HintStore
from anel.simulation.world import World
from anel.storage.memory import MemoryStore
from tests.unit.fakes.ring import BareNode, node_id

TABLE = bytes(15) + b"\x01"
TARGET = node_id(7)


def mutation(issued: int, size: int = 10) -> bytes:
    """Make a mutation of one row, issued at this HLC."""
    value = row.encode([row.cell(b"v", b"x" * size, issued)])
    return one_row(issued, prefix_of(TABLE, issued, b"key%d" % issued), ROW, value)


class Bench:
    """One node's hint store over a memory store whose syncs take 5 ms."""

    def __init__(self, bytes_max: int = 64 * KIB) -> None:
        self.world = World(1)
        self.node = BareNode(self.world, 0)
        self.store = MemoryStore(self.node.env.now_ns, sync=self._sync)
        self.hints = HintStore(self.node.env, self.store, generation=1, bytes_max=bytes_max)
        self.hints.load()

    def _sync(self, done: object) -> None:
        self.node.env.set_timer(5, done)  # type: ignore[arg-type]

    def keep(self, issued: int, *, sole: bool = False, node: NodeId = TARGET) -> list[bool]:
        outcome: list[bool] = []
        self.hints.keep(node, mutation(issued), sole=sole, done=outcome.append)
        return outcome

    def issued_in_order(self, node: NodeId = TARGET) -> list[bytes]:
        return [hint.mutation for hint in self.hints.first(node, b"", 100)]

    def restart(self) -> None:
        self.world.run(1)
        self.store = self.store.crash(Random(1), sync=self._sync)
        self.hints = HintStore(self.node.env, self.store, generation=2)
        self.hints.load()


def test_hints_come_back_oldest_first() -> None:
    bench = Bench()
    for issued in (5, 3, 9):
        bench.keep(issued)
    assert bench.issued_in_order() == [mutation(3), mutation(5), mutation(9)]


def test_hints_that_alone_satisfied_a_client_come_first() -> None:
    bench = Bench()
    bench.keep(3)
    bench.keep(8, sole=True)
    assert bench.issued_in_order() == [mutation(8), mutation(3)]


def test_targets_are_kept_apart() -> None:
    bench = Bench()
    bench.keep(3)
    bench.keep(4, node=node_id(8))
    assert bench.issued_in_order() == [mutation(3)]
    assert bench.hints.kept_for(TARGET) == 1
    assert bench.hints.count == 2


def test_a_window_continues_after_the_last_hint_seen() -> None:
    bench = Bench()
    for issued in (1, 2, 3):
        bench.keep(issued)
    first = bench.hints.first(TARGET, b"", 2)
    rest = bench.hints.first(TARGET, first[-1].name, 2)
    assert [hint.mutation for hint in first + rest] == [mutation(1), mutation(2), mutation(3)]


def test_a_sole_hint_is_told_only_once_durable() -> None:
    bench = Bench()
    outcome = bench.keep(3, sole=True)
    assert outcome == []
    bench.world.run(20)
    assert outcome == [True]


def test_another_hint_is_told_at_once() -> None:
    assert Bench().keep(3) == [True]


def test_a_sole_hint_survives_a_crash_once_told() -> None:
    bench = Bench()
    bench.keep(3, sole=True)
    bench.world.run(20)
    bench.restart()
    assert bench.issued_in_order() == [mutation(3)]
    assert bench.hints.kept_for(TARGET) == 1


def test_the_bound_drops_hints_counts_them_and_says_so() -> None:
    bench = Bench(bytes_max=2 * len(mutation(1)))
    outcomes = [bench.keep(issued, sole=True) for issued in (1, 2, 3)]
    bench.world.run(20)
    assert outcomes == [[True], [True], [False]]
    assert bench.hints.dropped == 1
    assert bench.hints.targets()[TARGET].dropped == 1
    assert bench.hints.size_bytes <= 2 * len(mutation(1))


def test_a_removed_hint_makes_room() -> None:
    bench = Bench(bytes_max=len(mutation(1)))
    bench.keep(1)
    assert bench.keep(2) == [False]
    bench.hints.remove(TARGET, bench.hints.first(TARGET, b"", 1)[0])
    assert bench.keep(3) == [True]
    assert bench.hints.count == 1


def test_a_full_disk_drops_the_hint_and_says_so() -> None:
    bench = Bench()
    bench.store.is_full = True
    assert bench.keep(1) == [False]
    assert bench.hints.dropped == 1


def test_a_restart_counts_what_is_there_and_not_twice() -> None:
    bench = Bench()
    for issued in range(300):
        bench.keep(issued)
    bench.store.when_durable(lambda: None)
    bench.world.run(50)
    bench.restart()
    bench.keep(1000)
    bench.world.run(50)
    assert bench.hints.is_loaded
    assert bench.hints.count == 301
    assert bench.hints.size_bytes == sum(
        len(hint.mutation) for hint in bench.hints.first(TARGET, b"", 1000)
    )


def test_the_same_mutation_twice_is_two_hints() -> None:
    bench = Bench()
    bench.keep(1)
    bench.keep(1)
    assert bench.hints.count == len(bench.issued_in_order()) == 2


def test_a_hint_of_a_later_format_is_refused() -> None:
    bench = Bench()
    bench.keep(1)
    name = bench.store.metas(PREFIX, PREFIX, 1)[0][0]
    bench.store.put_meta(name, b"\x09rest")
    with pytest.raises(UnknownFormat, match="format 9"):
        bench.hints.first(TARGET, b"", 1)
