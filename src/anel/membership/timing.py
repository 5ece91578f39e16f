"""How fast membership beats: one small table, shorter in tests and in simulation."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Periods and waits of the failure detector and of gossip, in milliseconds.

    Attributes:
        period_ms: Each period a node probes one member and gossips with one.
        probe_ms: How long to wait for the answer to a probe.
        indirect_ms: How long to wait for the answers of those asked to probe in one's place.
        suspect_ms_min: How long a suspect may refute once enough nodes agree.
        suspect_ms_max: The same while only one node suspects it.
        grace_ms: After the start, silence of a member never heard is not held against it.
        helpers: How many others are asked to probe (SWIM's k).
    """

    period_ms: int = 1000
    probe_ms: int = 300  # Far above a stalled disk's hiccup on loopback or in one datacenter.
    indirect_ms: int = 600  # A helper's own probe, and the way there and back.
    suspect_ms_min: int = 1000
    suspect_ms_max: int = 3000
    grace_ms: int = 2000
    helpers: int = 3
