"""No ack leaves a node before the fsync, begun after the write, that covers it: seen by strace.

Source: CORRECTNESS 5.
"""

from pathlib import Path

import pytest

from tests.process.evidence import by_length, tell
from tests.process.live_ring import started
from tests.process.system_calls import Acks, Trace, judge, parse
from tests.process.wire import Wire

ONE_BY_ONE = by_length(100, 1000)
PIPELINES = by_length(8, 40)
PIPELINE_LENGTH = 16


def traced(tmp_path: Path, durability: str) -> Acks:
    """Write one by one, then pipelined, with the node under strace."""
    values: list[str] = []

    def command() -> tuple[bytes, bytes, bytes]:
        values.append(f"<value {len(values)}>")
        return b"SET", b"k%d" % (len(values) % 7), values[-1].encode()

    with started(tmp_path / "data", 1, "--durability", durability) as up:
        door = up.port(0)
        trace = Trace(up.pid(0), tmp_path / "trace")
        with Wire(("127.0.0.1", door)) as wire, trace:
            for _ in range(ONE_BY_ONE):
                assert wire.ask(*command()) == b"OK"
            for _ in range(PIPELINES):
                wire.send([command() for _ in range(PIPELINE_LENGTH)])
                replies = [wire.reply() for _ in range(PIPELINE_LENGTH)]
                assert replies == [b"OK"] * PIPELINE_LENGTH
    return judge(trace.calls, values, door)


@pytest.mark.strace
def test_no_ack_leaves_before_its_record_is_on_disk(tmp_path: Path) -> None:
    acks = traced(tmp_path, "group")
    tell(
        f"strace, group: {acks.synced} acks, one by one and in pipelines of "
        f"{PIPELINE_LENGTH}, each after an fdatasync begun after its record was written; "
        f"{acks.syncs} syncs; {len(acks.early)} early"
    )
    assert not acks.early, acks.early[:5]
    assert acks.synced == ONE_BY_ONE + PIPELINES * PIPELINE_LENGTH


@pytest.mark.strace
def test_acks_that_do_not_wait_for_the_disk_are_told_apart(tmp_path: Path) -> None:
    acks = traced(tmp_path, "periodic")  # It promises no more than the last second.
    assert len(acks.early) > acks.synced
    tell(f"strace, periodic: {len(acks.early)} acks leave early, as that setting says")


OPEN = '7 1.0 write(3</d/4.log>, "<value 0>", 9) = 9\n'
ACK = '7 1.0 write(4<TCP:[127.0.0.1:6379->127.0.0.1:5]>, "+OK\\r\\n", 5) = 5\n'
BEGIN = "8 1.0 fdatasync(3</d/4.log> <unfinished ...>\n"
END = "8 1.0 <... fdatasync resumed>) = 0\n"
OTHER = "8 1.0 fdatasync(5</d/3.log>) = 0\n"
FAILED = "8 1.0 fdatasync(3</d/4.log>) = -1 EIO (Input/output error)\n"


@pytest.mark.parametrize(
    ("trace", "synced"),
    [
        (OPEN + BEGIN + END + ACK, 1),
        (BEGIN + OPEN + END + ACK, 0),
        (OPEN + BEGIN + ACK + END, 0),
        (OPEN + ACK + BEGIN + END, 0),
        (OPEN + OTHER + ACK, 0),
        (OPEN + FAILED + ACK, 0),
        (BEGIN + END + ACK, 0),
    ],
)
def test_only_a_sync_between_record_and_ack_counts(trace: str, synced: int) -> None:
    assert judge(parse(trace), ["<value 0>"], 6379).synced == synced
