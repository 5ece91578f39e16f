"""The bound on background work: so many bytes a second, a burst of one second at first."""

from anel.flow import Flow
from anel.repair.pace import Pace
from anel.simulation.world import World
from tests.unit.fakes.ring import BareNode


def test_a_burst_of_a_second_then_the_rate() -> None:
    world = World(1)
    node = BareNode(world, 0)
    pace = Pace(node.env, 1000)
    world.run(5000)
    begun_ns = world.now_ns
    passed: list[int] = []

    async def move() -> None:
        for _ in range(40):
            await pace.take(100)
            passed.append((world.now_ns - begun_ns) // 1_000_000)

    Flow(node.env, move())
    world.run(10_000)
    assert len(passed) == 40
    assert passed[9] == 0
    assert passed[19] == 1000
    assert passed[39] == 3000


def test_one_piece_larger_than_a_second_passes_in_its_time() -> None:
    world = World(1)
    node = BareNode(world, 0)
    pace = Pace(node.env, 1000)
    done: list[int] = []

    async def move() -> None:
        await pace.take(5000)
        done.append(world.now_ns)

    Flow(node.env, move())
    world.run(10_000)
    assert done == [4_000_000_000]
