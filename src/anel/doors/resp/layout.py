r"""How a Redis key lies in `redis.data`: one row, its cells, and when it expires.

::

    partition key    the tag: what the key has in braces, else the whole key
    clustering       key, element     the key's head row has the empty element
    head row         \0expiry          set by SET ... EX: when the key expires, milliseconds
                     \0expiry-later    set by EXPIRE: the same, then the head's timestamp
                     type             one byte, 0 for a string
                     value            a string's bytes

A key is there when its head has a live `type` cell; that cell's timestamp is the head's. SET
stamps all its cells alike and writes `\0expiry` only when asked to, so an `\0expiry` with
another timestamp than the head's belongs to an overwritten value and is void. EXPIRE names the
timestamp it means, in a cell of its own, so that it never undoes what a concurrent SET wrote,
and it never touches the value. The two names begin with a NUL byte: no declared column does.

Source: CORRECTNESS 14 and 19; Redis Cluster's rule of hash tags.
"""

from collections.abc import Iterable
from enum import IntEnum
from struct import Struct
from typing import NamedTuple

from anel.data import row
from anel.data.clustering import decode_bytes, encode_bytes
from anel.data.mutation import PREFIX_HEAD_SIZE, ROW, TOKEN_BIAS, one_row, prefix_of
from anel.errors import CorruptData, InvalidRequest
from anel.ring.partitioner import murmur3_token

KEYSPACE = "redis"
TABLE = "data"

EXPIRY = b"\0expiry"  # On disk since format 1, like everything in this module.
LATER_EXPIRY = b"\0expiry-later"
TYPE = b"type"
VALUE = b"value"
NO_ELEMENT = b"\0\0"  # The empty element, as `encode_bytes` writes it.
_HEAD_END = b"\0\0" + NO_ELEMENT
_STORE_KEY_BYTES_MAX = 65_535  # A 16-bit length between nodes.
KEY_AND_TAG_BYTES_MAX = _STORE_KEY_BYTES_MAX - PREFIX_HEAD_SIZE - len(ROW + _HEAD_END)
_BRACE = ord("{")
_SHORT_KEY_BYTES = 1024  # Shorter than any bound, with room.

_PREFIX = Struct(">16sQH")  # As `anel.data.mutation` packs it.
_EXPIRE_AT = Struct(">q")
_LATER = Struct(">qq")
_TYPE_SLOT = (TYPE, b"")
_VALUE_SLOT = (VALUE, b"")


class KeyType(IntEnum):
    """What a key holds. On disk since format 1: never renumber."""

    STRING = 0


_STRING = bytes((KeyType.STRING,))
_PLAIN_SHAPE = row.shape_of(row.encode([row.cell(TYPE, _STRING, 1), row.cell(VALUE, b"", 1)]))
_EXPIRING_SHAPE = row.shape_of(
    row.encode([row.cell(name, b"", 1) for name in (EXPIRY, TYPE, VALUE)])
)
# A plain string's row from the shape's size up to the value's size: nearly every row.
_PLAIN_HEAD = row.simple_row(_PLAIN_SHAPE, 0, (_STRING,))[10:]
_PLAIN_ROW = Struct(f">BBQ{len(_PLAIN_HEAD)}sI")
_VALUE_AT = _PLAIN_ROW.size
# The mutation that writes such a row: what stands before the key, between its two places (as
# partition key and in the clustering), and between it and the value.
_SET_BEFORE = Struct(">Q16sQH")
_SET_BETWEEN = Struct(">HHc")
_SET_AFTER = Struct(f">{len(_HEAD_END)}sIBBQ{len(_PLAIN_HEAD)}sI")
# The same for a string that SET made to expire: up to the expiry, then from it to the value.
_EXPIRING_HEAD = row.simple_row(_EXPIRING_SHAPE, 0, (bytes(_EXPIRE_AT.size),))[10:-8]
_EXPIRING_TAIL = Struct(">qIBI")
_EXPIRY_AT = 10 + len(_EXPIRING_HEAD)
_DELETION = row.encode([row.row_deletion(1, 1)])


