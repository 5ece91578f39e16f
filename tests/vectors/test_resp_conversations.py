"""Under test: the Redis door answers as redis-server does, however the bytes arrive."""

import pytest

from tests.unit.doors.resp.fake_node import FakeConnection
from tests.vectors.conversations import Conversation, Turn, converse, load, mask

CONVERSATIONS = load()


def said(client: FakeConnection, chunks: list[bytes]) -> tuple[bytes, bool]:
    for chunk in chunks:
        if not client.is_closed:
            client.session.receive(chunk)
            client.node.settle()
    return client.take(), client.is_closed


@pytest.mark.parametrize("talk", CONVERSATIONS, ids=lambda talk: talk.title)
def test_every_line_is_answered_as_redis_answers(talk: Conversation) -> None:
    client = FakeConnection()
    turns = list(converse(talk, lambda data: said(client, [data])))
    assert turns == talk.turns


@pytest.mark.parametrize("talk", CONVERSATIONS, ids=lambda talk: talk.title)
def test_a_line_that_comes_byte_by_byte_is_answered_the_same(talk: Conversation) -> None:
    client = FakeConnection()
    turns = list(
        converse(
            talk, lambda data: said(client, [data[at : at + 1] for at in range(len(data))])
        )
    )
    assert turns == talk.turns


@pytest.mark.parametrize("talk", CONVERSATIONS, ids=lambda talk: talk.title)
@pytest.mark.parametrize("is_slow", [False, True])
def test_all_lines_at_once_are_answered_the_same(talk: Conversation, *, is_slow: bool) -> None:
    client = FakeConnection()
    client.node.is_slow = is_slow
    answer, is_closed = said(client, [b"".join(turn.sent for turn in talk.turns)])
    assert mask(answer) == b"".join(turn.answer for turn in talk.turns)
    assert is_closed == talk.turns[-1].is_closed


@pytest.mark.parametrize("talk", CONVERSATIONS, ids=lambda talk: talk.title)
def test_lines_cut_anywhere_are_answered_the_same(talk: Conversation) -> None:
    for turn in talk.turns:
        for cut in range(1, len(turn.sent)):
            whole, halves = FakeConnection(), FakeConnection()
            expected = said(whole, [turn.sent])
            assert said(halves, [turn.sent[:cut], turn.sent[cut:]]) == expected, turn.line


def test_a_changed_answer_is_noticed() -> None:
    turn = Turn("> PING", b"*1\r\n$4\r\nPING\r\n", b"+PANG\r\n", is_closed=False)
    client = FakeConnection()
    talk = Conversation("planted", [turn])
    assert list(converse(talk, lambda data: said(client, [data]))) != talk.turns
