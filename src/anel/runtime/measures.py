"""What a node counts, under the names of `anel.doors.http.metrics.METRICS`."""

from collections.abc import Iterator

from anel.errors import (
    Overloaded,
    ReadFailed,
    ReadTimeout,
    Unavailable,
    WriteFailed,
    WriteTimeout,
)
from anel.membership.endpoint import Standing
from anel.node.node import Node
from anel.runtime.listener import Listener
from anel.runtime.transport import Transport


def node_measures(node: Node) -> Iterator[tuple[str, str, float]]:
    """Give what the node's parts count, as (name, label's value, value)."""
    store = node.store
    yield "anel_ready", "", node.is_ready
    yield "anel_ring_epoch", "", node.ring.epoch
    standings = [endpoint.standing for endpoint in node.membership.endpoints()]
    for standing in Standing:
        yield "anel_nodes", standing.name.lower(), standings.count(standing)
    yield from _coordinated(node)
    yield "anel_hints", "", node.hints.count
    yield "anel_hints_bytes", "", node.hints.size_bytes
    yield "anel_hints_dropped_total", "", node.hints.dropped
    repair = node.anti_entropy
    yield "anel_hints_replayed_total", "", node.hint_replay.replayed
    yield "anel_repair_in_sync", "", repair.is_in_sync
    yield "anel_repair_pulled_total", "", repair.totals.pulled
    yield "anel_repair_pushed_total", "", repair.totals.pushed
    yield "anel_leaves_differing", "", sum(repair.differing.values())
    yield "anel_rows", "", sum(store.summary(table).rows for table in store.tables())
    yield "anel_disk_bytes", "", store.disk_bytes()
    yield "anel_store_recovering", "", store.recovering
    yield "anel_messages_dropped_total", "", node.malformed


def _coordinated(node: Node) -> Iterator[tuple[str, str, float]]:
    counters = node.coordinator.counters
    for kind in ("writes", "reads", "pages", "truncates"):
        yield "anel_requests_total", kind, getattr(counters, kind)
    for error, count in (
        (Unavailable, counters.unavailable),
        (Overloaded, counters.overloaded),
        (WriteTimeout, counters.write_timeouts),
        (WriteFailed, counters.write_failures),
        (ReadTimeout, counters.read_timeouts),
        (ReadFailed, counters.read_failures),
    ):
        yield "anel_requests_failed_total", error.code, count
    yield "anel_requests_in_flight", "", node.coordinator.in_flight
    yield "anel_differing_reads_total", "", counters.differing_reads
    yield "anel_read_repairs_total", "", counters.repairs_sent
    yield "anel_speculations_total", "", counters.speculations
    yield "anel_reissued_writes_total", "", counters.reissues
    yield "anel_hinted_writes_total", "", counters.hints


def link_measures(transport: Transport) -> Iterator[tuple[str, str, float]]:
    """Give what the links between nodes count."""
    yield "anel_links_up", "", transport.links_up
    yield "anel_link_queued_bytes", "", transport.queued_bytes
    yield "anel_link_frames_sent_total", "", transport.frames_sent
    yield "anel_link_messages_sent_total", "", transport.messages_sent
    yield "anel_link_bytes_sent_total", "", transport.bytes_sent
    yield "anel_link_messages_refused_total", "", transport.messages_refused


def door_measures(listeners: dict[str, Listener]) -> Iterator[tuple[str, str, float]]:
    """Give what the doors count."""
    for name, listener in listeners.items():
        yield "anel_connections", name, listener.connections
        yield "anel_connections_total", name, listener.accepted
        yield "anel_connections_refused_total", name, listener.refused
