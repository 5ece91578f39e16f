"""Fixtures of the runtime's tests: a loop of each kind, peers that are closed at the end."""

import asyncio
from collections.abc import Iterator

import pytest

from anel.runtime.loop import new_event_loop
from tests.unit.runtime.world import MakePeer, Peer


@pytest.fixture(params=["uvloop", "asyncio"])
def loop(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop]:
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    loop = new_event_loop(plain=request.param == "asyncio")
    loop.set_debug(False)
    yield loop
    if not loop.is_closed():
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


@pytest.fixture
def make_peer(loop: asyncio.AbstractEventLoop) -> Iterator[MakePeer]:
    made: list[Peer] = []

    async def make(index: int, generation: int = 1, port: int = 0, **hello: object) -> Peer:
        peer = Peer(loop, index, generation)
        made.append(peer)
        await peer.start(port, **hello)
        return peer

    yield make

    async def close() -> None:
        for peer in made:
            peer.transport.close()
        await asyncio.sleep(0.01)

    loop.run_until_complete(close())
