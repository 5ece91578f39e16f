"""Keeps the last log lines of each node of this process; the host's logging notices nothing.

A node's callbacks run in the context in which it was started, so a context variable tells whose
line it is. What a node says goes to its ring alone and to no handler of the host; what others
say through the logger `anel` goes where it went before. At the end all is put back.
"""

import logging
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar

LINES_KEPT = 500

_speaker: ContextVar["tuple[LogTap, int] | None"] = ContextVar("anel_speaker", default=None)


class LogTap:
    """The log lines of one ring's nodes."""

    def __init__(self, nodes: int, *, also: Callable[[int, str], None] | None = None) -> None:
        """Open a tap for nodes 0 to `nodes` - 1; `also` is given each node's lines."""
        self._also = also
        self._lines: list[deque[str]] = [deque(maxlen=LINES_KEPT) for _ in range(nodes)]
        _splitter.open()

    def speaking(self, node: int) -> None:
        """From here on this context, and all that is started in it, is that node's."""
        _speaker.set((self, node))
        _splitter.attach()

    def lines(self, node: int) -> list[str]:
        """Give a node's last lines, oldest first."""
        return list(self._lines[node])

    def keep(self, node: int, line: str) -> None:
        """Keep a line."""
        self._lines[node].append(line)
        if self._also is not None:
            self._also(node, line)

    def close(self) -> None:
        """Put logging back when no ring is left."""
        _splitter.close()


class _Splitter(logging.Filter):
    """Stands at every logger of Anel: lines of nodes to their rings, the rest as before."""

    def __init__(self) -> None:
        super().__init__()
        self._form = logging.Formatter(
            "%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S"
        )
        self._logger = logging.getLogger("anel")
        self._open = 0
        self._level = logging.NOTSET
        self._passed_from = logging.WARNING

    def open(self) -> None:
        """Begin, unless another ring has."""
        self._open += 1
        if self._open == 1:
            self._level = self._logger.level
            self._passed_from = self._logger.getEffectiveLevel()
            self._logger.setLevel(min(logging.INFO, self._passed_from))

    def attach(self) -> None:
        """Stand at the loggers that there are by now; a filter does not count for children."""
        for logger in _loggers():
            logger.addFilter(self)

    def close(self) -> None:
        """End with the last ring."""
        self._open -= 1
        if self._open == 0:
            for logger in _loggers():
                logger.removeFilter(self)
            self._logger.setLevel(self._level)

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep a node's line from all handlers; let others pass that would have passed."""
        speaker = _speaker.get()
        if speaker is None:
            return record.levelno >= self._passed_from
        speaker[0].keep(speaker[1], self._form.format(record))
        return False


def _loggers() -> list[logging.Logger]:
    known = logging.getLogger().manager.loggerDict
    return [
        logger
        for name, logger in list(known.items())
        if isinstance(logger, logging.Logger) and (name == "anel" or name.startswith("anel."))
    ]


_splitter = _Splitter()
