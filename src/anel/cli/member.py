"""One node as `anel up` sees it: its state, who waits for it, what it may be told.

stopped --start--> starting --PONG--> serving <--pause/resume--> paused
   ^___________________ it ended, however that came ________________|
"""

from typing import Any, Protocol

from anel.cli.control import Answer

STOPPED, STARTING, SERVING, PAUSED = "stopped", "starting", "serving", "paused"


class Engine(Protocol):
    """What runs a node: a process of its own, or threads of this one."""

    pid: int | None

    def load(self) -> None:
        """Get ready to start."""

    def start(self) -> None:
        """Start the node."""

    def drain(self) -> None:
        """Ask the node to finish what it has begun and stop."""

    def kill(self) -> None:
        """End the node without any flush."""

    def pause(self) -> None:
        """Stop the node where it is, with its connections open."""

    def resume(self) -> None:
        """Let a paused node go on."""

    def ended(self) -> str | None:
        """Say how the node ended, once; None while it runs."""

    def let_go(self) -> None:
        """Give up what was got ready and not started."""


class Member:
    """One node of the ring that this `anel up` runs."""

    def __init__(
        self, number: int, facts: dict[str, Any], engine: Engine, *, where: str = ""
    ) -> None:
        """Make the member, stopped; `where` is what commands need to find its ring."""
        self.number = number
        self.facts = facts
        self._where = where
        self.engine = engine
        self.state = STOPPED
        self.started_at = 0.0
        self.ready_after: float | None = None
        self.asked_to_end = ""
        self._waiting: list[tuple[str, Answer]] = []

    @property
    def name(self) -> str:
        """The node as people read it."""
        return f"node {self.number}"

    @property
    def address(self) -> tuple[str, int]:
        """Where the node's Redis door is."""
        host, _, port = self.facts["resp"].rpartition(":")
        return host, int(port)

    def _command(self, what: str) -> str:
        return f"`anel {what} {self.number}{self._where}`"

    def begin(self, now: float) -> None:
        """Start the node."""
        self.state, self.started_at, self.ready_after = STARTING, now, None
        self.asked_to_end = ""
        self.engine.start()
        self.facts["pid"] = self.engine.pid

    def serves(self, now: float) -> None:
        """Note that the node answers its clients."""
        self.state, self.ready_after = SERVING, now - self.started_at
        self._answer(
            "start",
            f"{self.name} serves at {self.facts['resp']}, ready after {self.ready_after:.2f} s",
        )

    def has_ended(self, how: str) -> str:
        """Note that the node has ended; give the line that tells so."""
        self.state, self.facts["pid"] = STOPPED, None
        again = f"{self._command('start')} starts it again"
        if self.asked_to_end:
            line = f"{self.name} {self.asked_to_end}; {again}"
        else:
            line = f"{self.name} {how}; {again}"
        for wanted, answer in self._take_waiting():
            answer(wanted == "end", line)
        return line

    def obey(self, what: str, answer: Answer, now: float) -> str:
        """Do what was ordered; answer at once or when it is done; give a line to show."""
        if what == "start":
            return self._start(answer, now)
        if self.state == STOPPED:
            answer(False, f"{self.name} is stopped; {self._command('start')} starts it")
            return ""
        if what == "kill":
            self.asked_to_end = f"(process {self.engine.pid}) was killed with -9 by `anel kill`"
            self._waiting.append(("end", answer))
            self.engine.kill()
            return ""
        return self._pause(answer) if what == "pause" else self._resume(answer)

    def _start(self, answer: Answer, now: float) -> str:
        if self.state != STOPPED:
            answer(False, f"{self.name} runs already (process {self.engine.pid}, {self.state})")
            return ""
        self._waiting.append(("start", answer))
        self.begin(now)
        return f"{self.name} is starting (process {self.engine.pid})"

    def _pause(self, answer: Answer) -> str:
        if self.state != SERVING:
            answer(False, f"{self.name} is {self.state}: only a node that serves can be paused")
            return ""
        self.engine.pause()
        self.state = PAUSED
        line = (
            f"{self.name} is paused, its connections stay open and silent; "
            f"{self._command('resume')} lets it go on"
        )
        answer(True, line)
        return line

    def _resume(self, answer: Answer) -> str:
        if self.state != PAUSED:
            answer(False, f"{self.name} is {self.state}, not paused")
            return ""
        self.engine.resume()
        self.state = SERVING
        line = f"{self.name} goes on"
        answer(True, line)
        return line

    def _answer(self, wanted: str, text: str) -> None:
        for waited, answer in self._take_waiting():
            answer(waited == wanted, text)

    def _take_waiting(self) -> list[tuple[str, Answer]]:
        waiting, self._waiting = self._waiting, []
        return waiting
