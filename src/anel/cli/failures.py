"""What a command can fail with, each with a code and the next step in its message.

Exit codes: 0 all went well, 1 the command failed or not all is up, 2 it was called wrongly.
"""

from anel.errors import AnelError

EXIT_WELL = 0
EXIT_FAILED = 1
EXIT_USAGE = 2


class CommandFailed(AnelError, code="L1"):
    """A command could not do what it was asked."""


class DataInUse(CommandFailed, code="L2"):
    """Another `anel up` runs on the same data folder."""


class PortTaken(CommandFailed, code="L3"):
    """A port that the ring needs is held by another process."""


class NothingRuns(CommandFailed, code="L4"):
    """No `anel up` runs on this data folder."""


class NoAnswer(CommandFailed, code="L5"):
    """No node of the ring answers at the contact."""


class RingDiffers(CommandFailed, code="L6"):
    """The data folder holds another ring than the one asked for."""


class NodeFailed(CommandFailed, code="L7"):
    """A node did not start, stop, or do what it was told."""
