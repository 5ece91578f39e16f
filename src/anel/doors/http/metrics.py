"""Every metric of a node: its name, kind and meaning, and the Prometheus text of `/metrics`.

Nodes count in plain integers; only a scrape turns them into metrics, and only the first scrape
imports prometheus_client.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple


class Metric(NamedTuple):
    """One metric. `label` is the name of its only label, empty for none."""

    kind: Literal["counter", "gauge"]
    meaning: str
    label: str = ""


METRICS: dict[str, Metric] = {
    "anel_ready": Metric("gauge", "1 when the node serves clients."),
    "anel_uptime_seconds": Metric("gauge", "Time since the process started."),
    "anel_loop_lag_ms": Metric("gauge", "The longest the event loop was late, last 10 s."),
    "anel_ring_epoch": Metric("gauge", "The epoch of the ring view in force."),
    "anel_nodes": Metric("gauge", "Members of the ring by state as seen here.", "state"),
    "anel_requests_total": Metric("counter", "Requests this node coordinated.", "kind"),
    "anel_requests_failed_total": Metric(
        "counter", "Those that failed, by error code.", "code"
    ),
    "anel_requests_in_flight": Metric("gauge", "Requests that wait for replicas or disk."),
    "anel_differing_reads_total": Metric("counter", "Reads whose replicas differed."),
    "anel_read_repairs_total": Metric(
        "counter", "Rows sent to replicas that a read found stale."
    ),
    "anel_speculations_total": Metric(
        "counter", "Reads that asked one more replica, for time."
    ),
    "anel_reissued_writes_total": Metric("counter", "Writes stamped anew above newer data."),
    "anel_hinted_writes_total": Metric("counter", "Mutations kept here instead of delivered."),
    "anel_hints": Metric("gauge", "Mutations kept here for nodes that were away."),
    "anel_hints_bytes": Metric("gauge", "Their size."),
    "anel_hints_dropped_total": Metric("counter", "Hints not kept, for lack of room."),
    "anel_hints_replayed_total": Metric("counter", "Hints delivered and acked."),
    "anel_repair_in_sync": Metric("gauge", "1 once all ranges were compared since the start."),
    "anel_repair_pulled_total": Metric(
        "counter", "Rows lacking or older here, taken by anti-entropy."
    ),
    "anel_repair_pushed_total": Metric(
        "counter", "Rows lacking or older at a peer, sent by anti-entropy."
    ),
    "anel_leaves_differing": Metric("gauge", "Leaves found to differ in the last comparisons."),
    "anel_rows": Metric("gauge", "Rows stored here, also deleted and expired ones."),
    "anel_disk_bytes": Metric("gauge", "Disk space that the store takes."),
    "anel_store_recovering": Metric("gauge", "1 while a damaged store is being refilled."),
    "anel_links_up": Metric("gauge", "Peers that can be sent to."),
    "anel_link_queued_bytes": Metric("gauge", "What waits to be sent to peers."),
    "anel_link_frames_sent_total": Metric("counter", "Frames sent to peers."),
    "anel_link_messages_sent_total": Metric("counter", "Messages in those frames."),
    "anel_link_bytes_sent_total": Metric("counter", "Their bytes."),
    "anel_link_messages_refused_total": Metric("counter", "Messages a full queue refused."),
    "anel_connections": Metric("gauge", "Clients connected.", "door"),
    "anel_connections_total": Metric("counter", "Clients ever connected.", "door"),
    "anel_connections_refused_total": Metric("counter", "Clients refused: too many.", "door"),
    "anel_messages_dropped_total": Metric("counter", "Messages of peers that made no sense."),
}


def render(measures: Iterable[tuple[str, str, float]]) -> tuple[str, bytes]:
    """Write measures as Prometheus text.

    Returns:
        The content type and the text.

    Raises:
        KeyError: A measure is not in METRICS: add it there and to docs/reference/metrics.md.
    """
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, core
    from prometheus_client.exposition import generate_latest
    from prometheus_client.registry import Collector

    families: dict[str, core.CounterMetricFamily | core.GaugeMetricFamily] = {}
    for name, label_value, value in measures:
        metric = METRICS[name]
        family = families.get(name)
        if family is None:
            is_counter = metric.kind == "counter"
            form = core.CounterMetricFamily if is_counter else core.GaugeMetricFamily
            labels = [metric.label] if metric.label else []
            family = families[name] = form(name, metric.meaning, labels=labels)
        family.add_metric([label_value] if metric.label else [], value)

    class Snapshot(Collector):
        def collect(self) -> Iterable[core.Metric]:
            return families.values()

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Snapshot())
    return CONTENT_TYPE_LATEST, generate_latest(registry)
