"""Positions on the ring, and the leaves that token space is cut into.

    token    signed 64 bits, as Murmur3 gives it; the ring closes from TOKEN_MAX to TOKEN_MIN
    leaf     one of LEAVES equal pieces of token space, counted from TOKEN_MIN

A vnode's token is the last token of a leaf, so that a leaf always has exactly one replica
set: a token range (start, end] between two leaf ends is a run of whole leaves (CORRECTNESS
7).
"""

from anel.limits import LEAF_BITS, LEAVES

TOKEN_BITS = 64
TOKEN_MIN = -(1 << 63)
TOKEN_MAX = (1 << 63) - 1
LEAF_SHIFT = TOKEN_BITS - LEAF_BITS
LEAF_SIZE = 1 << LEAF_SHIFT


def leaf_of(token: int) -> int:
    """Give the index of the leaf that a token lies in: 0 to LEAVES - 1."""
    return (token - TOKEN_MIN) >> LEAF_SHIFT


def leaf_start(leaf: int) -> int:
    """Give the first token of a leaf."""
    return TOKEN_MIN + (leaf << LEAF_SHIFT)


def leaf_end(leaf: int) -> int:
    """Give the last token of a leaf: where a vnode may end."""
    return TOKEN_MIN + ((leaf + 1) << LEAF_SHIFT) - 1


def is_leaf_end(token: int) -> bool:
    """Tell whether a vnode may end at this token."""
    return TOKEN_MIN <= token <= TOKEN_MAX and token == leaf_end(leaf_of(token))


def leaves_between(start: int, end: int) -> int:
    """Count the leaves of the range (start, end] between two leaf ends; all when equal."""
    return (leaf_of(end) - leaf_of(start) - 1) % LEAVES + 1