class Head(NamedTuple):
    """A key that is there.

    Attributes:
        type: What it holds.
        value: Of a string; empty otherwise.
        timestamp: Of the head, microseconds: names this life of the key.
        expire_at_ms: When it ends, None for never.
    """

    type: int
    value: bytes
    timestamp: int
    expire_at_ms: int | None

    def has_expired(self, now_ms: int) -> bool:
        """Tell whether the key is gone by now."""
        return self.expire_at_ms is not None and self.expire_at_ms <= now_ms


def tag_of(key: bytes) -> bytes:
    """Give the part of a key that decides where it lives."""
    start = key.find(b"{")
    if start < 0:
        return key
    end = key.find(b"}", start)
    return key if end < 0 or end == start + 1 else key[start + 1 : end]


def place(table: bytes, key: bytes) -> tuple[bytes, bytes]:
    """Give the store prefix and the sub of a key's head row.

    Raises:
        InvalidRequest: The key is too long to be stored.
    """
    if _BRACE in key or 0 in key or len(key) > _SHORT_KEY_BYTES:
        return _place_with_care(table, key)
    return prefix_of(table, murmur3_token(key), key), ROW + key + _HEAD_END


def head_key(table: bytes, key: bytes) -> bytes:
    """Give the whole store key of a key's head row: what `place` gives, joined.

    Raises:
        InvalidRequest: As `place`.
    """
    if _BRACE in key or 0 in key or len(key) > _SHORT_KEY_BYTES:
        return b"".join(_place_with_care(table, key))
    head = _PREFIX.pack(table, murmur3_token(key) + TOKEN_BIAS, len(key))
    return b"%b%b%b%b%b" % (head, key, ROW, key, _HEAD_END)


def _place_with_care(table: bytes, key: bytes) -> tuple[bytes, bytes]:
    tag = tag_of(key)
    size = len(tag) + len(key) + key.count(b"\0")
    if size > KEY_AND_TAG_BYTES_MAX:
        raise InvalidRequest(
            f"the key is too long: {len(key)} bytes; key and hash tag together may have "
            f"{KEY_AND_TAG_BYTES_MAX}, zero bytes counted twice"
        )
    prefix = prefix_of(table, murmur3_token(tag), tag)
    return prefix, ROW + encode_bytes(key) + NO_ELEMENT


def check_keys(keys: Iterable[bytes]) -> None:
    """Refuse a command before it has begun if one of its keys cannot be stored.

    Raises:
        InvalidRequest: A key is too long.
    """
    for key in keys:
        if len(key) > _SHORT_KEY_BYTES:
            place(b"", key)


def key_of(store_key: bytes) -> bytes | None:
    """Give the key whose head row this store key names, None for a row of an element."""
    tag_size = int.from_bytes(store_key[24:26], "big")
    sub = store_key[PREFIX_HEAD_SIZE + tag_size :]
    if sub[:1] != ROW or sub[-4:] != b"\0\0\0\0":  # Only the empty element ends like this.
        return None
    return decode_bytes(sub, 1)[0]


def string_row(value: bytes, timestamp: int) -> bytes:
    """Write the head of a string that never expires."""
    # The bytes of `row.simple_row`, packed at once: this is every SET.
    return (
        _PLAIN_ROW.pack(row.FORMAT, row.SIMPLE, timestamp + row.BIAS, _PLAIN_HEAD, len(value))
        + value
    )


