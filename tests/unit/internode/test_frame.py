"""Frames between nodes: what goes in comes out however it is cut, and nothing else gets in."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anel.errors import RemoteProtocolError
from anel.internode.frame import HEAD_BYTES, FrameDecoder, encode_frame, split_messages
from anel.limits import FRAME_BYTES_MAX, FRAME_TARGET_BYTES

MESSAGES = st.lists(st.binary(min_size=9, max_size=300), min_size=1, max_size=8)
FRAMES = st.lists(st.tuples(st.integers(0, 2**63), MESSAGES), min_size=1, max_size=5)

GOLDEN = bytes.fromhex(
    "a1000000"  # Version, flags, reserved.
    "0000000f"  # Fifteen bytes of body.
    "71976149"  # CRC-32 of the clock and the body.
    "0006440dc4a2e300"  # The clock.
    "0000000b10000000000000002a6869"  # One message: PING, request 42, "hi".
)


def test_a_frame_has_the_bytes_written_down() -> None:
    message = b"\x10" + (42).to_bytes(8, "big") + b"hi"
    frame = encode_frame(0x0006440DC4A2E300, [message])
    assert frame == GOLDEN
    assert FrameDecoder().receive(GOLDEN) == [(0x0006440DC4A2E300, [message])]


@given(FRAMES, st.data())
def test_frames_come_out_whole_however_the_bytes_are_cut(
    frames: list[tuple[int, list[bytes]]], data: st.DataObject
) -> None:
    stream = b"".join(encode_frame(clock, messages) for clock, messages in frames)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=10).map(sorted))
    decoder = FrameDecoder()
    found = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += decoder.receive(stream[start:end])
    assert found == frames


@given(MESSAGES, st.integers(0, 2**63), st.data())
def test_a_flipped_bit_never_passes(
    messages: list[bytes], clock: int, data: st.DataObject
) -> None:
    frame = bytearray(encode_frame(clock, messages))
    bit = data.draw(st.integers(0, len(frame) * 8 - 1))
    frame[bit // 8] ^= 1 << bit % 8
    decoder = FrameDecoder()
    try:
        found = decoder.receive(bytes(frame))
    except RemoteProtocolError:
        return
    assert found == []  # A greater length: it waits for bytes, and their checksum will differ.


@given(st.binary(max_size=400))
def test_noise_is_refused_and_kept_within_bounds(noise: bytes) -> None:
    decoder = FrameDecoder()
    try:
        assert decoder.receive(noise) == [] or noise[:1] == b"\xa1"
    except RemoteProtocolError:
        return
    assert sum(len(chunk) for chunk in decoder._chunks) <= len(noise)


@pytest.mark.parametrize("length", [0, FRAME_BYTES_MAX + 1])
def test_an_impossible_length_is_refused_from_the_head_alone(length: int) -> None:
    head = struct.pack(">BBHIIQ", 0xA1, 0, 0, length, 0, 0)
    with pytest.raises(RemoteProtocolError, match="bytes, allowed"):
        FrameDecoder().receive(head)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_an_unknown_version_or_flag_is_refused(at: int) -> None:
    frame = bytearray(GOLDEN)
    frame[at] ^= 0x02
    with pytest.raises(RemoteProtocolError, match="run releases that share a format"):
        FrameDecoder().receive(bytes(frame))


@pytest.mark.parametrize("size", [0, 8, 1000])
def test_a_message_that_does_not_fit_is_refused_even_with_a_right_checksum(size: int) -> None:
    frame = encode_frame(7, [b"123456789"])
    body = frame[12:20] + struct.pack(">I", size) + frame[24:]
    from zlib import crc32  # noqa: PLC0415 - Only this test forges checksums.

    forged = frame[:8] + struct.pack(">I", crc32(body)) + body
    with pytest.raises(RemoteProtocolError, match="does not fit its frame"):
        FrameDecoder().receive(forged)


def test_a_large_frame_in_small_pieces_is_joined_once() -> None:
    frame = encode_frame(1, [bytes(1_000_000)])
    decoder = FrameDecoder()
    found = []
    for at in range(0, len(frame), 4096):
        found += decoder.receive(frame[at : at + 4096])
    assert [len(message) for _, messages in found for message in messages] == [1_000_000]


def test_messages_are_packed_up_to_the_target() -> None:
    messages = [bytes(FRAME_TARGET_BYTES // 4)] * 7 + [bytes(FRAME_TARGET_BYTES * 2)]
    frames = split_messages(messages)
    assert [message for frame in frames for message in frame] == messages
    assert [len(frame) for frame in frames] == [3, 3, 1, 1]
    assert len(encode_frame(0, frames[0])) <= FRAME_TARGET_BYTES + HEAD_BYTES + 3 * 4
