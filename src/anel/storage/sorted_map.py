"""A map of bytes that can be read in key order: what a memtable is to the memory store.

Point reads and writes are a dict's; new keys wait unsorted until someone reads in order.
"""

from bisect import bisect_left, insort

_FEW = 16  # Up to so many new keys are cheaper to insert one by one than by sorting all.


class SortedMap:
    """Keys and values; iteration by ranges only.

    Attributes:
        values: The plain dict behind it, for reads on the hot path.
    """

    __slots__ = ("_fresh", "_keys", "values")

    def __init__(self, values: dict[bytes, bytes] | None = None) -> None:
        self.values: dict[bytes, bytes] = {} if values is None else values
        self._keys = sorted(self.values)
        self._fresh: list[bytes] = []

    def __len__(self) -> int:
        return len(self.values)

    def put(self, key: bytes, value: bytes) -> None:
        """Set a key."""
        if key not in self.values:
            self._fresh.append(key)
        self.values[key] = value

    def remove(self, key: bytes) -> None:
        """Forget a key; harmless when it is absent."""
        if self.values.pop(key, None) is not None:
            keys = self._sorted()
            del keys[bisect_left(keys, key)]

    def keys(self, start: bytes, end: bytes | None) -> list[bytes]:
        """List the keys with start <= key < end; no `end` means to the last."""
        keys = self._sorted()
        return keys[bisect_left(keys, start) : self._index(end)]

    def some_keys(self, start: bytes, end: bytes | None, count: int) -> list[bytes]:
        """List the first `count` keys of a range."""
        keys = self._sorted()
        first = bisect_left(keys, start)
        return keys[first : min(first + count, self._index(end))]

    def last_keys(self, start: bytes, end: bytes | None, count: int) -> list[bytes]:
        """List the last `count` keys of a range, the greatest first."""
        keys = self._sorted()
        last = self._index(end)
        return keys[max(bisect_left(keys, start), last - count) : last][::-1]

    def _index(self, end: bytes | None) -> int:
        return len(self._keys) if end is None else bisect_left(self._keys, end)

    def _sorted(self) -> list[bytes]:
        if self._fresh:
            if len(self._fresh) <= _FEW:
                for key in self._fresh:
                    insort(self._keys, key)
            else:
                self._keys += self._fresh
                self._keys.sort()
            self._fresh.clear()
        return self._keys
