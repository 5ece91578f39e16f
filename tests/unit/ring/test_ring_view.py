"""Ring views: one order, one digest, and nothing contradictory gets in."""

import pytest

from anel.data.token import leaf_end
from anel.errors import ConfigurationError, CorruptData, UnknownFormat
from anel.limits import NODES_MAX
from anel.ring.ring_view import Location, Member, RingView, decode, encode, ring_view
from tests.unit.fakes.ring import address_of, node_id, view_of


def member(number: int, *leaves: int) -> Member:
    tokens = tuple(leaf_end(leaf) for leaf in leaves)
    return Member(node_id(number), address_of(number), Location(), tokens)


def test_members_in_any_order_make_one_view() -> None:
    one = ring_view(bytes(16), 1, (member(0, 5, 1), member(1, 3)))
    other = ring_view(bytes(16), 1, (member(1, 3), member(0, 1, 5)))
    assert one == other
    assert one.digest() == other.digest()
    assert encode(one) == encode(other)


def test_a_view_survives_its_bytes() -> None:
    view = view_of(4)
    assert decode(encode(view)) == view


@pytest.mark.parametrize(
    "other",
    [
        RingView(bytes(16), 2, view_of(2).members),
        RingView(b"x" * 16, 1, view_of(2).members),
        view_of(3),
    ],
)
def test_different_views_have_different_digests(other: RingView) -> None:
    assert other.digest() != view_of(2).digest()


def test_members_are_found_by_id_and_by_token() -> None:
    view = ring_view(bytes(16), 1, (member(0, 5), member(1, 3)))
    assert view.member(node_id(1)) == member(1, 3)
    assert view.member(node_id(7)) is None
    assert view.holder(leaf_end(5)) == member(0, 5)
    assert view.holder(leaf_end(6)) is None


def test_a_join_makes_the_next_epoch() -> None:
    view = view_of(2).joined_by(member(2, 77))
    assert view.epoch == 2
    assert len(view.members) == 3


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ((member(0, 1), member(0, 2)), "one node id"),
        ((member(0, 1), member(1, 1)), "taken twice"),
        ((member(0, 1), member(1)), "holds no token"),
        (tuple(member(n % 200, n) for n in range(NODES_MAX + 1)), "at most"),
    ],
)
def test_a_contradiction_is_refused(members: tuple[Member, ...], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        ring_view(bytes(16), 1, members)
    with pytest.raises(CorruptData, match=reason):
        decode(encode(RingView(bytes(16), 1, members)))


def test_unknown_formats_and_broken_bytes_are_refused() -> None:
    with pytest.raises(UnknownFormat, match="format 2 is unknown"):
        decode(b"\x02")
    with pytest.raises(UnknownFormat):
        decode(b"")
    with pytest.raises(CorruptData):
        decode(encode(view_of(1))[:-1])
    with pytest.raises(CorruptData):
        decode(encode(view_of(1)).replace(b"rack", b"r\xffck"))
