"""Turns: who waits for whom among the commands of one connection."""

from anel.doors.resp.command_table import BY_NAME
from anel.doors.resp.turns import Turn, Turns

GET = BY_NAME["get"]


def test_replies_are_taken_in_order() -> None:
    turns = Turns()
    first, second = turns.begin([b"a"]), turns.begin([b"b"])
    turns.reply(b"3")
    taken: list[bytes] = []
    turns.end(second, b"2")
    turns.take(taken)
    assert taken == []
    turns.end(first, b"1")
    turns.take(taken)
    assert taken == [b"1", b"2", b"3"]
    assert not turns.queue


def test_turns_on_one_key_follow_each_other() -> None:
    turns = Turns()
    first = turns.begin([b"a"])
    turns.wait([b"a"], GET, [b"2"])
    turns.wait([b"a"], GET, [b"3"])
    (second,) = turns.end(first, b"")
    assert second.words == [b"2"]
    (third,) = turns.end(second, b"")
    assert third.words == [b"3"]
    assert turns.end(third, b"") == []
    assert not turns.busy


def test_a_turn_on_many_keys_waits_for_all_of_them() -> None:
    turns = Turns()
    begun = [turns.begin([b"a", b"a"]), turns.begin([b"b"])]
    turns.wait([b"a", b"b", b"a", b"c"], GET, [b"all"])
    turns.wait([b"c"], GET, [b"c"])
    assert ended(turns, begun[0]) == []
    assert ended(turns, begun[1]) == [[b"all"]]
    assert set(turns.busy) == {b"a", b"b", b"c"}


def ended(turns: Turns, turn: Turn) -> list[list[bytes]]:
    return [ready.words for ready in turns.end(turn, b"")]
