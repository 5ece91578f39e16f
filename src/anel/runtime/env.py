"""The real world for one node: the process's clocks, an event loop's timers, TCP links.

The event loop is an argument, so that many nodes can share one, and so that the simulation can
run this very shell on a loop of its own.
"""

import asyncio
import os
import time
from random import Random

from anel.env import Address, Callback, NodeId, Timer
from anel.runtime.transport import Transport


class RuntimeEnv:
    """`anel.env.Env` over the real world.

    Attributes:
        random: Seeded by the operating system.
        skew_us: Added to the wall clock, for tests of clocks that differ.
        send: The transport's own method: a message is not worth one more call.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: Transport) -> None:
        self._loop = loop
        self._transport = transport
        self._random = Random(os.urandom(32))  # noqa: S311 - Jitter and probes, no secrets.
        self._held: list[Callback] | None = None
        self._is_closed = False
        self.skew_us = 0
        self.send = transport.send

    @property
    def random(self) -> Random:
        """The node's only source of chance."""
        return self._random

    def now_ns(self) -> int:
        """Tell the monotonic time in nanoseconds."""
        return time.monotonic_ns()

    def wall_us(self) -> int:
        """Tell the wall clock in microseconds since the Unix epoch."""
        return time.time_ns() // 1000 + self.skew_us

    def wall_ms(self) -> int:
        """Tell the wall clock in milliseconds: what doors ask for each command."""
        return (time.time_ns() // 1000 + self.skew_us) // 1000

    def learn(self, peer: NodeId, address: Address) -> None:
        """Remember where a peer listens and keep a link to it open from now on."""
        self._transport.learn(peer, address)

    def forget(self, peer: NodeId) -> None:
        """Drop the link to a peer and stop dialling it."""
        self._transport.forget(peer)

    def dial(self, address: Address) -> None:
        """Try once to reach an address whose node id is unknown (a seed)."""
        self._transport.dial(address)

    def set_timer(self, delay_ms: int, callback: Callback) -> Timer:
        """Run a callback once, `delay_ms` from now."""
        return self._loop.call_later(delay_ms / 1000, self._run, callback)

    def post(self, callback: Callback) -> None:
        """Run a callback soon, after what runs now has returned."""
        self._loop.call_soon(self._run, callback)

    def pause(self) -> None:
        """Hold every callback back until `resume`, as a stopped process would."""
        if self._held is None:
            self._held = []

    def resume(self) -> None:
        """Run what was held back, in the order in which it came due."""
        held, self._held = self._held or [], None
        for callback in held:
            self._loop.call_soon(self._run, callback)

    def close(self) -> None:
        """Run no callback any more: the node is gone, the loop may go on."""
        self._is_closed = True

    def _run(self, callback: Callback) -> None:
        if self._is_closed:
            return
        if self._held is None:
            callback()
        else:
            self._held.append(callback)
