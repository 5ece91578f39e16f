"""Frames between nodes: the messages of one tick, the sender's clock, and a checksum.

Grammar, all numbers big-endian::

    frame    = version(1) flags(1) reserved(2) length(4) crc32(4) clock(8) body
    body     = { size(4) message(size) }                 # length bytes in all

The checksum covers the clock and the body. Flags and the reserved bytes are zero in format 1. A
frame that breaks any of this is never repaired or skipped: the link is closed, for what follows
cannot be trusted either. A frame holds at least one message.
"""

from collections.abc import Sequence
from struct import Struct
from zlib import crc32

from anel.errors import RemoteProtocolError
from anel.limits import FRAME_BYTES_MAX, FRAME_TARGET_BYTES

FRAME_VERSION = 0xA1  # On the wire between nodes since format 1: never renumber.
_HEAD = Struct(">BBHIIQ")
HEAD_BYTES = _HEAD.size
_CLOCK_AT = 12  # The checksum begins here, at the clock.
_CLOCK = Struct(">Q")
_SIZE = Struct(">I")
_MESSAGE_BYTES_MIN = 9  # A type and a request id: also bounds how many a frame can hold.


def encode_frame(clock_us: int, messages: Sequence[bytes]) -> bytes:
    """Pack messages into one frame.

    Args:
        clock_us: The sender's hybrid clock, at least as great as any timestamp in the messages.
        messages: At least one; together with their sizes at most FRAME_BYTES_MAX.
    """
    pack_size = _SIZE.pack
    parts = [b""]
    length = 0
    for message in messages:
        size = len(message)
        parts.append(pack_size(size))
        parts.append(message)
        length += size + 4
    assert 0 < length <= FRAME_BYTES_MAX, length
    clock = _CLOCK.pack(clock_us)
    parts[0] = clock
    covered = b"".join(parts)
    return (
        _HEAD.pack(FRAME_VERSION, 0, 0, length, crc32(covered), clock_us)[:_CLOCK_AT] + covered
    )


def split_messages(messages: list[bytes]) -> list[list[bytes]]:
    """Divide messages among frames of about FRAME_TARGET_BYTES, keeping their order."""
    frames: list[list[bytes]] = []
    frame: list[bytes] = []
    size = 0
    for message in messages:
        if frame and size + len(message) > FRAME_TARGET_BYTES:
            frames.append(frame)
            frame = []
            size = 0
        frame.append(message)
        size += len(message) + 4
    frames.append(frame)
    return frames


class FrameDecoder:
    """Turn the bytes of one incoming link into frames, however they are cut.

    Memory is bounded by one frame of FRAME_BYTES_MAX and what one read of the socket gives.
    """

    __slots__ = ("_chunks", "_have", "_need")

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._have = 0
        self._need = HEAD_BYTES

    def receive(self, data: bytes) -> list[tuple[int, list[bytes]]]:
        """Take what the socket gave; return every whole frame as (clock, messages).

        Raises:
            RemoteProtocolError: The bytes are no frames of this format. Close the link.
        """
        if self._chunks:
            self._chunks.append(data)
            self._have += len(data)
            if self._have < self._need:
                return []
            data = b"".join(self._chunks)
            self._chunks = []
        frames = []
        at = 0
        end = len(data)
        need = HEAD_BYTES
        while end - at >= HEAD_BYTES:
            need = HEAD_BYTES + _body_length(data, at)
            if end - at < need:
                break
            frames.append(_decode(data, at, at + need))
            at += need
            need = HEAD_BYTES
        self._have = end - at
        self._need = need
        if at < end:
            self._chunks = [data[at:] if at else data]
        return frames


def _body_length(data: bytes, at: int) -> int:
    version, flags, reserved, length, _, _ = _HEAD.unpack_from(data, at)
    if version != FRAME_VERSION or flags or reserved:
        raise RemoteProtocolError(
            f"a frame begins with {version:#x}, flags {flags:#x}, reserved {reserved:#x}, not "
            f"with {FRAME_VERSION:#x} and zeros; run releases that share a format on all nodes"
        )
    if not 0 < length <= FRAME_BYTES_MAX:
        raise RemoteProtocolError(
            f"a frame of {length} bytes, allowed are 1 to {FRAME_BYTES_MAX}; the link is closed"
        )
    assert isinstance(length, int)
    return length


def _decode(data: bytes, at: int, end: int) -> tuple[int, list[bytes]]:
    _, _, _, _, checksum, clock_us = _HEAD.unpack_from(data, at)
    if crc32(data[at + _CLOCK_AT : end]) != checksum:
        raise RemoteProtocolError(
            "a frame's checksum does not fit its bytes; the link is closed"
        )
    messages = []
    at += HEAD_BYTES
    from_bytes = int.from_bytes
    while at < end:
        message_at = at + 4
        at = message_at + from_bytes(data[at:message_at], "big")
        if at > end or at - message_at < _MESSAGE_BYTES_MIN:
            raise RemoteProtocolError("a message does not fit its frame; the link is closed")
        messages.append(data[message_at:at])
    return clock_us, messages
