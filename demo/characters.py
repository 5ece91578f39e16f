"""Every named character of Python's own `unicodedata`, as a key and a small JSON text.

The records are ragged: a letter has a case, a digit a value, an accent a decomposition,
and most characters have none of these.
"""

import json
import sys
import unicodedata
from collections.abc import Iterator
from typing import Any

PREFIX = "unicode:"
SURROGATE, PRIVATE, UNASSIGNED = "Cs", "Co", "Cn"


def record(character: str) -> dict[str, Any]:
    """Describe one character by the fields that it has."""
    fields: dict[str, Any] = {
        "char": character,
        "category": unicodedata.category(character),
        "bidirectional": unicodedata.bidirectional(character),
        "east_asian_width": unicodedata.east_asian_width(character),
    }
    optional = {
        "name": unicodedata.name(character, None),
        "combining": unicodedata.combining(character) or None,
        "decimal": unicodedata.decimal(character, None),
        "digit": unicodedata.digit(character, None),
        "numeric": unicodedata.numeric(character, None),
        "mirrored": bool(unicodedata.mirrored(character)) or None,
        "decomposition": unicodedata.decomposition(character) or None,
        "upper": character.upper() if character.upper() != character else None,
        "lower": character.lower() if character.lower() != character else None,
    }
    return fields | {name: value for name, value in optional.items() if value is not None}


def characters(limit: int | None = None) -> Iterator[tuple[str, str]]:
    """Yield the key and the text of each assigned character, in order of code point.

    Args:
        limit: Stop after so many; None gives all, about 150,000.
    """
    given = 0
    for point in range(sys.maxunicode + 1):
        character = chr(point)
        if unicodedata.category(character) in (SURROGATE, PRIVATE, UNASSIGNED):
            continue
        if given == limit:
            return
        given += 1
        yield f"{PREFIX}{point:04X}", json.dumps(record(character), ensure_ascii=False)
