"""The loop of `anel up`: starts the nodes, watches them, takes orders, and stops them all.

One thread around one selector; signals and ends of children wake it through a socket pair.
"""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable
from selectors import EVENT_READ, DefaultSelector
from typing import Any

from anel.cli.control import Answer, ControlSocket
from anel.cli.data_folder import DataFolder
from anel.cli.member import PAUSED, STARTING, STOPPED, Member
from anel.cli.probe import Probe

PROBE_SECONDS = 0.004
DRAIN_SECONDS = 4.5  # All is over within 5 s of the signal.
SLOW_START_SECONDS = 10.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Say = Callable[[str], None]


class Supervisor:
    """Runs the nodes of one ring until it is told to stop."""

    def __init__(
        self,
        folder: DataFolder,
        ring: dict[str, Any],
        members: list[Member],
        *,
        say: Say,
        started_at: float,
    ) -> None:
        self._folder = folder
        self._ring = ring
        self.members = members
        self._say = say
        self._started_at = started_at
        self._selector = DefaultSelector()
        self._probes: dict[int, Probe] = {}
        self._slow_told: set[int] = set()
        self._stop_by: float | None = None
        self._stop_answers: list[Answer] = []
        self._forced = False
        self._all_drained = True
        self.ready_after: float | None = None
        self._wake_reader, self._wake_writer = socket.socketpair()
        for end in (self._wake_reader, self._wake_writer):
            end.setblocking(False)
        self._selector.register(self._wake_reader, EVENT_READ, self._woken)
        self._control = ControlSocket(self._selector, folder, self._order)

    def wake(self) -> None:
        """Let the loop look around; safe from any thread."""
        with contextlib.suppress(BlockingIOError):
            self._wake_writer.send(b"\0")

    def run(self, when_started: Callable[[], None]) -> bool:
        """Start every node and serve until told to stop and every node has ended.

        Args:
            when_started: Called once when each node serves or has ended.

        Returns:
            True when at least one node served and all stopped in good order.
        """
        before = {number: signal.signal(number, _noted) for number in STOP_SIGNALS}
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, _noted)
        signal.set_wakeup_fd(self._wake_writer.fileno(), warn_on_full_buffer=False)
        try:
            for member in self.members:
                self._begin(member)
            self._note()
            self._serve(when_started)
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._end()
        return self._all_drained and self.ready_after is not None

    def _serve(self, when_started: Callable[[], None]) -> None:
        while self._stop_by is None or any(m.state != STOPPED for m in self.members):
            for key, _ in self._selector.select(self._patience()):
                key.data()
            self._reap()
            self._probe()
            if self.ready_after is None and self._stop_by is None:
                self._look_whether_started(when_started)
            if self._stop_by is not None and time.monotonic() > self._stop_by:
                self._force(" did not stop in time: it")

    def _look_whether_started(self, when_started: Callable[[], None]) -> None:
        if any(member.state == STARTING for member in self.members):
            return
        if all(member.state == STOPPED for member in self.members):
            self._say("no node has started")
            self._stop_by = time.monotonic()
            return
        self.ready_after = time.monotonic() - self._started_at
        when_started()

    def _patience(self) -> float | None:
        if any(member.state == STARTING for member in self.members):
            return PROBE_SECONDS
        return None if self._stop_by is None else 0.05

    def _begin(self, member: Member) -> None:
        member.begin(self._started_at)
        self._watch(member)

    def _watch(self, member: Member) -> None:
        number = member.number
        self._slow_told.discard(number)
        self._probes[number] = Probe(
            self._selector, member.address, lambda: self._is_ready(member)
        )

    def _is_ready(self, member: Member) -> None:
        del self._probes[member.number]
        member.serves(time.monotonic())
        member.facts["has_served"] = True
        self._note()
        if self.ready_after is not None:
            self._say(f"{member.name} serves again at {member.facts['resp']}")

    def _probe(self) -> None:
        for number, probe in list(self._probes.items()):
            probe.attempt()
            member = self.members[number]
            if (
                time.monotonic() - member.started_at > SLOW_START_SECONDS
                and number not in self._slow_told
            ):
                self._slow_told.add(number)
                self._say(
                    f"{member.name} is still starting after {SLOW_START_SECONDS:.0f} s; "
                    f"its log: {self._folder.node_log(number)}"
                )

    def _reap(self) -> None:
        for member in self.members:
            how = member.engine.ended()
            if how is None:
                continue
            probe = self._probes.pop(member.number, None)
            if probe is not None:
                probe.close()
            line = member.has_ended(how + self._last_words(member.number))
            self._note()
            if self._stop_by is None:
                self._say(line)

    def _last_words(self, number: int) -> str:
        log = self._folder.node_log(number)
        with contextlib.suppress(OSError), log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 4096))
            lines = file.read().decode("utf-8", "replace").split("\n")
            words = [line.strip() for line in lines if line.strip()]
            if words:
                return f" ({words[-1][:200]}; log: {log})"
        return f" (log: {log})"

    def _order(self, order: dict[str, Any], answer: Answer) -> None:
        what, number = order.get("do"), order.get("node")
        if what == "stop":
            self._stop_answers.append(answer)
            self._stop("`anel down`")
        elif self._stop_by is not None:
            answer(False, "the ring is stopping; start it again with `anel up`")
        elif what in ("start", "kill", "pause", "resume") and isinstance(number, int):
            if 0 <= number < len(self.members):
                self._order_node(self.members[number], what, answer)
            else:
                answer(
                    False, f"there is no node {number}; accepted: 0 to {len(self.members) - 1}"
                )
        else:
            answer(False, f"unknown order {what!r}: `anel` and `anel up` are of other releases")

    def _order_node(self, member: Member, what: str, answer: Answer) -> None:
        def noted(ok: bool, text: str) -> None:  # noqa: FBT001
            self._note()  # Who has the answer may look at ring.json next.
            answer(ok, text)

        line = member.obey(what, noted, time.monotonic())
        if member.state == STARTING and member.number not in self._probes:
            self._watch(member)
        if line:
            self._say(line)
        self._note()

    def _woken(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for number in self._wake_reader.recv(4096):
                if number in STOP_SIGNALS:
                    self._stop(signal.Signals(number).name)

    def _stop(self, why: str) -> None:
        if self._stop_by is not None:
            if why.startswith("SIG"):
                self._force("")
            return
        self._stop_by = time.monotonic() + DRAIN_SECONDS
        self._say(f"stopping ({why}); Ctrl-C again stops at once")
        for member in self.members:
            if member.state != STOPPED:
                member.asked_to_end = "has stopped"
                member.engine.drain()
            else:
                member.engine.let_go()

    def _force(self, why: str) -> None:
        if self._forced:
            return
        self._forced = True
        for member in self.members:
            if member.state != STOPPED:
                self._all_drained = False
                self._say(f"{member.name}{why} was killed; nothing acknowledged is lost")
                member.engine.kill()

    def _note(self) -> None:
        """Keep ring.json as things are, for other commands and for the next `anel up`."""
        self._ring["up"] = {"pid": os.getpid(), "control": self._control.path}
        for member in self.members:
            member.facts["paused"] = member.state == PAUSED
        self._folder.write(self._ring)

    def _end(self) -> None:
        for member in self.members:
            if member.state != STOPPED:  # Only when something broke here.
                member.engine.kill()
        self._control.close()
        self._ring["up"] = None
        self._folder.write(self._ring)
        self._selector.close()
        self._folder.unlock()
        for answer in self._stop_answers:
            answer(self._all_drained, "stopped" if self._all_drained else "stopped by force")
        self._wake_reader.close()
        self._wake_writer.close()


def _noted(_number: int, _frame: object) -> None:
    """Do nothing: the wakeup descriptor has told the loop."""
