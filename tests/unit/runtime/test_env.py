"""The real world behind the Env port: clocks, timers, posts, and a node that is held still."""

import asyncio
import time
from unittest.mock import ANY

from tests.unit.runtime.world import Peer, until


def test_timers_run_once_after_their_delay_and_can_be_cancelled(
    loop: asyncio.AbstractEventLoop,
) -> None:
    async def story() -> None:
        env = Peer(loop, 1).env
        began = env.now_ns()
        ran: list[str] = []
        env.set_timer(20, lambda: ran.append("late"))
        env.set_timer(1, lambda: ran.append("soon"))
        env.set_timer(1, lambda: ran.append("never")).cancel()
        env.post(lambda: ran.append("now"))
        await until(lambda: len(ran) == 3)
        assert sorted(ran) == ["late", "now", "soon"]
        assert ran.index("soon") < ran.index("late")
        assert env.now_ns() - began >= 15_000_000

    loop.run_until_complete(story())


def test_the_wall_clock_can_be_skewed_for_tests(loop: asyncio.AbstractEventLoop) -> None:
    env = Peer(loop, 1).env
    assert abs(env.wall_us() - time.time_ns() // 1000) < 1_000_000
    env.skew_us = -3_600_000_000
    assert env.wall_us() < time.time_ns() // 1000 - 3_000_000_000


def test_two_nodes_draw_different_chances(loop: asyncio.AbstractEventLoop) -> None:
    one, two = Peer(loop, 1).env, Peer(loop, 2).env
    assert one.random.random() != two.random.random()


def test_a_paused_node_runs_its_callbacks_later_in_order(
    loop: asyncio.AbstractEventLoop,
) -> None:
    async def story() -> None:
        env = Peer(loop, 1).env
        ran: list[int] = []
        env.pause()
        env.post(lambda: ran.append(1))
        await until(lambda: env._held == [ANY])
        env.set_timer(1, lambda: ran.append(2))
        await until(lambda: env._held == [ANY, ANY])
        assert ran == []
        env.resume()
        await until(lambda: ran == [1, 2])

    loop.run_until_complete(story())


def test_a_closed_world_runs_nothing_any_more(loop: asyncio.AbstractEventLoop) -> None:
    async def story() -> None:
        env = Peer(loop, 1).env
        ran: list[int] = []
        env.post(lambda: ran.append(1))
        env.close()
        await asyncio.sleep(0.01)
        assert ran == []

    loop.run_until_complete(story())
