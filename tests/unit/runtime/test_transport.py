"""Links between nodes over real sockets: who may talk, what arrives, what a break does."""

import asyncio
import logging
from random import Random

import pytest

from anel.env import NodeId
from anel.internode.frame import encode_frame
from anel.internode.handshake import encode_hello
from anel.limits import PEER_QUEUE_BYTES_MAX
from anel.runtime.transport import ACCEPTED_PER_PEER_MAX
from tests.unit.runtime.world import MakePeer, Peer, until

MESSAGE = b"\x10" + bytes(8)


async def linked(make_peer: MakePeer) -> tuple[Peer, Peer]:
    one, two = await make_peer(1), await make_peer(2)
    one.env.learn(two.id, two.address)
    two.env.learn(one.id, one.address)
    await until(lambda: one.up and two.up)
    return one, two


def test_messages_arrive_in_order_with_the_senders_clock(
    loop: asyncio.AbstractEventLoop, make_peer: MakePeer
) -> None:
    async def story() -> None:
        one, two = await linked(make_peer)
        one.clock.last_us += 77
        messages = [MESSAGE + str(number).encode() for number in range(500)]
        assert all(one.env.send(two.id, message) for message in messages)
        await until(lambda: len(two.received) == len(messages))
        assert two.received == [(one.id, message) for message in messages]
        assert two.clock.merged == [one.clock.last_us]  # All of one tick in one frame.
        assert one.transport.frames_sent == 1

    loop.run_until_complete(story())


def test_large_messages_arrive_through_back_pressure(
    loop: asyncio.AbstractEventLoop, make_peer: MakePeer
) -> None:
    async def story() -> None:
        one, two = await linked(make_peer)
        messages = [MESSAGE + Random(number).randbytes(1_000_000) for number in range(30)]
        assert all(one.env.send(two.id, message) for message in messages)
        await until(lambda: len(two.received) == len(messages))
        assert [message for _, message in two.received] == messages
        assert one.transport.queued_bytes == 0

    loop.run_until_complete(story())


def test_a_seed_is_dialled_without_knowing_its_id_and_dials_back(
    loop: asyncio.AbstractEventLoop, make_peer: MakePeer
) -> None:
    async def story() -> None:
        one, two = await make_peer(1), await make_peer(2)
        one.env.dial(two.address)
        await until(lambda: one.up and two.up)
        assert (one.up, two.up) == ([two.id], [one.id])
        assert one.env.send(two.id, MESSAGE)
        assert two.env.send(one.id, MESSAGE)
        await until(lambda: one.received and two.received)

    loop.run_until_complete(story())


def test_an_answer_sent_while_the_caller_is_being_dialled_back_arrives(
    loop: asyncio.AbstractEventLoop, make_peer: MakePeer
) -> None:
    async def story() -> None:
        one, two = await make_peer(1), await make_peer(2)
        answers: list[bool] = []

        def answer(peer: NodeId, message: bytes) -> None:
            answers.append(two.env.send(peer, message))

        two.receive = answer  # type: ignore[method-assign]
        one.env.learn(two.id, two.address)
        assert one.env.send(two.id, MESSAGE)  # Waits for the first link.
        await until(lambda: one.received)
        assert answers == [True]

    loop.run_until_complete(story())


def test_nothing_is_queued_for_strangers_or_for_peers_that_cannot_be_reached(
    loop: asyncio.AbstractEventLoop, make_peer: MakePeer
) -> None:
    async def story() -> None:
        one, two = await make_peer(1), await make_peer(2)
        assert not one.env.send(two.id, MESSAGE)
        two.transport.close()
        await asyncio.sleep(0)
        one.env.learn(two.id, two.address)
        await until(lambda: not one.env.send(two.id, MESSAGE))
        assert one.down == [two.id]  # What waited for the first attempt is lost, and said so.

    loop.run_until_complete(story())


