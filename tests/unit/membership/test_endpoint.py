"""What a node remembers of another: the order of news, its own states, their bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anel.membership.endpoint import (
    STATE_VALUE_CHARS_MAX,
    STATES_MAX,
    Endpoint,
    News,
    Standing,
)
from tests.unit.fakes.ring import address_of, node_id

NEWS = st.builds(
    News,
    st.just(node_id(1)),
    st.integers(0, 3),
    st.integers(0, 3),
    st.sampled_from(Standing),
)


def endpoint(generation: int = 0) -> Endpoint:
    return Endpoint(node_id(1), address_of(1), generation)


@given(st.lists(NEWS, max_size=12), st.randoms(use_true_random=False))
def test_the_order_in_which_news_arrive_does_not_matter(
    news: list[News], random: object
) -> None:
    shuffled = list(news)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    ends = []
    for arriving in (news, shuffled):
        known = endpoint()
        for piece in arriving:
            if piece.rank > known.rank:
                known.adopt(piece)
        ends.append(known.rank)
    assert ends[0] == ends[1]


def test_only_a_higher_incarnation_overrules_death() -> None:
    known = endpoint(generation=1)
    known.adopt(News(node_id(1), 1, 0, Standing.DEAD))
    assert News(node_id(1), 1, 0, Standing.ALIVE).rank < known.rank
    assert News(node_id(1), 1, 1, Standing.ALIVE).rank > known.rank
    assert News(node_id(1), 2, 0, Standing.ALIVE).rank > known.rank


def test_older_news_are_never_adopted() -> None:
    known = endpoint(generation=2)
    with pytest.raises(AssertionError):
        known.adopt(News(node_id(1), 1, 9, Standing.ALIVE))


def test_a_restart_asks_for_all_states_again_and_keeps_the_old_meanwhile() -> None:
    known = endpoint(generation=1)
    known.write("rows", 4)
    known.adopt(News(node_id(1), 2, 0, Standing.ALIVE))
    assert known.version == 0
    assert known.states == {"rows": 4}


def test_a_state_that_stays_the_same_makes_no_new_version() -> None:
    known = endpoint()
    assert known.write("rows", 4)
    assert not known.write("rows", 4)
    assert known.version == 1


def test_states_are_bounded_in_number_and_size() -> None:
    known = endpoint()
    for number in range(STATES_MAX):
        known.write(f"state{number}", number)
    with pytest.raises(AssertionError):
        known.write("one more", 1)
    known.write("state0", "x" * STATE_VALUE_CHARS_MAX)
    with pytest.raises(AssertionError):
        known.write("state0", "x" * (STATE_VALUE_CHARS_MAX + 1))
