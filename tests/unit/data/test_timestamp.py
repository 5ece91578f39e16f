"""The hybrid clock: unique, increasing, never behind a peer, never repeated after a restart."""

from hypothesis import given
from hypothesis import strategies as st

from anel.data.timestamp import CEILING_STEP_US, HybridClock
from anel.limits import CLOCK_DRIFT_MS_MAX

NOON = 1_600_000_000_000_000
DRIFT_US = CLOCK_DRIFT_MS_MAX * 1000


class Wall:
    """A wall clock that a test moves, and the ceilings asked for."""

    def __init__(self, ceiling_us: int = 0) -> None:
        self.now_us = NOON
        self.asked: list[int] = []
        self.clock = HybridClock(lambda: self.now_us, ceiling_us, self.asked.append)


def test_the_clock_follows_the_wall() -> None:
    wall = Wall()
    assert wall.clock.now() == NOON
    wall.now_us += 5
    assert wall.clock.now() == NOON + 5


@given(st.lists(st.tuples(st.integers(-100, 100), st.integers(-100, 100)), max_size=20))
def test_timestamps_increase_whatever_the_wall_and_the_peers_do(
    moves: list[tuple[int, int]],
) -> None:
    wall = Wall()
    last = 0
    for wall_move, peer_lead in moves:
        wall.now_us += wall_move
        assert wall.clock.merge(wall.now_us + peer_lead)
        given_out = wall.clock.now()
        assert given_out > last
        assert given_out > wall.now_us + peer_lead
        last = given_out
        assert wall.clock.last_us == last


def test_a_peer_too_far_ahead_is_refused_and_not_followed() -> None:
    wall = Wall()
    assert wall.clock.merge(NOON + DRIFT_US)
    assert not wall.clock.merge(NOON + DRIFT_US + 1)
    assert wall.clock.now() == NOON + DRIFT_US + 1


def test_a_peer_behind_changes_nothing() -> None:
    wall = Wall()
    first = wall.clock.now()
    assert wall.clock.merge(first - 1_000_000)
    assert wall.clock.now() == first + 1


def test_after_a_restart_the_clock_is_above_its_ceiling() -> None:
    first = Wall()
    given_out = first.clock.now()
    ceiling = first.asked[-1]
    assert ceiling > given_out
    again = Wall(ceiling)
    again.now_us = NOON - 3_600_000_000
    assert again.clock.now() > given_out


def test_a_ceiling_is_asked_for_before_it_is_reached_and_not_each_time() -> None:
    wall = Wall()
    for _ in range(10):
        wall.clock.now()
    assert len(wall.asked) == 1
    wall.now_us += CEILING_STEP_US
    wall.clock.now()
    assert len(wall.asked) == 2
    assert wall.asked[1] > wall.clock.last_us


def test_a_timestamp_is_covered_once_its_ceiling_is_durable() -> None:
    wall = Wall()
    stamp = wall.clock.now()
    assert not wall.clock.is_covered(stamp)
    wall.clock.ceiling_is_durable(wall.asked[-1])
    assert wall.clock.is_covered(stamp)
    wall.clock.ceiling_is_durable(5)
    assert wall.clock.ceiling_us == wall.asked[-1]


def test_what_waits_for_the_ceiling_runs_in_order_once_it_is_durable() -> None:
    wall = Wall()
    ran: list[int] = []
    wall.clock.now()
    wall.clock.when_covered(lambda: ran.append(1))
    wall.clock.when_covered(lambda: ran.append(2))
    assert ran == []
    wall.clock.ceiling_is_durable(wall.asked[-1])
    assert ran == [1, 2]
    wall.clock.when_covered(lambda: ran.append(3))
    assert ran == [1, 2, 3]


def test_a_clock_merged_above_the_ceiling_asks_for_one_when_somebody_waits() -> None:
    wall = Wall()
    wall.clock.ceiling_is_durable(wall.clock.now())
    ran: list[int] = []
    assert wall.clock.merge(wall.asked[-1] + 1)
    wall.clock.when_covered(lambda: ran.append(1))
    assert wall.asked[-1] > wall.clock.last_us
    wall.clock.ceiling_is_durable(wall.asked[-1])
    assert ran == [1]