def string_mutation(table: bytes, key: bytes, value: bytes, timestamp: int) -> bytes:
    """Write the mutation that sets a string that never expires.

    Raises:
        InvalidRequest: As `place`.
    """
    # The bytes of `one_row`, packed at once: this is every SET.
    if _BRACE in key or 0 in key or len(key) > _SHORT_KEY_BYTES:
        prefix, sub = _place_with_care(table, key)
        return one_row(timestamp, prefix, sub, string_row(value, timestamp))
    stamp = timestamp + row.BIAS
    size = len(value)
    return b"".join(
        (
            _SET_BEFORE.pack(stamp, table, murmur3_token(key) + TOKEN_BIAS, len(key)),
            key,
            _SET_BETWEEN.pack(1, len(key) + 1 + len(_HEAD_END), ROW),
            key,
            _SET_AFTER.pack(
                _HEAD_END, _VALUE_AT + size, row.FORMAT, row.SIMPLE, stamp, _PLAIN_HEAD, size
            ),
            value,
        )
    )


def expiring_row(value: bytes, timestamp: int, expire_at_ms: int) -> bytes:
    """Write the head of a string that expires."""
    expiry = _EXPIRE_AT.pack(expire_at_ms)
    return row.simple_row(_EXPIRING_SHAPE, timestamp, (expiry, _STRING, value))


def later_expiry_row(head_timestamp: int, timestamp: int, expire_at_ms: int) -> bytes:
    """Write what makes a key that is there expire, and nothing else."""
    return row.encode(
        [row.cell(LATER_EXPIRY, _LATER.pack(expire_at_ms, head_timestamp), timestamp)]
    )


def deletion_row(timestamp: int) -> bytes:
    """Write what deletes a head."""
    return row.restamp(_DELETION, timestamp)


def plain_value(raw: bytes) -> bytes | None:
    """Give the value of a string's row that no expiry or deletion was ever written to.

    None for any other row, which `head_of` reads.
    """
    if raw.startswith(_PLAIN_HEAD, 10) and raw[1] == row.SIMPLE:
        return raw[_VALUE_AT:]
    return None


def head_of(raw: bytes, now_ms: int) -> Head | None:
    """Read a head row as a reader sees it now; None when the key is not there.

    Raises:
        CorruptData: The bytes are not a row.
    """
    head = lasting_head_of(raw)
    return None if head is None or head.has_expired(now_ms) else head


def lasting_head_of(raw: bytes) -> Head | None:
    """Read a head row whether it has expired or not."""
    if not raw:
        return None
    plain = plain_value(raw)
    if plain is not None:
        return Head(KeyType.STRING, plain, row.stamp_of(raw), None)
    if raw.startswith(_EXPIRING_HEAD, 10) and raw[1] == row.SIMPLE:
        expire_at_ms, type_size, key_type, _ = _EXPIRING_TAIL.unpack_from(raw, _EXPIRY_AT)
        if type_size == 1:
            last = raw[_EXPIRY_AT + _EXPIRING_TAIL.size :]
            return Head(key_type, last, row.stamp_of(raw), expire_at_ms)
    cells = row.live(row.decode(raw), 0).cells
    type_cell = cells.get(_TYPE_SLOT)
    if type_cell is None or len(type_cell.value) != 1:
        return None
    value = cells.get(_VALUE_SLOT)
    timestamp = type_cell.timestamp
    expire_at_ms = _expiry_of(cells.values(), timestamp)
    return Head(type_cell.value[0], value.value if value else b"", timestamp, expire_at_ms)


def _expiry_of(cells: Iterable[row.Entry], head_timestamp: int) -> int | None:
    expire_at_ms: int | None = None
    for cell in cells:
        if cell.name == EXPIRY and cell.timestamp == head_timestamp:
            expire_at_ms = _unpack(_EXPIRE_AT, cell.value)[0]
        elif cell.name == LATER_EXPIRY:  # Sorts after EXPIRY, and wins over it.
            later, applies_to = _unpack(_LATER, cell.value)
            if applies_to == head_timestamp:
                return later
    return expire_at_ms


def _unpack(form: Struct, value: bytes) -> tuple[int, ...]:
    if len(value) != form.size:
        raise CorruptData("an expiry cell has the wrong size")
    return form.unpack(value)
