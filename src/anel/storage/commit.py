"""Group commit: one fsync acknowledges everything that was applied before it began.

::

    waiting    callbacks, and `fresh` keys, that the next sync will cover
    syncing    those that the sync under way covers
    when the sync ends: run the callbacks of `syncing`; begin the next sync if someone waits

While one sync runs the next group gathers by itself. What was applied after a sync began is
never counted as covered by it, even when the disk happened to take it along.

Source: CORRECTNESS 5; DeWitt et al., "Implementation techniques for main memory database
systems" (SIGMOD 1984), section 5.2, for group commit.
"""

from collections.abc import Callable
from typing import Literal, TypeAlias

from anel.data.mutation import TABLE_SIZE
from anel.storage.syncer import Done

Durability: TypeAlias = Literal["group", "periodic", "none"]
PERIOD_NS = 1_000_000_000  # `periodic` loses at most about the last second.


class GroupCommit:
    """Who waits for which sync.

    Args:
        durability: `group`: callbacks wait for a sync; `periodic`: they run at once and `work`
            syncs each second; `none`: only forced callbacks sync.
        fatal: Told of a sync that failed; nothing is retried and no callback runs from then on.
        gather: Called with a callback to run a little later, so that a sync that begins when
            none is under way takes more along; None begins at once.

    Attributes:
        fresh: Keys applied since the last sync began; the store adds to it on each write when
            `tracks`.
        tracks: Whether keys need tracking: only `group` makes anyone wait.
    """

    __slots__ = (
        "_begin",
        "_closed",
        "_dropped",
        "_ended_within",
        "_fatal",
        "_gather",
        "_has_unsynced",
        "_is_beginning",
        "_is_gathering",
        "_is_running",
        "_is_syncing",
        "_last_begin_ns",
        "_syncing",
        "_syncing_keys",
        "_waiting",
        "durability",
        "fresh",
        "tracks",
    )

    def __init__(
        self,
        durability: Durability,
        fatal: Callable[[BaseException], None],
        gather: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        self.durability = durability
        self._fatal = fatal
        self._gather = gather
        self._dropped: tuple[bytes, ...] = ()  # Tables whose removal is not durable yet.
        self._waiting: list[Callable[[], None]] = []
        self._syncing: list[Callable[[], None]] = []
        self._syncing_keys: set[bytes] = set()
        self._is_syncing = False
        self._is_gathering = False
        self._is_running = False
        self._is_beginning = False
        self._ended_within = False
        self._closed = False
        self._last_begin_ns = 0
        self.fresh: set[bytes] = set()
        self.tracks = durability == "group"

    def begin_with(
        self, begin: Callable[[Done], None], has_unsynced: Callable[[], bool]
    ) -> None:
        """Learn from the store how to sync; call before anything else.

        Args:
            begin: Start one sync; it must call what it is given when the sync has ended.
            has_unsynced: Tell whether anything was written since the last sync.
        """
        self._begin = begin
        self._has_unsynced = has_unsynced

    def is_durable(self, key: bytes) -> bool:
        """Tell whether a key's last change has been synced, or need not be."""
        return not self.tracks or (
            key not in self.fresh
            and key not in self._syncing_keys
            and not (self._dropped and self._is_dropped(key[:TABLE_SIZE]))
        )

    def drop(self, table: bytes) -> None:
        """Note that every key of a table was removed."""
        if self.tracks:
            self.fresh.add(table)
            self._dropped += (table,)

    def when_durable(self, callback: Callable[[], None], *, forced: bool = False) -> None:
        """Run a callback once what was applied so far is durable."""
        if not self.tracks and not forced:
            callback()
            return
        self._waiting.append(callback)
        if not (self._is_syncing or self._is_gathering or self._is_running):
            self._start()

    def work(self, now_ns: int) -> None:
        """Sync what nobody waits for, about once a second."""
        if self.durability == "none" or now_ns - self._last_begin_ns < PERIOD_NS:
            return
        self._last_begin_ns = now_ns
        if not (self._is_syncing or self._is_gathering) and self._has_unsynced():
            self._sync()

    def close(self) -> None:
        """Run no callback any more."""
        self._closed = True
        self._waiting.clear()
        self._syncing.clear()

    def _is_dropped(self, table: bytes) -> bool:
        return table in self.fresh or table in self._syncing_keys

    def _start(self) -> None:
        if self._gather is None:
            self._sync()
        else:
            self._is_gathering = True
            self._gather(self._sync)

    def _sync(self) -> None:
        self._is_gathering = False
        while not self._closed:
            self._is_syncing = True
            self._syncing, self._waiting = self._waiting, []
            self._syncing_keys, self.fresh = self.fresh, self._syncing_keys
            self._ended_within = False
            self._is_beginning = True
            self._begin(self._ended)
            self._is_beginning = False
            if not self._ended_within:
                return
            self._run_callbacks()
            if not self._waiting:
                return

    def _ended(self, error: BaseException | None) -> None:
        if self._closed:
            return
        if error is not None:
            self.close()
            self._fatal(error)
        elif self._is_beginning:  # The syncer did it on the spot: `_sync` goes on in its loop.
            self._ended_within = True
        else:
            self._run_callbacks()
            if self._waiting and not self._closed:
                self._start()

    def _run_callbacks(self) -> None:
        self._is_syncing = False
        self._syncing_keys.clear()
        self._dropped = tuple(table for table in self._dropped if table in self.fresh)
        callbacks, self._syncing = self._syncing, []
        self._is_running = True  # So that a callback that waits again does not nest a sync.
        for callback in callbacks:
            callback()
        self._is_running = False
