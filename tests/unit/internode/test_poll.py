"""Polls: replies are gathered, each once, until all are in, links break, or time is up."""

import pytest

from anel.env import NodeId
from anel.internode.messages import MessageType, pack_control, request_of
from anel.internode.poll import Poll, Replies
from anel.simulation.world import World
from tests.unit.fakes.ring import BareNode, address_of, node_id

PULL = MessageType.SCHEMA_PULL
REPLY_TYPE = 0x80 | PULL


class Asker:
    """A node that polls two others, and what came of it."""

    def __init__(self) -> None:
        self.world = World(1)
        self.nodes = [BareNode(self.world, number) for number in range(3)]
        for node in self.nodes:
            node.attach()
            node.handlers[PULL] = self.answerer(node)
        for number in (1, 2):
            self.nodes[0].env.learn(node_id(number), address_of(number))
        self.world.run(100)
        self.ended: list[Replies] = []
        self.silent: list[NodeId] = []
        self.replies_of_each = 1
        self.reply_type = REPLY_TYPE

    def answerer(self, node: BareNode):  # type: ignore[no-untyped-def]  # noqa: ANN201
        def answer(peer: NodeId, message: bytes) -> None:
            if node.id not in self.silent:
                for _ in range(self.replies_of_each):
                    reply = pack_control(self.reply_type, request_of(message), node.number)
                    node.env.send(peer, reply)

        return answer

    def ask(self, *numbers: int) -> None:
        node = self.nodes[0]
        Poll(
            node.env,
            node.requests,
            [node_id(number) for number in numbers],
            (PULL, "?"),
            timeout_ms=1_000,
            done=self.ended.append,
        )
        assert self.ended == []

    def answered(self) -> list[list[int]]:
        return [
            [node.number for node in self.nodes if node.id in replies] for replies in self.ended
        ]


@pytest.fixture
def asker() -> Asker:
    return Asker()


def test_a_poll_ends_when_all_have_answered(asker: Asker) -> None:
    asker.ask(1, 2)
    asker.world.run(50)
    assert asker.answered() == [[1, 2]]
    assert len(asker.nodes[0].requests) == 0


def test_a_poll_ends_at_its_deadline_with_what_came(asker: Asker) -> None:
    asker.silent.append(node_id(2))
    asker.ask(1, 2)
    asker.world.run(900)
    assert asker.answered() == []
    asker.world.run(200)
    assert asker.answered() == [[1]]


def test_a_repeated_reply_counts_once(asker: Asker) -> None:
    asker.replies_of_each = 3
    asker.silent.append(node_id(2))
    asker.ask(1, 2)
    asker.world.run(2_000)
    assert asker.answered() == [[1]]


def test_a_broken_link_ends_the_wait_for_that_node(asker: Asker) -> None:
    asker.silent.append(node_id(2))
    asker.ask(1, 2)
    asker.world.run(50)
    asker.nodes[2].kill()
    asker.world.run(50)
    assert asker.answered() == [[1]]


def test_a_poll_of_nobody_ends_soon_but_not_at_once(asker: Asker) -> None:
    asker.ask()
    asker.world.run(1)
    assert asker.answered() == [[]]


def test_a_node_that_cannot_be_reached_is_not_waited_for(asker: Asker) -> None:
    asker.nodes[2].kill()
    asker.world.run(50)
    asker.ask(1, 2)
    asker.world.run(50)
    assert asker.answered() == [[1]]


def test_a_reply_of_another_type_is_dropped(asker: Asker) -> None:
    asker.reply_type = 0x80 | MessageType.RING_PULL
    asker.ask(1)
    asker.world.run(2_000)
    assert asker.answered() == [[]]


def test_requests_of_two_lives_of_a_node_share_no_id(asker: Asker) -> None:
    ids = []
    for generation in (1, 2):
        node = BareNode(World(1), 0, generation)
        poll = Poll(
            node.env, node.requests, [], (PULL, "?"), timeout_ms=1, done=asker.ended.append
        )
        ids.append(poll._request)
    assert abs(ids[0] - ids[1]) > 1 << 32
