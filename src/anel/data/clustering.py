"""Clustering keys as bytes that sort as their components do, ascending or descending.

Components follow each other, each self-delimiting::

    bytes     escaped: 00 -> 00 FF, then 00 00 as the end; so that a prefix sorts first
    int       sign bit flipped, fixed width

A descending component is the ascending one with every bit inverted.

Source: the order-preserving encodings of Cassandra's byte-comparable types (CASSANDRA-6936),
simplified: only order and reversibility are promised.
"""

_INVERT = bytes(255 - byte for byte in range(256))


def encode_bytes(value: bytes) -> bytes:
    """Encode one blob or text component."""
    if b"\0" in value:
        value = value.replace(b"\0", b"\0\xff")
    return value + b"\0\0"


def decode_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    """Read one blob component at an offset; give it and the offset after it."""
    end = at
    while data[(end := data.index(b"\0", end)) + 1] == 0xFF:
        end += 2
    return data[at:end].replace(b"\0\xff", b"\0"), end + 2


def encode_int(value: int, size: int) -> bytes:
    """Encode a signed integer of so many bytes."""
    return (value + (1 << (size * 8 - 1))).to_bytes(size, "big")


def decode_int(data: bytes, at: int, size: int) -> tuple[int, int]:
    """Read a signed integer at an offset; give it and the offset after it."""
    biased = int.from_bytes(data[at : at + size], "big")
    return biased - (1 << (size * 8 - 1)), at + size


def invert(component: bytes) -> bytes:
    """Turn an encoded ascending component into a descending one, and back."""
    return component.translate(_INVERT)
