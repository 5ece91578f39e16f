"""Murmur3 tokens: equal to the driver's C function on every key."""

from random import Random

import mmh3
import pytest
from cassandra.cmurmur3 import murmur3
from hypothesis import given
from hypothesis import strategies as st

from anel.data.token import TOKEN_MAX, TOKEN_MIN
from anel.ring import partitioner
from anel.ring.partitioner import (
    Md5Partitioner,
    Murmur3Partitioner,
    Partitioner,
    Sha1Partitioner,
    murmur3_token,
)


def drivers_token(key: bytes) -> int:
    token = int(murmur3(key))
    return TOKEN_MAX if token == TOKEN_MIN else token


def random_keys(count: int) -> list[bytes]:
    random = Random(3)
    return [random.randbytes(random.randint(0, 64)) for _ in range(count)]


def test_100000_random_keys_get_the_drivers_token() -> None:
    assert all(murmur3_token(key) == drivers_token(key) for key in random_keys(100_000))


def test_the_comparison_would_see_a_missing_sign() -> None:
    def unsigned(key: bytes) -> int:
        return int(mmh3.hash64(key, 0, True, True)[0])

    assert any(unsigned(key) != drivers_token(key) for key in random_keys(100))


@given(st.text(min_size=0, max_size=200))
def test_text_keys_get_the_drivers_token(text: str) -> None:
    assert murmur3_token(text.encode()) == drivers_token(text.encode())


def test_a_key_of_the_greatest_size_gets_the_drivers_token() -> None:
    key = Random(1).randbytes(65_535)
    assert murmur3_token(key) == drivers_token(key)


def test_gocqls_regression_vector() -> None:
    key = bytes.fromhex("00104327529fb645dd00b883ec39ae448bb800000400066a6b00")
    assert murmur3_token(key) == -9223371632693506265


def test_the_smallest_token_is_never_given(monkeypatch: pytest.MonkeyPatch) -> None:
    class Smallest:
        @staticmethod
        def hash64(*_: object) -> tuple[int, int]:
            return TOKEN_MIN, 0

    monkeypatch.setattr(partitioner, "mmh3", Smallest)
    assert murmur3_token(b"ascii") == TOKEN_MAX


@pytest.mark.parametrize("space", [Murmur3Partitioner(), Sha1Partitioner(), Md5Partitioner()])
def test_tokens_lie_in_the_partitioners_space(space: Partitioner) -> None:
    tokens = [space.token(key) for key in random_keys(500)]
    assert all(space.token_min <= token <= space.token_max for token in tokens)
    middle = (space.token_min + space.token_max) // 2
    assert 200 < sum(token > middle for token in tokens) < 300


def test_the_hashes_are_the_standard_ones() -> None:
    assert Sha1Partitioner().token(b"abc") == 0xA9993E364706816ABA3E25717850C26C9CD0D89D
    assert Md5Partitioner().token(b"abc") == 0x900150983CD24FB0D6963F7D28E17F72
    assert Murmur3Partitioner().token(b"abc") == murmur3_token(b"abc")
