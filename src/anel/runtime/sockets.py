"""Ports are taken before anything starts and opened when the node serves.

A bound socket that does not listen refuses connections: its address is known and can be told to
others, and nobody is answered too early.
"""

import errno
import socket

from anel.env import Address
from anel.errors import ConfigurationError


def bind(setting: str, address: Address) -> socket.socket:
    """Take an address; port 0 takes a free one.

    Args:
        setting: Whose address it is, for the error.
        address: Host and port.

    Raises:
        ConfigurationError: It is taken, or not this machine's.
    """
    host, port = address
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        taken = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigurationError(
            f"{setting}: {host}:{port} is no address here: {error}"
        ) from error
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.setblocking(False)
        taken.bind(place)
    except OSError as error:
        taken.close()
        why = "another program has it" if error.errno == errno.EADDRINUSE else str(error)
        raise ConfigurationError(
            f"{setting}: {host}:{port} cannot be taken ({why}); choose another port or stop "
            "what listens there"
        ) from error
    return taken


def address_of(taken: socket.socket) -> Address:
    """Tell the address of a bound socket."""
    name = taken.getsockname()
    return (name[0], name[1])
