"""Under test: anel.cli.ports: which ports a ring has, and how an offset is chosen."""

import pytest

from anel.cli import ports
from anel.cli.failures import PortTaken


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    held: set[int] = set()
    monkeypatch.setattr(ports, "is_free", lambda port: port not in held)
    monkeypatch.setattr(ports, "holder", lambda _: "process 7 (redis-server)")
    return held


def test_a_ring_of_three_has_five_ports_a_node_none_twice() -> None:
    assert len(set(ports.all_ports(3, 0))) == 15
    assert len(set(ports.all_ports(100, 300))) == 500
    assert ports.port_of("resp", 2, 100) == 6481
    assert ports.port_of("internode", 0, 0) == 7000


def test_free_ports_are_taken_as_they_are(taken: set[int]) -> None:
    assert ports.choose_offset(3, None) == (0, "")
    assert ports.choose_offset(3, 700) == (700, "")
    assert not taken


def test_a_taken_port_moves_everything_by_steps_of_a_hundred_and_says_so(
    taken: set[int],
) -> None:
    taken.update({6380, 8600})
    offset, words = ports.choose_offset(3, None)
    assert offset == 200
    assert "port 6380 is taken by process 7 (redis-server)" in words


def test_a_reserved_port_counts_too(taken: set[int]) -> None:
    taken.add(9042)
    assert ports.choose_offset(1, None)[0] == 100


def test_a_given_offset_that_does_not_fit_is_refused_with_port_and_process(
    taken: set[int],
) -> None:
    taken.add(6379)
    with pytest.raises(PortTaken, match=r"port 6379 .*--port-offset 0.*redis-server"):
        ports.choose_offset(3, 0)
