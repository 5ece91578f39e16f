"""Clustering keys: bytes sort as their components do, up and down, and can be read back."""

from hypothesis import given
from hypothesis import strategies as st

from anel.data import clustering

BLOBS = st.lists(st.sampled_from([0, 1, 97, 254, 255]), max_size=5).map(bytes)
INTS = st.integers(-(1 << 31), (1 << 31) - 1)
KEYS = st.tuples(BLOBS, INTS, BLOBS)


def encoded(key: tuple[bytes, int, bytes]) -> bytes:
    """Blob ascending, int descending, blob descending."""
    return (
        clustering.encode_bytes(key[0])
        + clustering.invert(clustering.encode_int(key[1], 4))
        + clustering.invert(clustering.encode_bytes(key[2]))
    )


class Down:
    """A component that sorts the other way."""

    def __init__(self, blob: bytes) -> None:
        self.blob = blob

    def __lt__(self, other: "Down") -> bool:
        return self.blob > other.blob

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Down) and self.blob == other.blob

    __hash__ = None  # type: ignore[assignment]


@given(KEYS, KEYS)
def test_keys_sort_as_their_components(
    one: tuple[bytes, int, bytes], other: tuple[bytes, int, bytes]
) -> None:
    first = (one[0], -one[1], Down(one[2]))
    second = (other[0], -other[1], Down(other[2]))
    assert (encoded(one) < encoded(other)) == (first < second)
    assert (encoded(one) == encoded(other)) == (one == other)


@given(BLOBS, BLOBS)
def test_blobs_sort_as_bytes(one: bytes, other: bytes) -> None:
    assert (clustering.encode_bytes(one) < clustering.encode_bytes(other)) == (one < other)


def test_unescaped_zeros_would_sort_wrongly() -> None:
    one, other = b"a", b"a\0\0"
    assert one < other
    assert one + b"\0\0" + b"\xff" > other + b"\0\0"
    assert clustering.encode_bytes(one) + b"\xff" < clustering.encode_bytes(other)


@given(BLOBS, st.binary(max_size=3), st.binary(max_size=3))
def test_a_blob_is_read_back_from_among_others(
    blob: bytes, before: bytes, after: bytes
) -> None:
    data = before + clustering.encode_bytes(blob) + after
    assert clustering.decode_bytes(data, len(before)) == (blob, len(data) - len(after))


@given(INTS, st.binary(max_size=3))
def test_an_int_is_read_back(value: int, before: bytes) -> None:
    data = before + clustering.encode_int(value, 4) + b"x"
    assert clustering.decode_int(data, len(before), 4) == (value, len(before) + 4)


@given(st.binary())
def test_inverting_twice_changes_nothing(component: bytes) -> None:
    assert clustering.invert(clustering.invert(component)) == component
