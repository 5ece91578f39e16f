"""Many small requests of one command, so many under way at once, without deep stacks."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

from anel.doors.backend import Backend
from anel.errors import AnelError
from anel.limits import RESP_COMMANDS_PER_SLICE, RESP_FANOUT_MAX

Done: TypeAlias = Callable[[Any], None]
Start: TypeAlias = Callable[[Any, Done], None]


class Fanout:
    """Start one request per item, hand each answer on by index, and tell when all are in.

    A request may be answered before `start` returns; after so many of those in a row, the loop
    gets its turn.

    Args:
        backend: For that turn.
        items: What to ask for.
        start: Starts one request: the item, and who takes its answer.
        answered: Takes the index of an item and its answer; returns an error to give up.
        done: Called once: None when all have answered, else the first error.
    """

    __slots__ = (
        "_answered",
        "_backend",
        "_done",
        "_in_flight",
        "_is_over",
        "_is_starting",
        "_items",
        "_next",
        "_start",
    )

    def __init__(
        self,
        backend: Backend,
        items: Sequence[Any],
        start: Start,
        answered: Callable[[int, Any], AnelError | None],
        *,
        done: Callable[[AnelError | None], None],
    ) -> None:
        self._backend = backend
        self._items = items
        self._start = start
        self._answered = answered
        self._done = done
        self._next = 0
        self._in_flight = 0
        self._is_starting = False
        self._is_over = False

    def advance(self) -> None:
        """Start as many requests as may be under way; call once, then it goes on by itself."""
        if self._is_starting or self._is_over:
            return
        self._is_starting = True
        started = 0
        while self._next < len(self._items) and self._in_flight < RESP_FANOUT_MAX:
            if started == RESP_COMMANDS_PER_SLICE:
                self._backend.post(self.advance)
                break
            started += 1
            index = self._next
            self._next += 1
            self._in_flight += 1
            self._start(self._items[index], partial(self._take, index))
            if self._has_ended():
                return
        self._is_starting = False
        if self._in_flight == 0 and self._next == len(self._items):
            self._end(None)

    def _take(self, index: int, answer: Any) -> None:  # noqa: ANN401 - The caller's own type.
        self._in_flight -= 1
        if self._is_over:
            return
        reason = answer if isinstance(answer, AnelError) else self._answered(index, answer)
        if reason is not None:
            self._end(reason)
        else:
            self.advance()

    def _has_ended(self) -> bool:  # A call, since a request may end all before it returns.
        return self._is_over

    def _end(self, reason: AnelError | None) -> None:
        self._is_over = True
        self._done(reason)
