"""News that ride on other messages: fewest sent first, each a bounded number of times."""

from anel.membership.endpoint import News, Standing
from anel.membership.rumour import NEWS_PER_MESSAGE, SENDS_PER_LOG2, Rumours
from tests.unit.fakes.ring import node_id


def news(number: int, incarnation: int = 0) -> News:
    return News(node_id(number), 1, incarnation, Standing.SUSPECT)


def test_each_piece_is_sent_a_number_of_times_that_grows_with_log_n() -> None:
    for members in (2, 5, 100):
        rumours = Rumours()
        rumours.spread(news(1))
        sends = 0
        while rumours.take(members):
            sends += 1
        assert sends == SENDS_PER_LOG2 * members.bit_length()
        assert len(rumours) == 0


def test_a_message_carries_a_bounded_number_fewest_sent_first() -> None:
    rumours = Rumours()
    for number in range(NEWS_PER_MESSAGE):
        rumours.spread(news(number))
    assert len(rumours.take(50)) == NEWS_PER_MESSAGE
    rumours.spread(news(20))
    assert rumours.take(50)[0] == news(20)


def test_newer_news_of_a_node_replace_older() -> None:
    rumours = Rumours()
    rumours.spread(news(1))
    rumours.spread(news(1, incarnation=2))
    assert rumours.take(5) == [news(1, incarnation=2)]


def test_forgotten_news_are_not_sent() -> None:
    rumours = Rumours()
    rumours.spread(news(1))
    rumours.forget(node_id(1))
    assert rumours.take(5) == []
