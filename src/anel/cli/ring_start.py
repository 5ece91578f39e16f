"""Brings the ring of one data folder up and says so: the second half of `anel up`."""

from typing import TYPE_CHECKING, Any

from anel.cli import leftovers
from anel.cli.data_folder import DataFolder, make_ring, place
from anel.cli.failures import EXIT_FAILED, EXIT_WELL
from anel.cli.member import SERVING, Member
from anel.cli.node_process import NodeProcess
from anel.cli.ports import choose_offset
from anel.cli.ready_table import ready_json, ready_text
from anel.cli.supervisor import Supervisor
from anel.cli.up import Say, Show
from anel.cli.up_options import UpOptions

if TYPE_CHECKING:
    from anel.cli.node_thread import InProcess


def start_ring(
    options: UpOptions,
    engines: list[NodeProcess],
    started_at: float,
    *,
    show: Show,
    say: Say,
) -> int:
    """Start the ring, serve until told to stop, give the exit code.

    Args:
        options: What was asked.
        engines: Node processes that load already, from node 0 on.
        started_at: The monotonic time in seconds at which the command began.
        show: Takes the table once every node serves or has ended.
        say: Takes each line that tells what happened.
    """
    folder = DataFolder(options.data)
    folder.lock()
    try:
        ring = make_ring(folder, options)
        leftovers.clear(ring, folder, say)
        offset, moved = choose_offset(len(ring["nodes"]), options.port_offset)
        place(folder, ring, offset, options.durability)
        shared = _in_process(folder, ring) if options.in_process else None
        members = _members(folder, ring, engines, shared)
        supervisor = Supervisor(folder, ring, members, say=say, started_at=started_at)
    except BaseException:
        folder.unlock()
        raise
    if moved:
        say(moved)

    def started() -> None:
        text = ready_json if options.json else ready_text
        all_up = all(member.state == SERVING for member in members)
        show(text(folder, ring, supervisor), all_up)

    if shared is None:
        return EXIT_WELL if supervisor.run(started) else EXIT_FAILED
    shared.wake = supervisor.wake
    try:
        return EXIT_WELL if supervisor.run(started) else EXIT_FAILED
    finally:
        shared.close()


def _in_process(folder: DataFolder, ring: dict[str, Any]) -> "InProcess":
    from anel.cli.node_thread import InProcess

    return InProcess([folder.node_folder(node["node"]) for node in ring["nodes"]])


def _members(
    folder: DataFolder,
    ring: dict[str, Any],
    engines: list[NodeProcess],
    shared: "InProcess | None",
) -> list[Member]:
    if shared is not None:
        from anel.cli.node_thread import NodeThread

        return [
            Member(
                node["node"],
                node,
                NodeThread(node["node"], folder.node_folder(node["node"]), shared),
                where=folder.option,
            )
            for node in ring["nodes"]
        ]
    while len(engines) < len(ring["nodes"]):
        engines.append(NodeProcess(str(folder.node_folder(len(engines)))))
        engines[-1].load()
    return [
        Member(node["node"], node, engine, where=folder.option)
        for node, engine in zip(ring["nodes"], engines, strict=True)
    ]
