"""Random and mutated bytes: no exception, bounded memory, and the node serves on."""

import random

from anel.limits import RESP_LINE_BYTES_MAX
from tests.unit.doors.resp.fake_node import FakeConnection, FakeNode, pack

FRAMES = 24_000
NAMES = (
    b"GET SET MGET MSET DEL EXISTS TYPE EXPIRE PEXPIREAT TTL SCAN KEYS DBSIZE HELLO CLIENT "
    b"COMMAND CONFIG INFO PING ECHO SELECT RESET MULTI EXEC SETEX STRLEN GETRANGE FLUSHALL "
    b"AUTH QUIT INCR HSET nonsense"
).split()
WORDS = (
    b"a b {t}c 0 1 -1 10 9223372036854775807 99999999999999999999 EX PX NX XX GET KEEPTTL "
    b"MATCH COUNT TYPE * [a-z]* \\ SETNAME AUTH default LIST ID DOCS INFO string 2 3 \xff\xfe"
).split()


def frame(seeded: random.Random) -> bytes:
    words = [seeded.choice(NAMES), *seeded.choices(WORDS, k=seeded.randrange(6))]
    whole = pack(words) if seeded.random() < 0.8 else b" ".join(words) + b"\r\n"
    kind = seeded.random()
    if kind < 0.5:
        return whole
    if kind < 0.6:
        return seeded.randbytes(seeded.randrange(40))
    mutated = bytearray(whole)
    for _ in range(seeded.randint(1, 3)):
        at = seeded.randrange(len(mutated))
        choice = seeded.randrange(4)
        if choice == 0:
            mutated[at] = seeded.randrange(256)
        elif choice == 1:
            del mutated[at:]
            mutated += b"\r\n"
        elif choice == 2:
            mutated[at:at] = seeded.choice((b"\r\n", b"$", b"*9", b"\0", b"'", b'"', b"9" * 20))
        else:
            mutated[at : at + 1] = b""
        if not mutated:
            break
    return bytes(mutated)


def test_no_bytes_break_the_door() -> None:
    seeded = random.Random("resp")
    node = FakeNode()
    witness = FakeConnection(node)
    client = FakeConnection(node, witness.door)
    closed = 0
    for turn in range(FRAMES):
        data = frame(seeded)
        cut = seeded.randrange(len(data) + 1)
        node.is_slow = turn % 3 == 0
        client.session.receive(data[:cut])
        client.session.receive(data[cut:])
        node.settle()
        assert len(client.session._parser) <= RESP_LINE_BYTES_MAX + len(data) * 40
        answer = client.take()
        assert answer == b"" or answer.endswith(b"\r\n")
        if client.is_closed or turn % 50 == 49:
            closed += client.is_closed
            client.session.closed()
            client = FakeConnection(node, witness.door)
    assert closed > FRAMES // 100
    assert len(node.rows) < 100
    assert witness.send(b"PING") == b"+PONG\r\n"
    assert len(witness.door.clients) == 2
