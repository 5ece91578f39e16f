"""What users import in their own tests: a ring in this process, to be broken at will.

    with anel.testing.cluster(3) as ring:
        redis.Redis(*ring.nodes[0].address("resp")).set("k", "v")
        ring.nodes[1].kill()

The pytest plugin (fixtures `anel_ring`, `anel_keyspace`) is in anel.testing.plugin. Nothing of
a node is imported before a ring is asked for.
"""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from anel.testing.local_ring import LocalRing


def cluster(
    nodes: int = 3,
    *,
    store: Literal["rocksdb", "memory"] = "rocksdb",
    durability: Literal["group", "periodic", "none"] = "group",
    replication: int | None = None,
) -> "LocalRing":
    """Start a ring in this process; use it in a `with` block, or call `stop()` yourself.

    It runs in a thread of its own on free loopback ports, with its data in a temporary folder
    that is removed at the end. Signal handlers, garbage collection, the event loop policy,
    logging and warnings of this process stay as they are.

    Args:
        nodes: How many.
        store: `memory` keeps everything in memory, and through `kill()` only what was synced.
        durability: When a write is acknowledged.
        replication: Copies of each row of keyspace redis; min(3, nodes) unless given.

    Raises:
        AnelError: A node could not start; nothing is left behind.
    """
    from anel.testing.local_ring import LocalRing

    return LocalRing(
        nodes, store=store, durability=durability, replication=replication or min(3, nodes)
    )
