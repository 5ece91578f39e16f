"""From a partition key to its token: the hash that places every key on the ring.

    Murmur3Partitioner   signed 64 bits; the default, because CQL drivers route by it
    Sha1Partitioner      160 bits, unsigned: the paper's Chord
    Md5Partitioner       128 bits, unsigned

Cassandra's Murmur3 takes the bytes after the last whole block as signed. Where those are
ASCII it equals the usual function, which `mmh3` computes. Elsewhere the state after the whole
blocks is recovered by running the usual function's last steps backwards (each can be undone),
and the tail is added as Cassandra adds it: constant time, also for a key of 64 KiB.

Source: Appleby, MurmurHash3_x64_128; Cassandra's `MurmurHash.hash3_x64_128`,
`Murmur3Partitioner.normalize`; Stoica et al., "Chord" (SIGCOMM 2001), section 4.
"""

import hashlib
from typing import ClassVar, Protocol

import mmh3

from anel.data.token import TOKEN_MAX, TOKEN_MIN

_MASK = (1 << 64) - 1
_C1 = 0x87C37B91114253D5
_C2 = 0x4CF5AD432745937F
_F1 = 0xFF51AFD7ED558CCD
_F2 = 0xC4CEB9FE1A85EC53
_F1_INVERSE = pow(_F1, -1, 1 << 64)
_F2_INVERSE = pow(_F2, -1, 1 << 64)


class Partitioner(Protocol):
    """A space of tokens and the hash into it."""

    @property
    def name(self) -> str:
        """What the system tables call it."""

    @property
    def token_min(self) -> int:
        """The smallest token."""

    @property
    def token_max(self) -> int:
        """The greatest token; clockwise from it comes `token_min`."""

    def token(self, partition_key: bytes) -> int:
        """Place a partition key on the ring."""


class Murmur3Partitioner:
    """Cassandra's default, and ours."""

    name: ClassVar[str] = "Murmur3Partitioner"
    token_min: ClassVar[int] = TOKEN_MIN
    token_max: ClassVar[int] = TOKEN_MAX

    def token(self, partition_key: bytes) -> int:
        """Place a partition key on the ring."""
        return murmur3_token(partition_key)


class Sha1Partitioner:
    """Chord's space of 160 bits."""

    name: ClassVar[str] = "Sha1Partitioner"
    token_min: ClassVar[int] = 0
    token_max: ClassVar[int] = (1 << 160) - 1

    def token(self, partition_key: bytes) -> int:
        """Place a partition key on the ring."""
        return int.from_bytes(
            hashlib.sha1(partition_key, usedforsecurity=False).digest(), "big"
        )


class Md5Partitioner:
    """A space of 128 bits."""

    name: ClassVar[str] = "Md5Partitioner"
    token_min: ClassVar[int] = 0
    token_max: ClassVar[int] = (1 << 128) - 1

    def token(self, partition_key: bytes) -> int:
        """Place a partition key on the ring."""
        return int.from_bytes(hashlib.md5(partition_key, usedforsecurity=False).digest(), "big")


def murmur3_token(key: bytes) -> int:
    """Give a partition key's token, equal to Cassandra's for every key.

    TOKEN_MIN is never given: Cassandra keeps it as "before everything".
    """
    if key.isascii() or key[len(key) & ~15 :].isascii():
        token = mmh3.hash64(key, 0, True, True)[0]
    else:
        token = _token_of_signed_tail(key)
    return TOKEN_MAX if token == TOKEN_MIN else token


def _token_of_signed_tail(key: bytes) -> int:
    size = len(key)
    body = key[: size & ~15]
    tail = key[len(body) :]
    h1, h2 = _state_after(body)
    k2 = _signed_word(tail[8:])
    k2 = _rotate(k2 * _C2 & _MASK, 33) * _C1 & _MASK
    k1 = _signed_word(tail[:8])
    k1 = _rotate(k1 * _C1 & _MASK, 31) * _C2 & _MASK
    h1 ^= k1 ^ size
    h2 ^= k2 ^ size
    h1 = (h1 + h2) & _MASK
    h2 = (h2 + h1) & _MASK
    token = (_mix(h1) + _mix(h2)) & _MASK
    return token - (1 << 64) if token >> 63 else token


def _state_after(body: bytes) -> tuple[int, int]:
    # The state after whole blocks only: the finished hash, its last steps undone.
    h1, h2 = mmh3.hash64(body, 0, True, False)
    h2 = (h2 - h1) & _MASK
    h1 = (h1 - h2) & _MASK
    h1 = _unmix(h1)
    h2 = _unmix(h2)
    h2 = (h2 - h1) & _MASK
    h1 = (h1 - h2) & _MASK
    return h1 ^ len(body), h2 ^ len(body)


def _signed_word(tail: bytes) -> int:
    word = int.from_bytes(tail, "little")
    for index, byte in enumerate(tail):
        if byte >= 0x80:
            word ^= _MASK << (8 * index + 8) & _MASK
    return word


def _rotate(word: int, bits: int) -> int:
    return (word << bits | word >> (64 - bits)) & _MASK


def _mix(word: int) -> int:
    word = (word ^ word >> 33) * _F1 & _MASK
    word = (word ^ word >> 33) * _F2 & _MASK
    return word ^ word >> 33


def _unmix(word: int) -> int:
    word = (word ^ word >> 33) * _F2_INVERSE & _MASK
    word = (word ^ word >> 33) * _F1_INVERSE & _MASK
    return word ^ word >> 33
