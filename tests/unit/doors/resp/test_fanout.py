"""Fanout: many requests of one command, bounded, without deep stacks."""

from collections.abc import Callable

from anel.doors.resp.fanout import Fanout
from anel.errors import AnelError, Overloaded
from anel.limits import RESP_FANOUT_MAX
from tests.unit.doors.resp.fake_node import FakeNode

Done = Callable[[object], None]


def test_answers_at_once_neither_nest_nor_hold_the_loop() -> None:
    node = FakeNode()
    taken: list[int] = []
    ended: list[AnelError | None] = []

    def take(index: int, answer: object) -> None:
        assert answer == index
        taken.append(index)

    fanout = Fanout(node, range(5000), lambda item, done: done(item), take, done=ended.append)
    fanout.advance()
    assert 0 < len(taken) < 1000
    node.settle()
    assert taken == list(range(5000))
    assert ended == [None]


def test_only_so_many_are_under_way() -> None:
    waiting: list[Done] = []
    ended: list[AnelError | None] = []
    fanout = Fanout(
        FakeNode(),
        range(100),
        lambda _item, done: waiting.append(done),
        lambda _at, _answer: None,
        done=ended.append,
    )
    fanout.advance()
    assert len(waiting) == RESP_FANOUT_MAX
    while waiting:
        waiting.pop()(None)
    assert ended == [None]


def test_nothing_to_ask_ends_at_once() -> None:
    ended: list[AnelError | None] = []
    Fanout(
        FakeNode(), (), lambda _i, _d: None, lambda _at, _a: None, done=ended.append
    ).advance()
    assert ended == [None]


def test_the_first_error_ends_it_once_and_starts_no_more() -> None:
    waiting: list[Done] = []
    ended: list[AnelError | None] = []
    fanout = Fanout(
        FakeNode(),
        range(1000),
        lambda _item, done: waiting.append(done),
        lambda _at, _answer: None,
        done=ended.append,
    )
    fanout.advance()
    failed = Overloaded("x")
    for done in waiting:
        done(failed)
    assert ended == [failed]
    assert len(waiting) == RESP_FANOUT_MAX


def test_an_error_answered_at_once_ends_it() -> None:
    ended: list[AnelError | None] = []
    failed = Overloaded("x")
    Fanout(
        FakeNode(),
        range(9),
        lambda _item, done: done(failed),
        lambda _at, _a: None,
        done=ended.append,
    ).advance()
    assert ended == [failed]
