"""How long proofs run, and the figures they leave: printed, and kept where ANEL_PROOFS says."""

import os
from pathlib import Path

IS_LONG = bool(os.environ.get("ANEL_LONG"))
_KEPT = os.environ.get("ANEL_PROOFS")


def by_length(short: int, long: int) -> int:
    """Choose: `make process` takes the short one, ANEL_LONG=1 the long one."""
    return long if IS_LONG else short


def tell(line: str) -> None:
    """Say what was shown."""
    print(line)  # noqa: T201  # pytest shows it with -s, or when the test fails.
    if _KEPT:
        with Path(_KEPT).open("a", encoding="utf-8") as file:
            file.write(line + "\n")
