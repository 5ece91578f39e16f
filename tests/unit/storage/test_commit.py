"""Group commit (anel.storage.commit): who waits for which sync."""

from collections.abc import Callable

import pytest

from anel.storage.commit import PERIOD_NS, Durability, GroupCommit
from anel.storage.syncer import Done, ImmediateSyncer


class Bench:
    """A commit whose syncs end when told, and what it said."""

    def __init__(self, durability: Durability = "group", *, gathers: bool = False) -> None:
        self.syncs: list[Done] = []
        self.gathered: list[Callable[[], None]] = []
        self.ran: list[str] = []
        self.fatal: list[BaseException] = []
        self.unsynced = True
        gather = self.gathered.append if gathers else None
        self.commit = GroupCommit(durability, self.fatal.append, gather)
        self.commit.begin_with(self.syncs.append, lambda: self.unsynced)

    def wait(self, name: str, *, forced: bool = False) -> None:
        self.commit.when_durable(lambda: self.ran.append(name), forced=forced)

    def end(self, error: BaseException | None = None) -> None:
        self.syncs.pop(0)(error)


def test_a_group_gathers_while_a_sync_is_under_way() -> None:
    bench = Bench()
    for name in ("a", "b", "c"):
        bench.wait(name)
    assert len(bench.syncs) == 1
    bench.end()
    assert bench.ran == ["a"]
    assert len(bench.syncs) == 1
    bench.end()
    assert bench.ran == ["a", "b", "c"]
    assert not bench.syncs


def test_with_a_gather_hook_the_first_sync_takes_the_tick_along() -> None:
    bench = Bench(gathers=True)
    bench.wait("a")
    bench.wait("b")
    assert not bench.syncs
    bench.gathered.pop()()
    bench.end()
    assert bench.ran == ["a", "b"]


def test_a_key_is_durable_once_a_sync_that_began_after_it_has_ended() -> None:
    bench = Bench()
    bench.commit.fresh.add(b"1")
    bench.wait("a")
    bench.commit.fresh.add(b"2")
    bench.wait("b")
    assert not bench.commit.is_durable(b"1")
    bench.end()
    assert bench.commit.is_durable(b"1")
    assert not bench.commit.is_durable(b"2")
    bench.end()
    assert bench.commit.is_durable(b"2")


@pytest.mark.parametrize("durability", ["periodic", "none"])
def test_other_settings_wait_only_when_forced(durability: Durability) -> None:
    bench = Bench(durability)
    bench.wait("a")
    assert bench.ran == ["a"]
    bench.wait("b", forced=True)
    assert bench.ran == ["a"]
    bench.end()
    assert bench.ran == ["a", "b"]


def test_a_failed_sync_is_fatal_and_acknowledges_nothing_ever_again() -> None:
    bench = Bench()
    bench.wait("a")
    bench.wait("b")
    bench.end(OSError("no"))
    assert len(bench.fatal) == 1
    assert not bench.ran
    assert not bench.syncs


@pytest.mark.parametrize(("durability", "syncs"), [("group", 1), ("periodic", 1), ("none", 0)])
def test_what_nobody_waits_for_is_synced_within_a_second(
    durability: Durability, syncs: int
) -> None:
    bench = Bench(durability)
    bench.commit.work(PERIOD_NS)
    assert len(bench.syncs) == syncs
    bench.commit.work(PERIOD_NS + 1)
    assert len(bench.syncs) == syncs


def test_an_idle_store_is_not_synced() -> None:
    bench = Bench("periodic")
    bench.unsynced = False
    bench.commit.work(PERIOD_NS)
    assert not bench.syncs


def test_a_chain_of_waits_does_not_nest_when_syncs_end_at_once() -> None:
    bench = Bench()
    bench.commit.begin_with(lambda done: ImmediateSyncer().run(lambda: None, done), bool)
    left = 5_000

    def again() -> None:
        nonlocal left
        left -= 1
        if left:
            bench.commit.when_durable(again, forced=False)

    again()
    assert not left


def test_after_close_no_callback_runs() -> None:
    bench = Bench()
    bench.wait("a")
    bench.wait("b")
    bench.commit.close()
    bench.end()
    assert not bench.ran
