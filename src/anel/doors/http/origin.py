"""Who may ask: requests that a foreign web page made a browser send are refused.

A page of another site can make a browser on this machine talk to 127.0.0.1, by a form or by
pointing a name of its own there (DNS rebinding). So every request must name this node as its
host, and one that changes something must not come from another origin.

Source: CORRECTNESS 24.
"""

from collections.abc import Iterable, Mapping
from ipaddress import ip_address

from anel.env import Address

_LOOPBACK_NAMES = ("localhost",)


class Gate:
    """The hosts under which one node answers.

    Args:
        addresses: Where its doors listen.
    """

    def __init__(self, addresses: Iterable[Address]) -> None:
        self._own = {host.lower(): True for host, _ in addresses}

    def refusal_of_host(self, headers: Mapping[str, str]) -> str:
        """Say why a request's Host is refused; empty when it is not."""
        host = headers.get("host", "")
        name = _name_of(host)
        if name in _LOOPBACK_NAMES or name in self._own or _is_loopback(name):
            return ""
        shown = host[:100] or "missing"
        return (
            f"the Host header is {shown!r}, which is not this node; use its address or "
            "localhost (names that others can point here are refused: DNS rebinding)"
        )


def refusal_of_origin(headers: Mapping[str, str]) -> str:
    """Say why a request may not change anything; empty when it may."""
    origin = headers.get("origin")
    if origin is not None:
        _, _, asked_from = origin.partition("://")
        if asked_from.lower() != headers.get("host", "").lower():
            return f"the request comes from another site ({origin[:100]!r}); nothing was done"
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return "the request comes from another site (Sec-Fetch-Site); nothing was done"
    return ""


def _name_of(host: str) -> str:
    """Give the name in a Host header without its port and brackets; empty for nonsense."""
    name, colon, port = host.lower().rpartition(":")
    if not colon or (host.startswith("[") and host.endswith("]")):
        name, port = host.lower(), ""
    if port and not (port.isascii() and port.isdecimal()):
        return ""
    if name.startswith("[") and name.endswith("]"):
        return name[1:-1]
    return "" if ":" in name else name


def _is_loopback(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
