"""Walk a whole range page after page, through callbacks, without deep recursion.

Each page is asked for from the run queue (`env.post`), so that a long walk lets clients in
between pages, and a walk whose pages are all answered at once does not grow the stack.
"""

from collections.abc import Callable
from typing import Protocol, TypeAlias

from anel.coordinator.merged_page import MergedPage
from anel.coordinator.page import Extent
from anel.coordinator.services import Failure
from anel.env import Env
from anel.errors import AnelError

TakePage: TypeAlias = Callable[[MergedPage], bool]
"""Called with each page; True asks for the next one."""

Walked: TypeAlias = Callable[[Failure | None], None]
"""Called once at the end: None when the range or the caller's wish ended, else why not."""


class ReadPage(Protocol):
    """`Coordinator.read_page` with the table and the level already given."""

    def __call__(self, extent: Extent, done: Callable[[MergedPage | Failure], None]) -> None:
        """Read one page of an extent."""


class ScanWalk:
    """One walk over the pages of an extent.

    Args:
        env: The node's world.
        read_page: Reads one page.
        extent: The whole range; its `records_max` bounds each page.
        on_page: Takes each page.
        done: Called once at the end, not after `close`.
    """

    __slots__ = ("_done", "_env", "_extent", "_is_closed", "_on_page", "_read_page")

    def __init__(  # noqa: PLR0917 - called from one place.
        self,
        env: Env,
        read_page: ReadPage,
        extent: Extent,
        on_page: TakePage,
        done: Walked,
    ) -> None:
        self._env = env
        self._read_page = read_page
        self._extent = extent
        self._on_page = on_page
        self._done = done
        self._is_closed = False
        env.post(self._next)

    def close(self) -> None:
        """Stop: neither a page nor the end is told any more (the client has gone)."""
        self._is_closed = True

    def _next(self) -> None:
        if not self._is_closed:
            self._read_page(self._extent, self._take)

    def _take(self, page: MergedPage | Failure) -> None:
        if self._is_closed:
            return
        if isinstance(page, AnelError):
            self._end(page)
        elif not self._on_page(page) or page.resume is None:
            self._end(None)
        else:
            extent = self._extent
            self._extent = (
                extent._replace(end=page.resume)
                if extent.backward
                else extent._replace(start=page.resume)
            )
            self._env.post(self._next)

    def _end(self, failure: Failure | None) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._done(failure)
