"""Hints: mutations kept on this node for replicas that could not take them.

A hint is one named state of the store, so it is as durable as a row, and leaves only when its
replica holds the mutation durably, or the bound per node is reached (counted, and shown)::

    name  = "hint/" node(16) class(1) issued(8) sequence(8)     issued plus 2**63
    value = format(1) mutation
    class   0  the hint alone satisfied a client (ANY): replayed first, synced before that ack
            1  every other

Names sort as hints are replayed: those of class 0 first, then the oldest. Anti-entropy carries
whatever a bound or a lost disk dropped, for hints only make replicas equal sooner.

Source: Dynamo (SOSP 2007), section 4.6; CORRECTNESS 5.
"""

from collections.abc import Callable
from struct import Struct
from typing import NamedTuple

from anel.data.mutation import issued_of
from anel.data.row import BIAS
from anel.env import Env, NodeId
from anel.errors import StorageError, UnknownFormat
from anel.limits import HINTS_BYTES_MAX_PER_NODE, SLICE_NS_MAX
from anel.storage.store import Store

FORMAT = 1  # On disk since format 1: never renumber.
PREFIX = b"hint/"
_SOLE = 0
_OTHER = 1
_NAME = Struct(">5s16sBQQ")
_LOAD_COUNT = 64  # Hints looked at between two looks at the clock.


class Hint(NamedTuple):
    """One kept mutation.

    Attributes:
        name: Of its state in the store.
        mutation: As it would have been sent.
    """

    name: bytes
    mutation: bytes


class Kept:
    """How much is kept for one node.

    Attributes:
        count: Hints.
        size_bytes: Their mutations' bytes.
        dropped: Hints refused since this process started, for want of room or disk.
    """

    __slots__ = ("count", "dropped", "size_bytes")

    def __init__(self) -> None:
        self.count = 0
        self.size_bytes = 0
        self.dropped = 0


class HintStore:
    """All hints of this node.

    Attributes:
        is_loaded: The hints of earlier processes have been counted; replay waits for that.
        kept: How many hints came in since the start.
        dropped: How many of them could not be kept.

    Args:
        env: This node's world.
        store: Where hints lie.
        generation: Which start of the node this is; greater than at any earlier start.
        bytes_max: Bound per target node.
    """

    def __init__(
        self,
        env: Env,
        store: Store,
        *,
        generation: int,
        bytes_max: int = HINTS_BYTES_MAX_PER_NODE,
    ) -> None:
        self._env = env
        self._store = store
        self._bytes_max = bytes_max
        self._targets: dict[NodeId, Kept] = {}
        # Above every number of an earlier process, so that names never meet. Not the wall
        # clock: it may jump back over a restart (seeds 364 and 512).
        self._first_sequence = self._sequence = generation << 32
        self.is_loaded = False
        self.kept = 0
        self.dropped = 0

    def load(self) -> None:
        """Count what earlier processes kept, in slices; call once, before replay starts."""
        self._load_from(PREFIX)

    def keep(
        self,
        node: NodeId,
        mutation: bytes,
        *,
        sole: bool,
        done: Callable[[bool], None] | None,
    ) -> None:
        """Keep a mutation for a node until it can take it.

        Args:
            node: Whom it is for.
            mutation: As it would have been sent.
            sole: The hint alone satisfies the client (ANY).
            done: Called with True once the hint is kept (`sole`: once it is durable), with
                False when it was dropped for want of room or because the disk failed.
        """
        target = self._target(node)
        is_kept = target.size_bytes + len(mutation) <= self._bytes_max
        if is_kept:
            try:
                self._store.put_meta(
                    self._name(node, mutation, sole=sole), bytes((FORMAT,)) + mutation
                )
            except StorageError:
                is_kept = False
        if not is_kept:
            target.dropped += 1
            self.dropped += 1
            if done is not None:
                done(False)
            return
        self.kept += 1
        target.count += 1
        target.size_bytes += len(mutation)
        if done is None:
            return
        if sole:
            self._store.when_durable(lambda: done(True), forced=True)
        else:
            done(True)

    def first(self, node: NodeId, after: bytes, count_max: int) -> list[Hint]:
        """List a node's hints in replay order.

        Args:
            node: Whom they are for.
            after: The name of the last one seen, b"" to begin.
            count_max: How many at most.

        Raises:
            UnknownFormat: A newer release wrote one: start that release, or wait until it has
                replayed them.
        """
        prefix = PREFIX + node
        start = after + b"\0" if after else prefix
        hints = []
        for name, value in self._store.metas(prefix, start, count_max):
            if value[:1] != bytes((FORMAT,)):
                raise UnknownFormat(
                    f"hint format {value[0] if value else 'none'} is unknown; this release "
                    f"reads format {FORMAT}: start the release that wrote it"
                )
            hints.append(Hint(name, value[1:]))
        return hints

    def remove(self, node: NodeId, hint: Hint) -> None:
        """Delete a hint: its node holds the mutation durably, or nobody wants it any more."""
        self._store.put_meta(hint.name, None)
        target = self._target(node)
        target.count -= 1
        target.size_bytes -= len(hint.mutation)

    def kept_for(self, node: NodeId) -> int:
        """Count the hints kept for one node."""
        target = self._targets.get(node)
        return target.count if target is not None else 0

    @property
    def count(self) -> int:
        """How many hints are kept for all nodes together."""
        return sum(target.count for target in self._targets.values())

    @property
    def size_bytes(self) -> int:
        """Their mutations' bytes."""
        return sum(target.size_bytes for target in self._targets.values())

    def targets(self) -> dict[NodeId, Kept]:
        """Tell how much is kept, and was dropped, for each node; in order of node ids."""
        return dict(sorted(self._targets.items()))

    def _target(self, node: NodeId) -> Kept:
        target = self._targets.get(node)
        if target is None:
            target = self._targets[node] = Kept()
        return target

    def _name(self, node: NodeId, mutation: bytes, *, sole: bool) -> bytes:
        self._sequence += 1
        return _NAME.pack(
            PREFIX,
            node,
            _SOLE if sole else _OTHER,
            issued_of(mutation) + BIAS,
            self._sequence,
        )

    def _load_from(self, start: bytes) -> None:
        until_ns = self._env.now_ns() + SLICE_NS_MAX
        while self._env.now_ns() < until_ns:
            states = self._store.metas(PREFIX, start, _LOAD_COUNT)
            for name, value in states:
                self._count_loaded(name, value)
            if len(states) < _LOAD_COUNT:
                self.is_loaded = True
                return
            start = states[-1][0] + b"\0"
        self._env.post(lambda: self._load_from(start))

    def _count_loaded(self, name: bytes, value: bytes) -> None:
        _, node, _, _, sequence = _NAME.unpack(name)
        if sequence <= self._first_sequence:  # Later ones were counted by `keep`.
            target = self._target(NodeId(node))
            target.count += 1
            target.size_bytes += len(value) - 1