def test_a_full_queue_refuses(loop: asyncio.AbstractEventLoop, make_peer: MakePeer) -> None:
    async def story() -> None:
        one, two = await linked(make_peer)
        big = MESSAGE + bytes(PEER_QUEUE_BYTES_MAX // 2)
        assert one.env.send(two.id, big)
        assert not one.env.send(two.id, big)
        assert one.transport.messages_refused == 1
        await until(lambda: len(two.received) == 1)
        assert one.env.send(two.id, MESSAGE)

    loop.run_until_complete(story())


def test_a_restarted_peer_is_linked_again_at_once(
    loop: asyncio.AbstractEventLoop, make_peer: MakePeer
) -> None:
    async def story() -> None:
        one, two = await linked(make_peer)
        two.transport.close()
        await until(lambda: one.down == [two.id])
        assert not one.env.send(two.id, MESSAGE)
        await asyncio.sleep(0.3)  # Let the waits between attempts grow.
        again = await make_peer(2, generation=2, port=two.address[1])
        again.env.learn(one.id, one.address)
        await until(lambda: again.up and len(one.up) == 2, within_s=0.5)
        assert one.env.send(two.id, MESSAGE)
        await until(lambda: again.received)

    loop.run_until_complete(story())


def test_a_peer_that_listens_again_is_found_without_its_help(
    loop: asyncio.AbstractEventLoop, make_peer: MakePeer
) -> None:
    async def story() -> None:
        one, two = await linked(make_peer)
        two.transport.close()
        await until(lambda: one.down)
        await make_peer(2, generation=2, port=two.address[1])
        await until(lambda: len(one.up) == 2, within_s=2.5)

    loop.run_until_complete(story())


def test_a_blocked_peer_is_cut_off_both_ways_until_unblocked(
    loop: asyncio.AbstractEventLoop, make_peer: MakePeer
) -> None:
    async def story() -> None:
        one, two = await linked(make_peer)
        one.transport.block(two.id)
        await until(lambda: one.down and two.down)
        await asyncio.sleep(0.3)  # Several attempts of the other side.
        assert not one.env.send(two.id, MESSAGE)
        assert not two.env.send(one.id, MESSAGE)
        assert (len(one.up), len(two.up)) == (1, 1)
        one.transport.unblock(two.id)
        await until(lambda: len(one.up) == 2 and len(two.up) == 2)
        assert one.env.send(two.id, MESSAGE)
        await until(lambda: two.received)

    loop.run_until_complete(story())


def test_a_forgotten_peer_is_not_dialled_again(
    loop: asyncio.AbstractEventLoop, make_peer: MakePeer
) -> None:
    async def story() -> None:
        one, two = await make_peer(1), await make_peer(2)
        one.env.learn(two.id, two.address)
        await until(lambda: one.up and two.up)
        one.env.forget(two.id)
        await until(lambda: one.down and two.down)
        await asyncio.sleep(0.2)
        assert not one.env.send(two.id, MESSAGE)
        assert one.transport.links_up == 0

    loop.run_until_complete(story())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"cluster_name": "other"}, "wrong cluster"),
        ({"ring_id": b"x" * 16}, "another ring"),
        ({"clock_us": 0}, "clocks differ"),
    ],
)
def test_a_peer_that_does_not_fit_is_refused_by_name_and_logged_once(
    loop: asyncio.AbstractEventLoop,
    make_peer: MakePeer,
    caplog: pytest.LogCaptureFixture,
    change: dict[str, object],
    reason: str,
) -> None:
    async def story() -> None:
        one = await make_peer(1, ring_id=b"r" * 16)
        two = await make_peer(2, ring_id=b"r" * 16)
        two.set_hello(**change)
        one.env.learn(two.id, two.address)
        await until(lambda: reason in caplog.text)
        await asyncio.sleep(0.3)
        assert one.up == two.up == []

    with caplog.at_level(logging.WARNING):
        loop.run_until_complete(story())
    assert len({record.getMessage() for record in caplog.records}) == len(caplog.records)


