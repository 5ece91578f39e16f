"""A node as its doors see it (`anel.doors.backend.Backend`)."""

from collections.abc import Callable

from anel.data.schema import Table
from anel.env import Env
from anel.node.node import Node


class DoorBackend:
    """Hands a door the parts of its node; the hot ones as bound methods, with no call between.

    Attributes:
        is_stopping: The node is draining: nothing new is taken on.
    """

    def __init__(self, node: Node, env: Env) -> None:
        coordinator = node.coordinator
        self._node = node
        self.is_stopping = False
        # A door's tables are this schema's own, so the wider types do no harm.
        self.write: Callable[..., None] = coordinator.write
        self.read_row: Callable[..., None] = coordinator.read_row
        self.read_page: Callable[..., None] = coordinator.read_page
        self.truncate: Callable[..., None] = coordinator.truncate
        self.now = coordinator.now
        self.now_ms = coordinator.now_ms
        self.post = env.post

    @property
    def ready(self) -> bool:
        """False while the node reads its store or is stopping."""
        return self._node.is_ready and not self.is_stopping

    def table(self, keyspace: str, name: str) -> Table | None:
        """Give a table as the schema has it now, None when there is none."""
        return self._node.schema.table(keyspace, name)
