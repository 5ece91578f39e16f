"""Consistency levels: how many answers each needs, whatever is alive."""

import pytest

from anel.data.consistency import ConsistencyLevel, required


@pytest.mark.parametrize(
    ("level", "of_one", "of_three", "of_four"),
    [
        (ConsistencyLevel.ANY, 1, 1, 1),
        (ConsistencyLevel.ONE, 1, 1, 1),
        (ConsistencyLevel.TWO, 2, 2, 2),
        (ConsistencyLevel.THREE, 3, 3, 3),
        (ConsistencyLevel.QUORUM, 1, 2, 3),
        (ConsistencyLevel.ALL, 1, 3, 4),
    ],
)
def test_each_level_needs_its_number(
    level: ConsistencyLevel, of_one: int, of_three: int, of_four: int
) -> None:
    assert [required(level, factor) for factor in (1, 3, 4)] == [of_one, of_three, of_four]


@pytest.mark.parametrize("factor", range(1, 20))
def test_two_quorums_always_meet(factor: int) -> None:
    assert 2 * required(ConsistencyLevel.QUORUM, factor) > factor
