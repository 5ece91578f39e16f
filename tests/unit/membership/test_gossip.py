"""Digests and deltas: two nodes that talk once know the same, within bounded messages."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anel.env import NodeId
from anel.membership.endpoint import STATE_VALUE_CHARS_MAX, Endpoint, News, Standing
from anel.membership.gossip import (
    DELTA_BYTES_TARGET,
    DIGESTS_MAX,
    LAST_TURN,
    Delta,
    DigestTurn,
    Gossip,
    answer,
    digest_of,
    merge_delta,
)
from tests.unit.fakes.ring import address_of, node_id

Book = dict[NodeId, Endpoint]


def book(count: int) -> Book:
    return {
        node_id(number): Endpoint(node_id(number), address_of(number), 1)
        for number in range(count)
    }


def take(known: Book, gossip: Gossip) -> None:
    for digest in gossip.digests:
        endpoint = known[digest.node]
        if digest.news.rank > endpoint.rank:
            endpoint.adopt(digest.news)
    for delta in gossip.deltas:
        merge_delta(known[delta.node], delta)


def talk(one: Book, two: Book) -> None:
    """Run the three turns."""
    speaker, listener = one, two
    gossip = Gossip(0, [digest_of(endpoint) for endpoint in one.values()], [], [])
    while True:
        take(listener, gossip)
        if gossip.turn == LAST_TURN:
            return
        digests, deltas = answer(gossip, listener)
        gossip = Gossip(gossip.turn + 1, digests, deltas, [])
        speaker, listener = listener, speaker


def picture(known: Book) -> list[object]:
    return [(e.rank, e.version, sorted(e.states.items())) for e in known.values()]


WRITES = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from("abcd"), st.integers(0, 9)), max_size=12
)


@given(WRITES, WRITES, WRITES)
def test_two_nodes_that_talk_once_know_the_same(
    first: list[tuple[int, str, int]],
    second: list[tuple[int, str, int]],
    third: list[tuple[int, str, int]],
) -> None:
    # Nodes 0 and 1 talk; what they know of 2 and 3 they know from different moments.
    one, two = book(4), book(4)
    truth = book(4)
    for part, knower in ((first, one), (second, two), (third, None)):
        for number, name, value in part:
            truth[node_id(number)].write(name, value)
        if knower is not None:
            talk(truth, knower)
    talk(one, two)
    assert picture(one) == picture(two)


def test_a_restarted_nodes_states_replace_the_old_ones() -> None:
    one, two = book(2), book(2)
    two[node_id(1)].write("old", 1)
    talk(two, one)
    restarted = book(2)
    restarted[node_id(1)] = Endpoint(node_id(1), address_of(1), 2)
    restarted[node_id(1)].write("new", 2)
    talk(one, restarted)
    assert one[node_id(1)].states == {"new": 2}


def test_a_delta_on_a_version_not_known_here_waits() -> None:
    known = book(1)[node_id(0)]
    delta = Delta(node_id(0), 1, 5, 6, {"rows": (6, 1)})
    assert merge_delta(known, delta) == []
    assert known.states == {}


def test_a_delta_of_an_older_life_is_ignored() -> None:
    known = Endpoint(node_id(0), address_of(0), 3)
    assert merge_delta(known, Delta(node_id(0), 2, 0, 9, {"rows": (9, 1)})) == []


def test_a_delta_tells_what_changed() -> None:
    known = book(1)[node_id(0)]
    merge_delta(known, Delta(node_id(0), 1, 0, 2, {"a": (1, 1), "b": (2, 2)}))
    changed = merge_delta(known, Delta(node_id(0), 1, 2, 4, {"b": (3, 2), "c": (4, 9)}))
    assert changed == ["c"]
    assert merge_delta(known, Delta(node_id(0), 1, 0, 5, {"c": (5, 9)})) == ["a", "b"]


def test_strangers_in_a_digest_are_passed_over() -> None:
    one, two = book(1), book(3)
    gossip = Gossip(0, [digest_of(endpoint) for endpoint in two.values()], [], [])
    assert answer(gossip, one) == ([], [])


def test_a_standing_that_is_newer_here_is_told() -> None:
    one, two = book(2), book(2)
    two[node_id(1)].adopt(News(node_id(1), 1, 0, Standing.DEAD))
    talk(one, two)
    assert one[node_id(1)].standing is Standing.DEAD


def test_digests_go_round_so_that_everyones_turn_comes() -> None:
    known = list(book(200).values())
    turn = DigestTurn()
    seen: dict[NodeId, bool] = {}
    for _ in range(4):
        digests = turn.choose(known[0], known[1:])
        assert len(digests) == DIGESTS_MAX
        assert digests[0].node == known[0].node
        assert len(dict.fromkeys(digest.node for digest in digests)) == DIGESTS_MAX
        seen.update((digest.node, True) for digest in digests)
    assert len(seen) == 200


def test_deltas_of_one_message_are_bounded() -> None:
    one, two = book(64), book(64)
    for endpoint in two.values():
        for number in range(8):
            endpoint.write(f"state{number}", "x" * STATE_VALUE_CHARS_MAX)
    gossip = Gossip(0, [digest_of(endpoint) for endpoint in one.values()], [], [])
    _, deltas = answer(gossip, two)
    size = len(msgspec.msgpack.encode(deltas))
    assert size <= DELTA_BYTES_TARGET + 9 * STATE_VALUE_CHARS_MAX
    for _ in range(10):
        talk(one, two)
    assert picture(one) == picture(two)


@pytest.mark.parametrize(
    "gossip",
    [
        Gossip(3, [], [], []),
        Gossip(0, [], [Delta(node_id(0), 1, 0, 1, {"a": (1, "x" * 1025)})], []),
        Gossip(0, [], [Delta(node_id(0), 1, 0, 1, {f"n{k}": (1, 1) for k in range(33)})], []),
        Gossip(0, [], [], [News(NodeId(b"short"), 1, 0, Standing.ALIVE)]),
        Gossip(0, [], [], [News(node_id(1), -1, 0, Standing.ALIVE)]),
    ],
)
def test_messages_out_of_bounds_are_refused(gossip: Gossip) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode(gossip), type=Gossip)
