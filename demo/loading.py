"""Writing and checking through redis-py, as a program would that must not stop for one node."""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

BATCH = 200
TRIES_MAX = 50
PAUSE_S = 0.1

Pair = tuple[str, str]
Progress = Callable[[int], None]


def client(address: tuple[str, int]) -> redis.Redis:
    """Make a client for one node that reports each failure instead of hiding it in retries."""
    return redis.Redis(
        host=address[0],
        port=address[1],
        retry=Retry(NoBackoff(), 0),
        socket_timeout=10,
        decode_responses=True,
    )


@dataclass
class Tally:
    """What happened while writing."""

    written: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    longest_wait_s: float = 0.0

    def failed(self, error: redis.RedisError) -> None:
        """Count one failed batch by its kind."""
        name = "connection refused" if "refused" in str(error) else type(error).__name__
        self.failures[name] = self.failures.get(name, 0) + 1


def batches(pairs: Iterable[Pair]) -> Iterator[list[Pair]]:
    """Cut pairs into batches of one pipeline each."""
    source = iter(pairs)
    while batch := list(itertools.islice(source, BATCH)):
        yield batch


def write(
    pairs: Iterable[Pair], addresses: Sequence[tuple[str, int]], progress: Progress
) -> Tally:
    """Set every pair, node after node; a batch that failed is sent again to the next one.

    A SET is idempotent, so sending it again is safe whatever became of it before.

    Raises:
        redis.RedisError: A batch failed everywhere, again and again.
    """
    tally = Tally()
    clients = [client(address) for address in addresses]
    turn = itertools.cycle(clients)
    for batch in batches(pairs):
        started = time.monotonic()
        for attempt in itertools.count(1):
            try:
                send(next(turn), batch)
                break
            except redis.RedisError as error:
                tally.failed(error)
                if attempt >= TRIES_MAX:
                    raise
                time.sleep(PAUSE_S)
        tally.longest_wait_s = max(tally.longest_wait_s, time.monotonic() - started)
        tally.written += len(batch)
        progress(len(batch))
    for each in clients:
        each.close()
    return tally


def send(node: redis.Redis, batch: list[Pair]) -> None:
    """Set one batch in one pipeline; every answer must be OK."""
    pipeline = node.pipeline(transaction=False)
    for key, text in batch:
        pipeline.set(key, text)
    pipeline.execute()


@dataclass
class Check:
    """What a reading of all keys found."""

    right: int = 0
    missing: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    took_s: float = 0.0

    @property
    def is_whole(self) -> bool:
        """Every key was there with its own text."""
        return not self.missing and not self.different


def check(
    pairs: Iterable[Pair], address: tuple[str, int], *, own_copy: bool, progress: Progress
) -> Check:
    """Read every key through one node.

    Args:
        pairs: What must be there.
        address: Of the node to ask.
        own_copy: Ask for its own copy (consistency ONE) rather than for a quorum's word.
        progress: Told how many keys were read.
    """
    found = Check()
    started = time.monotonic()
    with client(address) as node, node.client() as connection:
        if own_copy:
            connection.execute_command("READONLY")
        for batch in batches(pairs):
            texts = connection.mget([key for key, _ in batch])
            for (key, wanted), text in zip(batch, texts, strict=True):
                if text == wanted:
                    found.right += 1
                elif text is None:
                    found.missing.append(key)
                else:
                    found.different.append(key)
            progress(len(batch))
    found.took_s = time.monotonic() - started
    return found
