"""Greetings between nodes: who may talk, and that every refusal says why."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anel.errors import PeerRefused, RemoteProtocolError
from anel.internode.handshake import (
    GREETING_BYTES_MAX,
    GreetingDecoder,
    Hello,
    Refusal,
    check_hello,
    encode_hello,
    encode_refusal,
    is_own,
)

OWN = Hello("anel", b"r" * 16, b"a" * 16, 3, b"12345678", "127.0.0.1", 7000, 10**15, "0.1.0")
PEER = msgspec.structs.replace(OWN, node_id=b"b" * 16, process=b"abcdefgh", port=7001)


@given(st.integers(0, 400))
def test_a_hello_comes_out_whole_however_it_is_cut(cut: int) -> None:
    stream = encode_hello(OWN) + b"frames"
    decoder = GreetingDecoder()
    found = decoder.receive(stream[:cut])
    if found is None:
        found = decoder.receive(stream[cut:])
        assert found == (
            OWN,
            b"frames"[-len(stream[cut:]) :] if cut > len(stream) - 6 else b"frames",
        )
    else:
        assert found == (OWN, stream[len(encode_hello(OWN)) : cut])


def test_a_refusal_says_why() -> None:
    found = GreetingDecoder().receive(encode_refusal(Refusal("no " * 1000)))
    assert found is not None
    refusal, rest = found
    assert isinstance(refusal, Refusal)
    assert refusal.reason.startswith("no no")
    assert len(refusal.reason) == 500
    assert rest == b""


@given(st.binary(max_size=200))
def test_noise_is_refused_or_waited_for(noise: bytes) -> None:
    decoder = GreetingDecoder()
    try:
        assert decoder.receive(noise) is None
    except RemoteProtocolError:
        return
    assert noise[:4] == b"ANEL"[: len(noise[:4])]


@given(st.binary(max_size=100), st.integers(0, 255))
def test_a_greeting_of_noise_behind_a_right_head_is_refused(body: bytes, kind: int) -> None:
    with pytest.raises(RemoteProtocolError):
        GreetingDecoder().receive(
            b"ANEL\x01" + bytes([kind]) + len(body).to_bytes(2, "big") + b"\xc1" + body
        )


def test_a_greeting_longer_than_any_is_refused_from_its_head() -> None:
    head = b"ANEL\x01\x00" + (GREETING_BYTES_MAX + 1).to_bytes(2, "big")
    with pytest.raises(RemoteProtocolError, match="longer than any"):
        GreetingDecoder().receive(head)


def test_a_name_that_is_not_utf_8_is_refused() -> None:
    greeting = encode_hello(PEER).replace(b"127.0.0.1", b"127.0.0.\xff")
    with pytest.raises(RemoteProtocolError, match="cannot be read"):
        GreetingDecoder().receive(greeting)


def test_another_format_is_refused_but_its_refusal_can_be_read() -> None:
    later_hello = b"ANEL\x02" + encode_hello(PEER)[5:]
    with pytest.raises(PeerRefused, match="speaks format 2"):
        GreetingDecoder().receive(later_hello)
    later_refusal = b"ANEL\x02" + encode_refusal(Refusal("too old"))[5:]
    assert GreetingDecoder().receive(later_refusal) == (Refusal("too old"), b"")


def test_a_peer_of_the_same_ring_is_welcome() -> None:
    check_hello(OWN, PEER)
    check_hello(OWN, msgspec.structs.replace(PEER, ring_id=b""))
    check_hello(OWN, msgspec.structs.replace(PEER, clock_us=OWN.clock_us + 499_000))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"cluster_name": "other"}, "wrong cluster: .* 'anel', .* 'other'; check cluster_name"),
        ({"node_id": OWN.node_id}, "duplicate id: .*data folder of its own"),
        ({"ring_id": b"s" * 16}, "another ring: .*began separately"),
        ({"clock_us": OWN.clock_us + 600_000}, "clocks differ: .* 600 ms ahead"),
    ],
)
def test_a_peer_that_does_not_fit_is_refused_with_the_reason(
    change: dict[str, object], reason: str
) -> None:
    with pytest.raises(PeerRefused, match=reason):
        check_hello(OWN, msgspec.structs.replace(PEER, **change))


def test_a_node_knows_itself() -> None:
    assert is_own(OWN, OWN)
    assert not is_own(OWN, msgspec.structs.replace(OWN, process=b"other..."))
