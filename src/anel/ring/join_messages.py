"""What a node that joins and the members of the ring say to each other.

    RING_PREPARE    joiner to every member: may I? The member promises, or says why not.
    RING_COMMIT     joiner to every member: COMMIT the new view, or ABORT. Also member to
                    member, DOUBT: the joiner is silent; have you committed? The one asked will
                    not commit any more from then on.

Control messages: msgpack, on the wire between nodes since format 1.
"""

from enum import IntEnum

import msgspec

from anel.ring.ring_view import Member


class Verdict(IntEnum):
    """How a member answers RING_PREPARE. On the wire since format 1: never renumber."""

    PROMISED = 0
    BUSY = 1  # Another join or change is under way, or the epochs differ: try again.
    REFUSED = 2  # It will not do: the reason says what would.


class Step(IntEnum):
    """What RING_COMMIT asks. On the wire since format 1: never renumber."""

    COMMIT = 0
    ABORT = 1
    DOUBT = 2


class Prepare(msgspec.Struct, frozen=True, array_like=True):
    """RING_PREPARE.

    Attributes:
        join: Names this attempt: 16 random bytes.
        ring_id: Of the ring to join.
        epoch: The ring's as the joiner knows it.
        newcomer: Who joins, with its tokens.
    """

    join: bytes
    ring_id: bytes
    epoch: int
    newcomer: Member


class Prepared(msgspec.Struct, frozen=True, array_like=True):
    """The answer to RING_PREPARE."""

    verdict: Verdict
    reason: str = ""


class Decision(msgspec.Struct, frozen=True, array_like=True):
    """RING_COMMIT; `view` is the encoded new view for COMMIT, else empty."""

    join: bytes
    step: Step
    view: bytes = b""


class Decided(msgspec.Struct, frozen=True, array_like=True):
    """The answer to RING_COMMIT.

    Attributes:
        is_done: What was asked has happened (a doubt: this member will not commit).
        view: The member's present view, encoded.
    """

    is_done: bool
    view: bytes
