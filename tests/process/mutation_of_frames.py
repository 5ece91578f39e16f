"""Valid frames made wrong: bits flipped, cut, spliced, lengths that lie; by a seed."""

import re
from collections.abc import Callable, Iterator, Sequence
from random import Random

_DIGITS = re.compile(rb"\d+")
_LENGTHS = (b"-1", b"0", b"1", b"65536", b"1048577", b"4294967296", b"9" * 19, b"9" * 400)
_EDGES = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFF, 0xFFFF0000)

Change = Callable[[bytes, Sequence[bytes], Random], bytes]


def flip(frame: bytes, _: Sequence[bytes], random: Random) -> bytes:
    """Flip up to eight bits."""
    changed = bytearray(frame)
    for _turn in range(random.randint(1, 8)):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def cut(frame: bytes, _: Sequence[bytes], random: Random) -> bytes:
    """Leave out the end, or a piece of the middle."""
    begin = random.randrange(len(frame))
    return frame[:begin] + frame[random.randint(begin, len(frame)) :]


def splice(frame: bytes, corpus: Sequence[bytes], random: Random) -> bytes:
    """Go on with another frame in the middle."""
    other = random.choice(corpus)
    return frame[: random.randrange(len(frame) + 1)] + other[random.randrange(len(other)) :]


def lie(frame: bytes, _: Sequence[bytes], random: Random) -> bytes:
    """Replace a number: one in digits if there is any, or else four bytes."""
    numbers = list(_DIGITS.finditer(frame))
    if numbers and random.random() < 0.7:
        number = random.choice(numbers)
        return frame[: number.start()] + random.choice(_LENGTHS) + frame[number.end() :]
    at = random.randrange(len(frame))
    return frame[:at] + random.choice(_EDGES).to_bytes(4, "big") + frame[at + 4 :]


def insert(frame: bytes, _: Sequence[bytes], random: Random) -> bytes:
    """Put random bytes in the middle."""
    at = random.randrange(len(frame) + 1)
    return frame[:at] + random.randbytes(random.randint(1, 64)) + frame[at:]


def repeat(frame: bytes, _: Sequence[bytes], random: Random) -> bytes:
    """Say it several times."""
    return frame * random.randint(2, 5)


def replace(_: bytes, __: Sequence[bytes], random: Random) -> bytes:
    """Send noise instead."""
    return random.randbytes(random.randint(1, 200))


CHANGES: tuple[Change, ...] = (flip, flip, cut, splice, lie, lie, insert, repeat, replace)


def mutated(corpus: Sequence[bytes], random: Random) -> Iterator[bytes]:
    """Give wrong frames for ever, one in ten of them right; none is empty."""
    while True:
        frame = random.choice(corpus)
        if random.random() > 0.1:
            for _ in range(random.choice((1, 1, 1, 2, 3))):
                frame = random.choice(CHANGES)(frame, corpus, random) or frame
        yield frame
