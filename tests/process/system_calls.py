r"""What strace saw of a node: its writes to the commit log, the syncs of it, its acks.

    read(27<TCP:[...:6379->...]>, "*3\r\n$3\r\nSET...") = 39      a request comes
    write(22<.../db/000004.log>, "...value...", 151) = 151        its record is written
    fdatasync(22<.../db/000004.log>) = 0                          all before it is on disk
    write(27<TCP:[...:6379->...]>, "+OK\r\n", 5) = 5              the ack leaves

A call of one thread that another's interrupts stands on two lines; its time is that of both.
"""

import re
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

WRITES = ("write", "writev", "sendto", "sendmsg", "pwrite64", "pwritev", "pwritev2")
SYNCS = ("fdatasync", "fsync", "sync_file_range", "msync")
_LINE = re.compile(r"(?P<thread>\d+) +[\d.]+ (?P<rest>.*)")
_CALL = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)")
_RESUMED = re.compile(r"<\.\.\. (?P<name>\w+) resumed>(?P<arguments>.*)")
_FILE = re.compile(r"\d+<(?P<path>[^\n]*?)> ?[,)]")


class Call(NamedTuple):
    """One system call; `began` and `ended` are line numbers of the trace."""

    name: str
    path: str
    text: str
    began: int
    ended: int

    @property
    def has_failed(self) -> bool:
        """Whether it gave an error."""
        return " = -1 " in self.text


class Trace:
    """Traces a process while the block runs; read `calls` afterwards."""

    def __init__(self, pid: int, output: Path) -> None:
        self._output = output
        names = ",".join(("read", "recvfrom", "recvmsg", *WRITES, *SYNCS))
        self._process = subprocess.Popen(
            [
                *("strace", "-f", "-yy", "-ttt", "-s", "65536", "-e", f"trace={names}"),
                *("-o", str(output), "-p", str(pid)),
            ],
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        assert self._process.stderr is not None
        line = self._process.stderr.readline()
        assert "attached" in line, line
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.communicate(timeout=20)

    @property
    def calls(self) -> list[Call]:
        """All calls, in the order in which they began."""
        return parse(self._output.read_text(encoding="latin-1"))


def parse(trace: str) -> list[Call]:
    """Read strace's output."""
    calls: list[Call] = []
    unfinished: dict[str, tuple[int, str, str]] = {}
    for number, line in enumerate(trace.splitlines()):
        found = _LINE.fullmatch(line)
        if found is None:
            continue
        thread, rest = found["thread"], found["rest"]
        resumed = _RESUMED.fullmatch(rest)
        call = _CALL.fullmatch(rest)
        if resumed is not None and thread in unfinished:
            began, name, arguments = unfinished.pop(thread)
            calls.append(_call(name, arguments + resumed["arguments"], began, number))
        elif call is not None and rest.endswith("<unfinished ...>"):
            arguments = call["arguments"].removesuffix("<unfinished ...>")
            unfinished[thread] = (number, call["name"], arguments)
        elif call is not None:
            calls.append(_call(call["name"], call["arguments"], number, number))
    return sorted(calls, key=lambda call: call.began)


def _call(name: str, arguments: str, began: int, ended: int) -> Call:
    path = _FILE.search(arguments)
    return Call(name, path["path"] if path else "", arguments, began, ended)


class Acks(NamedTuple):
    """What a trace shows of some writes.

    Attributes:
        synced: How many were acked after a sync that began after their record was written.
        early: Those acked otherwise, in words.
        syncs: How many syncs of the commit log there were.
    """

    synced: int
    early: list[str]
    syncs: int


def judge(calls: list[Call], values: list[str], door: int) -> Acks:
    """Follow each value, sent in this order on one connection, from its record to its ack."""
    log_writes = [c for c in calls if c.name in WRITES and c.path.endswith(".log")]
    syncs = [
        c
        for c in calls
        if c.name in ("fdatasync", "fsync") and c.path.endswith(".log") and not c.has_failed
    ]
    acks = [
        call
        for call in calls
        if call.name in WRITES and f":{door}->" in call.path
        for _ in range(call.text.count("+OK\\r\\n"))
    ]
    assert len(acks) == len(values), f"{len(acks)} acks of {len(values)} writes"
    early = []
    for value, ack in zip(values, acks, strict=True):
        record = next((call for call in log_writes if value in call.text), None)
        if record is None:
            early.append(f"{value}: acked, and never written to a commit log")
        elif not any(
            sync.path == record.path and record.ended < sync.began and sync.ended < ack.began
            for sync in syncs
        ):
            early.append(f"{value}: record in line {record.ended}, ack in line {ack.began}")
    return Acks(len(values) - len(early), early, len(syncs))
