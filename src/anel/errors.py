"""Every error that Anel raises or answers, in one tree, each with a code that never changes.

    AnelError                    whose fault       may it have happened anyway?
    |-- ProtocolError       P    the peer's        no: answer if possible, then close
    |-- RequestRefused      Q    the client's      no: nothing was attempted
    |-- RequestFailed       X    the ring's        see each class
    |-- StorageError        S    the disk's        -
    `-- ConfigurationError  C    the operator's    refuse to start, name the setting

Outcomes that the coordinator expects (Unavailable, timeouts, Overloaded) are instances of
RequestFailed handed to a callback as values, never raised below a door.
"""

from enum import IntEnum
from typing import ClassVar

_codes: dict[str, type["AnelError"]] = {}


class AnelError(Exception):
    """Base of every error that Anel raises or answers on purpose."""

    code: ClassVar[str] = "A0"

    def __init_subclass__(cls, code: str | None = None) -> None:
        """Register the class under its code, which no other class may have."""
        if code is not None:
            if code in _codes:
                raise TypeError(f"{cls.__name__} and {_codes[code].__name__} share code {code}")
            _codes[code] = cls
            cls.code = code

    def __str__(self) -> str:
        """Say what happened and what to do, with the code in front."""
        return f"{self.code}: {super().__str__()}"


def all_errors() -> dict[str, type[AnelError]]:
    """List every error class by code, for documentation and for tests of totality."""
    return dict(sorted(_codes.items()))


class ProtocolError(AnelError, code="P1"):
    """The bytes exchanged broke the rules of a protocol."""


class RemoteProtocolError(ProtocolError, code="P2"):
    """The peer broke the framing: answer if possible, then close."""


class PeerRefused(ProtocolError, code="P3"):
    """A node may not join this conversation: another cluster or format, or an id taken."""


class RequestRefused(AnelError, code="Q1"):
    """The request is wrong; nothing was attempted."""


class InvalidStatement(RequestRefused, code="Q2"):
    """The request cannot be parsed."""


class InvalidRequest(RequestRefused, code="Q3"):
    """The request can be parsed but not carried out as asked."""


class UnknownTable(RequestRefused, code="Q4"):
    """There is no such keyspace or table."""


class AlreadyExists(RequestRefused, code="Q5"):
    """The keyspace or table to make is there already."""


class NotSupported(RequestRefused, code="Q6"):
    """Known, but not built yet; the message says where the documentation says so."""


class RequestFailed(AnelError, code="X1"):
    """The ring could not do what was asked."""


class Unavailable(RequestFailed, code="X2"):
    """Too few replicas are alive. Nothing was sent: a retry is safe."""

    def __init__(
        self, level: IntEnum, required: int, alive: int, *, recovering: int = 0
    ) -> None:
        refilled = (
            f" ({recovering} being refilled after damage: anel status says what to do)"
            if recovering
            else ""
        )
        super().__init__(
            f"{level.name} needs {required} replicas and {alive} can be reached{refilled}; "
            "nothing was done, try again when more nodes are up (anel status)"
        )
        self.level = level
        self.required = required
        self.alive = alive
        self.recovering = recovering


class Overloaded(RequestFailed, code="X3"):
    """A bound was reached before any work was done: a retry after a pause is safe."""


class NotReady(RequestFailed, code="X4"):
    """The node has not read its store and ring yet, or is stopping: retry soon or elsewhere."""


class Timeout(RequestFailed, code="X5"):
    """Too few replicas answered in time."""

    def __init__(self, level: IntEnum, required: int, received: int) -> None:
        super().__init__(
            f"{level.name} needs {required} answers and {received} came in time; "
            + self._consequence
        )
        self.level = level
        self.required = required
        self.received = received

    _consequence = "try again"


class WriteTimeout(Timeout, code="X6"):
    """The write may have happened and may still spread: retry only what is idempotent."""

    _consequence = "the write may have been applied, retry it if it is idempotent"


class ReadTimeout(Timeout, code="X7"):
    """Nothing was read: a retry is safe."""

    _consequence = "a retry is safe"


class WriteFailed(RequestFailed, code="X8"):
    """Replicas refused the write; others may hold it: retry only what is idempotent."""


class ReadFailed(RequestFailed, code="X9"):
    """Replicas could not read (damage, too many tombstones): the message says what to do."""


class StorageError(AnelError, code="S1"):
    """The store could not do what was asked."""


class CorruptData(StorageError, code="S2"):
    """Bytes on disk or between nodes are not what was written: never served as good data."""


class DiskFailed(StorageError, code="S3"):
    """The disk is full or failing; an fsync that failed is fatal to the process."""


class UnknownFormat(StorageError, code="S4"):
    """A file or frame has a format number this release does not know; upgrade or restore."""


class ConfigurationError(AnelError, code="C1"):
    """A setting or the environment is wrong; the message names it."""
