"""Under test: redis-benchmark runs against a ring, one command at a time and pipelined."""

import subprocess

import pytest

from anel.testing.local_ring import LocalRing

pytestmark = pytest.mark.redis_cli

SECONDS_MAX = 120
REQUESTS = 600


@pytest.mark.parametrize("pipeline", [1, 16])
@pytest.mark.parametrize("node", [0, 2])
def test_it_measures_ping_set_get_and_mset(ring: LocalRing, pipeline: int, node: int) -> None:
    host, port = ring.nodes[node].address("resp")
    options = f"-t ping,set,get,mset -P {pipeline} -n {REQUESTS} -c 20 -r 1000 --csv"
    ended = subprocess.run(
        ["redis-benchmark", "-h", host, "-p", str(port), *options.split()],
        capture_output=True,
        text=True,
        check=True,
        timeout=SECONDS_MAX,
    )
    assert ended.stderr == ""
    names = [line.split(",")[0].strip('"') for line in ended.stdout.splitlines()[1:]]
    assert names == ["PING_INLINE", "PING_MBULK", "SET", "GET", "MSET (10 keys)"]
    rates = [float(line.split(",")[1].strip('"')) for line in ended.stdout.splitlines()[1:]]
    assert min(rates) > 0
