"""Messages between nodes: one type byte, a request id, and a body packed by hand or by msgpack.

Hot messages (mutations, reads, their replies) have a fixed packed form; control messages carry
a msgpack body (`msgspec`) whose struct lives beside the machine that speaks it::

    hot       type(1) request(8) ...                       see the Struct of each
    control   type(1) request(8) msgpack                   pack_control, body_of

Frames (`anel.internode.frame`) carry many messages, a checksum and the sender's clock. A reply
repeats the request id and has a type with REPLY set.
"""

from enum import IntEnum
from struct import Struct
from typing import Any, NamedTuple

import msgspec

REPLY = 0x80


class MessageType(IntEnum):
    """On the wire between nodes since format 1: never renumber."""

    MUTATE = 0x01
    READ_ROW = 0x02
    READ_PAGE = 0x03
    PING = 0x10
    PING_REQUEST = 0x11  # SWIM's indirect probe.
    GOSSIP = 0x12
    SCHEMA_PUSH = 0x20
    SCHEMA_PULL = 0x21
    TRUNCATE = 0x22
    FREEZE = 0x23  # Hold back user writes while a keyspace's replication changes.
    RING_PULL = 0x30
    RING_PREPARE = 0x31
    RING_COMMIT = 0x32
    LEAVES = 0x40


class Status(IntEnum):
    """How a replica answered. On the wire between nodes since format 1: never renumber."""

    OK = 0
    WRONG_EPOCH = 1  # The ring views differ: nothing was done.
    UNKNOWN_TABLE = 2  # The schema has not arrived here: keep a hint.
    OVERLAID = 3  # READ_ROW only: tombstones of the partition matter, ask by READ_PAGE.
    RECOVERING = 4  # The store was damaged and is being refilled: counts in no W and no R.
    OVERLOADED = 5
    TOO_LARGE = 6
    DAMAGED = 7  # The bytes here fail their checksum.
    DISK_FAILED = 8
    TOO_MANY_TOMBSTONES = 9  # READ_PAGE only: a partition passes TOMBSTONES_SCANNED_MAX.


class Origin(IntEnum):
    """Why a mutation is sent. On the wire between nodes since format 1: never renumber."""

    CLIENT = 0
    HINT = 1
    REPAIR = 2


MUTATE = Struct(">BQIB")  # type, request, ring epoch, origin; then the mutation's bytes.
MUTATE_REPLY = Struct(">BQBq")  # type, request, status, dominant timestamp or NO_DOMINANT.
NO_DOMINANT = -(1 << 63)
READ_ROW = Struct(">BQI")  # type, request, ring epoch; then the record's store key.
READ_ROW_REPLY = Struct(">BQB")  # type, request, status; then the row's bytes, none if absent.
READ_PAGE = Struct(">BQIBIIH")  # type, request, epoch, backward, records, bytes, start size;
# then start key and end key. Several partitions may lie between them.
READ_PAGE_REPLY = Struct(">BQBBI")  # type, request, status, more, count; then count records:
RECORD = Struct(">HI")  # key size, value size; then key and value.

_CONTROL = Struct(">BQ")


def request_of(message: bytes) -> int:
    """Give the request id of any message."""
    return int.from_bytes(message[1:9], "big")


def pack_control(kind: int, request: int, body: object) -> bytes:
    """Build a control message."""
    return _CONTROL.pack(kind, request) + msgspec.msgpack.encode(body)


T = Any


def body_of(message: bytes, form: type[T]) -> T:
    """Read a control message's body.

    Raises:
        msgspec.ValidationError, msgspec.DecodeError: The body does not have this form; the
            node's dispatch counts it, logs it and drops the message.
    """
    return msgspec.msgpack.decode(message[9:], type=form)


def pack_mutate(request: int, epoch: int, origin: Origin, mutation: bytes) -> bytes:
    """Ask a replica to merge a mutation and ack it once durable."""
    return MUTATE.pack(MessageType.MUTATE, request, epoch, origin) + mutation


def pack_mutate_reply(request: int, status: Status, dominant: int | None) -> bytes:
    """Ack (or refuse) a mutation."""
    hidden_by = NO_DOMINANT if dominant is None else dominant
    return MUTATE_REPLY.pack(MessageType.MUTATE | REPLY, request, status, hidden_by)


def pack_read_row(request: int, epoch: int, key: bytes) -> bytes:
    """Ask a replica for one record as stored."""
    return READ_ROW.pack(MessageType.READ_ROW, request, epoch) + key


def pack_read_row_reply(request: int, status: Status, value: bytes) -> bytes:
    """Answer READ_ROW; an absent record is empty."""
    return READ_ROW_REPLY.pack(MessageType.READ_ROW | REPLY, request, status) + value


class PageRequest(NamedTuple):
    """READ_PAGE taken apart: records with start <= key < end, at most so many, so large."""

    epoch: int
    backward: bool
    records_max: int
    bytes_max: int
    start: bytes
    end: bytes


def pack_read_page(request: int, page: PageRequest) -> bytes:
    """Ask a replica for a run of records.

    The reply also holds, first, the partition tombstones of the partition where `start` lies.
    """
    head = READ_PAGE.pack(
        MessageType.READ_PAGE,
        request,
        page.epoch,
        page.backward,
        page.records_max,
        page.bytes_max,
        len(page.start),
    )
    return head + page.start + page.end


def unpack_read_page(message: bytes) -> PageRequest:
    """Read READ_PAGE."""
    _, _, epoch, backward, records, size, start_size = READ_PAGE.unpack_from(message)
    at = READ_PAGE.size
    start = message[at : at + start_size]
    return PageRequest(epoch, bool(backward), records, size, start, message[at + start_size :])


def pack_read_page_reply(
    request: int, status: Status, *, more: bool, records: list[tuple[bytes, bytes]]
) -> bytes:
    """Answer READ_PAGE."""
    parts = [
        READ_PAGE_REPLY.pack(MessageType.READ_PAGE | REPLY, request, status, more, len(records))
    ]
    for key, value in records:
        parts += (RECORD.pack(len(key), len(value)), key, value)
    return b"".join(parts)


def unpack_read_page_reply(message: bytes) -> tuple[Status, bool, list[tuple[bytes, bytes]]]:
    """Read the answer to READ_PAGE: status, more, records."""
    _, _, status, more, count = READ_PAGE_REPLY.unpack_from(message)
    at = READ_PAGE_REPLY.size
    records = []
    for _ in range(count):
        key_size, value_size = RECORD.unpack_from(message, at)
        at += RECORD.size
        value_at = at + key_size
        records.append((message[at:value_at], message[value_at : value_at + value_size]))
        at = value_at + value_size
    return Status(status), bool(more), records
