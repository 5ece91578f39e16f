"""Fences: tables on which this node holds still while a TRUNCATE chooses its instant.

A truncation must remove all that was issued before it and nothing issued after. A replica
cannot tell by a row alone when it was issued, so all nodes first hold still::

    FENCE       from now on mutations and reads of the table wait here; answer this node's clock
    at          the coordinator: above the clocks of all nodes, so above everything issued
    TRUNCATE    record `at`, remove all records, ack once durable, let go of what waits:
                what was issued at or before `at` is dropped, later mutations are applied
    RELEASE     the coordinator gave up: let go, nothing changed

A fence falls by itself after FENCE_MS (its coordinator died); a TRUNCATE that finds its fence
fallen is refused. Several truncations of one table may overlap: each has a fence of its own.

Source: CORRECTNESS 12.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import TypeAlias

import msgspec

from anel.coordinator.ports import RingPort, SchemaPort
from anel.data.timestamp import HybridClock
from anel.env import Callback, Env, NodeId, Timer
from anel.internode.messages import (
    REPLY,
    MessageType,
    Status,
    body_of,
    pack_control,
    request_of,
)
from anel.limits import REQUESTS_IN_FLIGHT_MAX, WRITE_TIMEOUT_MS
from anel.storage.store import Store

FENCE_MS = 2 * WRITE_TIMEOUT_MS  # Longer than its coordinator waits for all fences to stand.


class Stage(IntEnum):
    """The steps of a truncation. Between nodes since format 1: never renumber."""

    FENCE = 0
    TRUNCATE = 1
    RELEASE = 2


class TruncateStep(msgspec.Struct, frozen=True, array_like=True):
    """Body of TRUNCATE.

    Attributes:
        epoch: Of the sender's ring view.
        table: Whose records.
        fence: Names the truncation: its coordinator and a number of its own.
        stage: A `Stage`.
        at: The HLC of the truncation, once chosen.
    """

    epoch: int
    table: bytes
    fence: bytes
    stage: int
    at: int = 0


class TruncateReply(msgspec.Struct, frozen=True, array_like=True):
    """Body of TRUNCATE's reply: a `Status`, and the replica's clock."""

    status: int
    clock: int


Stepped: TypeAlias = Callable[[TruncateReply], None]


class Fences:
    """The fences that stand on this node, and what waits behind them."""

    def __init__(
        self, env: Env, store: Store, ring: RingPort, schema: SchemaPort, *, clock: HybridClock
    ) -> None:
        self._env = env
        self._store = store
        self._ring = ring
        self._schema = schema
        self._clock = clock
        self.standing: dict[bytes, dict[bytes, Timer]] = {}
        self._held: dict[bytes, list[Callback]] = {}

    def is_fenced(self, table: bytes) -> bool:
        """Tell whether a table must be left alone now, by repair too."""
        return table in self.standing

    def hold(self, table: bytes, callback: Callback) -> bool:
        """Keep a call until a fenced table is let go; False when too many wait."""
        held = self._held.setdefault(table, [])
        if len(held) >= REQUESTS_IN_FLIGHT_MAX:
            return False
        held.append(callback)
        return True

    def on_truncate(self, peer: NodeId, message: bytes) -> None:
        """Serve TRUNCATE."""
        request = request_of(message)
        step: TruncateStep = body_of(message, TruncateStep)
        if step.epoch > self._ring.epoch:
            self._ring.pull(peer)

        def reply(body: TruncateReply) -> None:
            self._env.send(peer, pack_control(MessageType.TRUNCATE | REPLY, request, body))

        self.take(step, reply)

    def take(self, step: TruncateStep, done: Stepped) -> None:
        """Carry out one step; `done` may run before this returns."""
        if step.epoch != self._ring.epoch:
            self._reply(Status.WRONG_EPOCH, done)
        elif step.stage == Stage.RELEASE:
            self._lower(step.table, step.fence)
            self._reply(Status.OK, done)
        elif self._schema.table_by_id(step.table) is None:
            self._reply(Status.UNKNOWN_TABLE, done)
        elif step.stage == Stage.FENCE:
            self._raise(step)
            self._reply(Status.OK, done)
        else:
            self._truncate(step, done)

    def _reply(self, status: Status, done: Stepped) -> None:
        done(TruncateReply(status, self._clock.last_us))

    def _raise(self, step: TruncateStep) -> None:
        table, fence = step.table, step.fence
        fences = self.standing.setdefault(table, {})
        if fence not in fences:
            fences[fence] = self._env.set_timer(FENCE_MS, lambda: self._lower(table, fence))

    def _truncate(self, step: TruncateStep, done: Stepped) -> None:
        if step.fence not in self.standing.get(step.table, {}):
            self._reply(Status.OVERLOADED, done)
            return
        self._schema.truncated(step.table, step.at)
        self._store.truncate(step.table)
        self._lower(step.table, step.fence)
        self._store.when_durable(lambda: self._reply(Status.OK, done), forced=True)

    def _lower(self, table: bytes, fence: bytes) -> None:
        fences = self.standing.get(table)
        timer = None if fences is None else fences.pop(fence, None)
        if timer is None:
            return
        timer.cancel()
        if fences:
            return
        del self.standing[table]
        for callback in self._held.pop(table, ()):
            callback()
