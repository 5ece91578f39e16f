"""A node as its doors see it (`anel.doors.backend.Backend`)."""

from collections.abc import Callable

from anel.data.schema import Table
from anel.node.node import Node
from anel.runtime.env import RuntimeEnv


class DoorBackend:
    """Hands a door the parts of its node; the hot ones as bound methods, with no call between.

    It is made once the node is ready.

    Attributes:
        ready: Cleared when the node drains: nothing new is taken on.
    """

    def __init__(self, node: Node, env: RuntimeEnv) -> None:
        coordinator = node.coordinator
        self.ready = True
        # A door's tables are this schema's own, so the wider types do no harm.
        self.write: Callable[..., None] = coordinator.write
        self.read_row: Callable[..., None] = coordinator.read_row
        self.read_page: Callable[..., None] = coordinator.read_page
        self.truncate: Callable[..., None] = coordinator.truncate
        self.now = coordinator.now
        self.now_ms = env.wall_ms
        self.table: Callable[[str, str], Table | None] = node.schema.table
        self.post = env.post
