"""Log lines that would repeat: each is written at most once a minute."""

import logging
import time

_INTERVAL_S = 60.0
_REMEMBERED_MAX = 1000  # Past it everything is forgotten: a line too many harms nobody.


class Complaints:
    """Warnings about others, whose faults may come a thousand times a second."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._said_at: dict[str, float] = {}

    def say(self, text: str) -> None:
        """Log a warning unless the same was logged within a minute."""
        now = time.monotonic()
        said = self._said_at.get(text)
        if said is not None and now - said < _INTERVAL_S:
            return
        if len(self._said_at) >= _REMEMBERED_MAX:
            self._said_at.clear()
        self._said_at[text] = now
        self._log.warning(text)