def test_a_node_that_dials_itself_keeps_quiet(
    loop: asyncio.AbstractEventLoop, make_peer: MakePeer, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        one = await make_peer(1)
        one.env.dial(one.address)
        await asyncio.sleep(0.05)
        assert one.up == []

    with caplog.at_level(logging.WARNING):
        loop.run_until_complete(story())
    assert caplog.text == ""


def test_a_second_process_with_the_nodes_own_id_is_refused(
    loop: asyncio.AbstractEventLoop, make_peer: MakePeer, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        one, copy = await make_peer(1), await make_peer(1, generation=2)
        copy.env.dial(one.address)
        await until(lambda: "duplicate id" in caplog.text)
        assert one.up == copy.up == []

    with caplog.at_level(logging.WARNING):
        loop.run_until_complete(story())


def test_a_second_process_with_a_living_peers_id_is_refused(
    loop: asyncio.AbstractEventLoop, make_peer: MakePeer, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        one, _ = await linked(make_peer)
        copy = await make_peer(2, process=b"a second")
        copy.env.dial(one.address)
        await until(lambda: "is already connected from" in caplog.text)
        assert copy.up == []
        assert one.down == []

    with caplog.at_level(logging.WARNING):
        loop.run_until_complete(story())


def test_a_peer_whose_clock_runs_away_is_cut_off(
    loop: asyncio.AbstractEventLoop, make_peer: MakePeer, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        one, two = await linked(make_peer)
        two.clock.believes = False
        assert one.env.send(two.id, MESSAGE)
        await until(lambda: one.down == [two.id])
        assert two.received == []
        assert "clock is too far ahead" in caplog.text

    with caplog.at_level(logging.WARNING):
        loop.run_until_complete(story())


def test_connections_of_one_peer_are_bounded(
    loop: asyncio.AbstractEventLoop, make_peer: MakePeer
) -> None:
    async def story() -> None:
        one, two = await linked(make_peer)
        sockets = []
        for _ in range(ACCEPTED_PER_PEER_MAX * 2):
            _, writer = await asyncio.open_connection(*one.address)
            writer.write(encode_hello(two.hello))
            sockets.append(writer)
        await asyncio.sleep(0.1)
        assert len(one.transport._accepted) == ACCEPTED_PER_PEER_MAX
        for writer in sockets:
            writer.close()

    loop.run_until_complete(story())


def test_noise_closes_the_link_and_nothing_else(
    loop: asyncio.AbstractEventLoop, make_peer: MakePeer
) -> None:
    async def story() -> None:
        one, two = await linked(make_peer)
        chance = Random(5)
        for attempt in range(60):
            reader, writer = await asyncio.open_connection(*one.address)
            if attempt % 3:
                writer.write(encode_hello(two.hello))
            if attempt % 3 == 1:
                noise = bytearray(encode_frame(1, [MESSAGE] * 3))
                noise[chance.randrange(len(noise))] ^= 1 << chance.randrange(8)
            else:
                noise = bytearray(chance.randbytes(chance.randrange(1, 200)))
            writer.write(bytes(noise))
            writer.write_eof()
            await reader.read()
            writer.close()
        assert one.received == []
        assert two.env.send(one.id, MESSAGE)
        await until(lambda: one.received)

    loop.run_until_complete(story())


def test_a_paused_node_is_silent_and_goes_on(
    loop: asyncio.AbstractEventLoop, make_peer: MakePeer
) -> None:
    async def story() -> None:
        one, two = await linked(make_peer)
        two.transport.pause()
        assert one.env.send(two.id, MESSAGE)
        assert two.env.send(one.id, MESSAGE)
        await asyncio.sleep(0.05)
        assert one.received == two.received == []
        two.transport.resume()
        await until(lambda: one.received and two.received)

    loop.run_until_complete(story())


def test_a_stranger_that_never_greets_is_closed(
    loop: asyncio.AbstractEventLoop, make_peer: MakePeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        one = await make_peer(1)
        reader, writer = await asyncio.open_connection(*one.address)
        assert await reader.read() == b""
        writer.close()

    monkeypatch.setattr("anel.runtime.link.GREETING_TIMEOUT_S", 0.05)
    loop.run_until_complete(story())


def test_closing_in_the_middle_of_a_dial_leaves_nothing(
    loop: asyncio.AbstractEventLoop, make_peer: MakePeer
) -> None:
    async def story() -> None:
        one, two = await make_peer(1), await make_peer(2)
        one.env.learn(two.id, two.address)
        one.transport.close()
        await asyncio.sleep(0.05)
        assert one.up == []
        assert not one.transport._dialled

    loop.run_until_complete(story())
