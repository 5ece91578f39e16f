"""Later: many callbacks, one timer, in order, none early."""

from anel.coordinator.later import Later
from tests.unit.coordinator.cluster import Cluster


def test_callbacks_run_in_order_after_the_delay_on_one_timer() -> None:
    cluster = Cluster(1, 1)
    later = Later(cluster.nodes[0].env, 50)
    ran: list[int] = []
    timers = len(cluster.timers)
    for number in range(3):
        later.add(lambda number=number: ran.append(number))  # type: ignore[misc]
        cluster.advance(10)
    assert len(cluster.timers) == timers + 1
    assert len(later) == 3
    cluster.advance(19)
    assert ran == []
    cluster.advance(1)
    assert ran == [0]
    cluster.advance(20)
    assert ran == [0, 1, 2]
    assert len(cluster.timers) == timers


def test_a_callback_may_add_another() -> None:
    cluster = Cluster(1, 1)
    later = Later(cluster.nodes[0].env, 50)
    ran: list[str] = []

    def again() -> None:
        ran.append("first")
        later.add(lambda: ran.append("second"))

    later.add(again)
    cluster.advance(50)
    assert ran == ["first"]
    cluster.advance(50)
    assert ran == ["first", "second"]
