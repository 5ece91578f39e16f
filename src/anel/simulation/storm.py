"""One seeded run: a storm in which promises must hold, then a calm in which all must heal.

Options are drawn from the seed and can be printed, so that a failing seed explains itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from anel.data.consistency import ConsistencyLevel
from anel.simulation.clients import Clients
from anel.simulation.history import HistoryChecker
from anel.simulation.ring import Machine, Parts, SimulatedRing
from anel.simulation.world import CALM, MS, Weather, World

CALM_MS_MAX = 120_000  # Hints, suspicion and anti-entropy all have had their turn by then.
SETTLE_MS = 500
STEP_MS_MAX = 25.0
SOON_MS = 30.0  # Trouble strikes between operations, not after them.
TTL_MS_MAX = 500
LOOK_MS = 500


@dataclass(frozen=True, slots=True)
class Options:
    """What one run is made of."""

    nodes: int
    replication: int
    keys: int
    operations: int
    level: ConsistencyLevel
    weather: Weather
    crash: float  # Chance per operation that a node is killed.
    restart: float  # Chance per operation that a killed node comes back.
    power_cut: float  # Chance per operation that all nodes die at once, and soon start again.
    cut: float  # Chance per operation that a link, or a node, is cut off; likewise healed.
    skew_ms: int  # Clocks are off by up to this.
    delete: float  # Share of writes that delete.
    down_max: int  # How many nodes may be down at once.
    shared: bool = False  # All keys in one partition.
    scan: float = 0.0  # Share of reads that read everything, in small pages.
    range_delete: float = 0.0  # Share of writes that delete a range; only where clocks agree.
    expiring: float = 0.0  # Share of writes with a time to live.
    ties: bool = False  # Clients bring timestamps, few different ones.
    sync_ms: float = 4.0  # The slowest fsync.
    anti_entropy: bool = True  # Without it hints and read repair must heal alone.


@dataclass(slots=True)
class Verdict:
    """How a run ended. `complaints` is empty when every promise was kept."""

    seed: int
    options: Options
    complaints: list[str]
    digest: int
    acknowledged: int
    reads: int
    refused: int
    healed_ms: float

    def __str__(self) -> str:
        """Write the verdict, what the run was made of, and how to play it again."""
        head = "good" if not self.complaints else "BAD"
        lines = [
            (
                f"seed {self.seed}: {head}, digest {self.digest:08x}, "
                f"{self.acknowledged} writes acknowledged, {self.reads} reads, "
                f"{self.refused} refused, healed in {self.healed_ms:.0f} ms"
            ),
            f"  {self.options}",
            *(f"  {complaint}" for complaint in self.complaints),
        ]
        return "\n".join(lines)


def draw_options(seed: int) -> Options:
    """Choose what a run is made of from its seed."""
    random = Random(seed ^ 0xA4E1)
    nodes = random.choice((3, 3, 4, 5))
    weather = Weather(
        drop=random.choice((0.0, 0.0, 0.02, 0.1)),
        duplicate=random.choice((0.0, 0.05, 0.2)),
        delay_ms_max=random.choice((1.0, 5.0, 20.0)),
        late=random.choice((0.0, 0.01, 0.05)),
        late_ms_max=random.choice((50.0, 400.0, 3000.0)),
    )
    crash = random.choice((0.0, 0.01, 0.05))
    power_cut = random.choice((0.0, 0.03)) if crash else 0.0
    skew_ms = random.choice((0, 0, 5, 300))
    shared = random.random() < 0.4
    ties = random.random() < 0.1
    return Options(
        nodes=nodes,
        replication=3,
        keys=random.choice((3, 8, 30)),
        operations=random.choice((60, 100, 160)),
        level=random.choice(
            (ConsistencyLevel.QUORUM, ConsistencyLevel.QUORUM, ConsistencyLevel.ONE)
        ),
        weather=weather,
        crash=crash,
        restart=random.choice((0.02, 0.1)),
        power_cut=power_cut,
        cut=random.choice((0.0, 0.02, 0.05)),
        skew_ms=skew_ms,
        delete=0.0 if ties else random.choice((0.0, 0.1, 0.3)),
        down_max=random.choice((1, 1, 2, nodes)),
        shared=shared,
        scan=random.choice((0.0, 0.1, 0.3)),
        range_delete=random.choice((0.0, 0.1)) if shared and not skew_ms and not ties else 0.0,
        expiring=0.0 if ties else random.choice((0.0, 0.0, 0.3, 0.8)),
        sync_ms=random.choice((4.0, 4.0, 40.0)),
        ties=ties,
        anti_entropy=bool(crash or random.random() < 0.5),
    )


class Storm:
    """One run.

    Args:
        seed: Decides everything.
        options: Instead of those the seed draws.
        parts: Planted bugs.
    """

    def __init__(
        self, seed: int, *, options: Options | None = None, parts: Parts | None = None
    ) -> None:
        self.options = options or draw_options(seed)
        self.seed = seed
        self.world = World(seed)
        self.ring = SimulatedRing(
            self.world,
            self.options.nodes,
            replication=self.options.replication,
            parts=parts,
        )
        self.clients = Clients(self.ring)
        self.ring.shared = self.options.shared
        self.ring.anti_entropy = self.options.anti_entropy
        self.ring.sync_ms_max = self.options.sync_ms
        self._is_storm = True
        self.keys = [b"k%02d" % number for number in range(self.options.keys)]
        self._random = Random(seed ^ 0x57084)

    def run(self) -> Verdict:
        """Play the storm, then the calm, and judge."""
        options, ring, world = self.options, self.ring, self.world
        for machine in ring.machines:
            skew_us = options.skew_ms * 1000
            ring.skew(machine.index, self._random.randint(-skew_us // 2, skew_us // 2))
        ring.start_all()
        world.weather = options.weather
        for _ in range(options.operations):
            self._client()
            self._trouble()
            world.run(self._random.random() * STEP_MS_MAX)
        healed_ms = self._calm()
        return self._judge(healed_ms)

    # ------------------------------------------------------------------ the storm

    def _client(self) -> None:
        living = self.ring.living()
        if not living:
            return
        options, random = self.options, self._random
        machine = random.choice(living)
        if random.random() < 0.55:
            self._write(machine)
        elif random.random() < options.scan:
            self.clients.scan(machine, self.keys, options.level)
        else:
            self.clients.read(machine, random.choice(self.keys), options.level)

    def _write(self, machine: Machine) -> None:
        options, random = self.options, self._random
        first = random.randrange(len(self.keys))
        if random.random() < options.range_delete:
            last = min(len(self.keys), first + random.randint(1, 5))
            self.clients.delete_range(machine, self.keys[first:last], options.level)
            return
        self.clients.write(
            machine,
            self.keys[first],
            options.level,
            delete=random.random() < options.delete,
            ttl_ms=random.randint(20, TTL_MS_MAX) if random.random() < options.expiring else 0,
            timestamp=random.randint(1, 3) if options.ties else None,
        )

    def _trouble(self) -> None:
        options, random, ring = self.options, self._random, self.ring
        down = [machine for machine in ring.machines if machine.node is None]
        if down and random.random() < options.restart:
            self._restart(random.choice(down))
        if len(down) < options.down_max and random.random() < options.crash:
            victim = random.randrange(len(ring.machines))
            self._soon(lambda: ring.crash(victim))
        if random.random() < options.power_cut:
            self._soon(self._power_cut)
        if random.random() < options.cut:
            self._cut()
        if random.random() < options.cut:
            self.world.heal()

    def _soon(self, trouble: Callable[[], None]) -> None:
        def strike() -> None:
            if self._is_storm:
                trouble()

        self.world.schedule(int(self._random.random() * SOON_MS * MS), strike)

    def _power_cut(self) -> None:
        self.ring.crash_all()
        for machine in self.ring.machines:
            self._soon(lambda machine=machine: self._restart(machine))  # type: ignore[misc]

    def _restart(self, machine: Machine) -> None:
        if machine.node is not None:
            return
        if self.options.skew_ms:
            skew_us = self.options.skew_ms * 1000
            self.ring.skew(machine.index, self._random.randint(-skew_us // 2, skew_us // 2))
        self.ring.start(machine.index)

    def _cut(self) -> None:
        nodes = [machine.settings.node for machine in self.ring.machines]
        one = self._random.choice(nodes)
        others = [node for node in nodes if node != one]
        if self._random.random() < 0.5:
            others = [self._random.choice(others)]
        both = self._random.random() < 0.7
        for other in others:
            self.world.cut(one, other)
            if both:
                self.world.cut(other, one)

    # ------------------------------------------------------------------ the calm

    def _calm(self) -> float:
        world, ring = self.world, self.ring
        self._is_storm = False
        world.heal()
        world.weather = CALM
        for machine in ring.machines:
            ring.skew(machine.index, 0)
            if machine.node is None:
                ring.start(machine.index)
        began = world.now_ns
        world.run(SETTLE_MS)
        world.run(CALM_MS_MAX, self._healed_or_wait())
        return (world.now_ns - began) / MS

    def _healed_or_wait(self) -> Callable[[], bool]:
        next_look = [0]

        def healed() -> bool:
            if self.world.now_ns < next_look[0]:
                return False
            next_look[0] = self.world.now_ns + LOOK_MS * MS
            return self._is_healed()

        return healed

    def _is_healed(self) -> bool:
        ring = self.ring
        return (
            all(machine.serves for machine in ring.machines)
            and ring.hints() == 0
            and not ring.differences()
        )

    def _judge(self, healed_ms: float) -> Verdict:
        ring, history = self.ring, self.clients.history
        complaints = list(ring.complaints)
        if not self._is_healed():
            serving = len(ring.living())
            complaints.append(
                f"not healed: {serving} nodes serve, {ring.hints()} hints are kept"
            )
            if serving == len(ring.machines):
                complaints += ring.differences()
        complaints += self._judge_history(HistoryChecker(history))
        return Verdict(
            seed=self.seed,
            options=self.options,
            complaints=complaints,
            digest=self.world.digest,
            acknowledged=history.acknowledged(),
            reads=len(history.reads),
            refused=history.unavailable + history.timeouts,
            healed_ms=healed_ms,
        )

    def _judge_history(self, checker: HistoryChecker) -> list[str]:
        keys = sorted({write.key for write in self.clients.history.writes})
        if not self.ring.living():
            return []
        complaints = []
        held: dict[bytes, bytes | None] = {}
        for key in keys:
            values = [self.ring.held(machine, key) for machine in self.ring.replicas(key)]
            held[key] = values[0]
            if any(value != values[0] for value in values):
                complaints.append(f"key {key!r}: replicas hold {values}")
        if self.options.level is ConsistencyLevel.QUORUM and not self.options.ties:
            return complaints + checker.reads() + checker.final(held, self.ring.now_ms())
        return complaints + checker.final_unordered(held)


def play(seed: int, *, parts: Parts | None = None) -> Verdict:
    """Play one seed."""
    return Storm(seed, parts=parts).run()
