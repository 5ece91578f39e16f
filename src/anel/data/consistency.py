"""Consistency levels: how many replicas must answer before the client does.

Source: Cassandra's native protocol, section 3 ("consistency"); Dynamo (SOSP 2007), section 4.5.
"""

from enum import IntEnum


class ConsistencyLevel(IntEnum):
    """The client's choice of W or R. The numbers are the native protocol's."""

    ANY = 0
    ONE = 1
    TWO = 2
    THREE = 3
    QUORUM = 4
    ALL = 5


def required(level: ConsistencyLevel, replication_factor: int) -> int:
    """Tell how many replicas must answer; liveness never changes it (CORRECTNESS 10).

    May exceed the replication factor (THREE at a factor of 2): the request is then Unavailable.
    ANY asks for one answer, which may be a durable hint.
    """
    match level:
        case ConsistencyLevel.ANY | ConsistencyLevel.ONE:
            return 1
        case ConsistencyLevel.TWO:
            return 2
        case ConsistencyLevel.THREE:
            return 3
        case ConsistencyLevel.QUORUM:
            return replication_factor // 2 + 1
        case ConsistencyLevel.ALL:
            return replication_factor
