"""How long a suspect may refute, and how much a node doubts itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anel.membership.suspicion import HEALTH_MAX, LocalHealth, Suspicion
from tests.unit.fakes.ring import node_id


def suspicion(wanted: int = 3) -> Suspicion:
    return Suspicion(node_id(0), 0, wanted=wanted, wait_ms_min=1000, wait_ms_max=6000)


def test_one_accuser_alone_waits_longest() -> None:
    assert suspicion().wait_ms == 6000


def test_enough_accusers_wait_shortest() -> None:
    doubt = suspicion()
    for number in (1, 2, 3):
        assert doubt.confirm(node_id(number))
    assert doubt.wait_ms == 1000


def test_nobody_left_to_confirm_waits_shortest() -> None:
    assert suspicion(wanted=0).wait_ms == 1000


def test_a_repeated_confirmation_counts_once() -> None:
    doubt = suspicion()
    assert doubt.confirm(node_id(1))
    assert not doubt.confirm(node_id(1))
    assert not doubt.confirm(node_id(0))
    assert doubt.confirmations == 1


def test_confirmations_past_those_wanted_change_nothing() -> None:
    doubt = suspicion(wanted=1)
    assert doubt.confirm(node_id(1))
    assert not doubt.confirm(node_id(2))
    assert doubt.wait_ms == 1000


@given(st.integers(1, 6), st.integers(1, 5000), st.integers(0, 20_000))
def test_each_confirmation_shortens_the_wait_within_its_bounds(
    wanted: int, shortest_ms: int, span_ms: int
) -> None:
    doubt = Suspicion(
        node_id(0), 0, wanted=wanted, wait_ms_min=shortest_ms, wait_ms_max=shortest_ms + span_ms
    )
    waits = [doubt.wait_ms]
    for number in range(1, wanted + 1):
        doubt.confirm(node_id(number))
        waits.append(doubt.wait_ms)
    assert waits == sorted(waits, reverse=True)
    assert waits[0] == shortest_ms + span_ms
    assert waits[-1] == shortest_ms


@pytest.mark.parametrize("steps", [[1] * 20, [-1] * 20, [1, -1, 1, 1]])
def test_health_stays_within_its_bounds(steps: list[int]) -> None:
    health = LocalHealth()
    for step in steps:
        if step > 0:
            health.worse()
        else:
            health.better()
        assert 1 <= health.multiplier <= HEALTH_MAX + 1
