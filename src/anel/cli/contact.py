"""Asks nodes over their HTTP doors: finds one that answers, then, if wanted, all of the ring.

--contact HOST:PORT,  else the nodes of ring.json in --data DIR,  else 127.0.0.1:8500
"""

import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from typing import Any, TypeAlias
from urllib.parse import urlencode

from anel.cli.data_folder import DataFolder
from anel.cli.failures import CommandFailed, NoAnswer
from anel.errors import AnelError, RequestFailed, RequestRefused, all_errors

CONTACT_DEFAULT = "127.0.0.1:8500"
PATIENCE_SECONDS = 2.0
CHANGE_PATIENCE_SECONDS = 15.0  # A schema change waits for every node that can be reached.
ASKED_AT_ONCE_MAX = 16

Json: TypeAlias = Any  # What a node sends; its forms stand in anel.doors.http.backend.
Body: TypeAlias = dict[str, Any]


class Contact:
    """The HTTP doors at which a ring can be asked."""

    def __init__(self, addresses: Sequence[str], advice: str) -> None:
        self._addresses = list(addresses)
        self._advice = advice

    def get(self, path: str, **fields: str) -> Json:
        """Ask the first node that answers.

        Raises:
            NoAnswer: None does.
            AnelError: The node refused; its own code and reason.
        """
        query = f"?{urlencode(fields)}" if fields else ""
        return self._ask("GET", path + query, None, PATIENCE_SECONDS)

    def change(self, method: str, path: str, body: Body) -> Json:
        """Have the first node that answers change something."""
        return self._ask(method, path, body, CHANGE_PATIENCE_SECONDS)

    def _ask(self, method: str, path: str, body: Body | None, seconds: float) -> Json:
        reasons = []
        for address in self._addresses:
            try:
                return ask(address, method, path, body=body, seconds=seconds)
            except (OSError, HTTPException) as error:
                reasons.append(f"{address}: {why(error)}")
                if method != "GET" and not isinstance(error, ConnectionRefusedError):
                    raise NoAnswer(
                        f"{address} took the request and did not answer ({why(error)}): it may "
                        "have been done; look with `anel keyspace list` before trying again"
                    ) from error
        raise NoAnswer(f"no node answers ({'; '.join(reasons)}); {self._advice}")


def find(contact: str | None, folder: DataFolder) -> Contact:
    """Find where to ask, as the options say."""
    if contact is not None:
        return Contact([contact], "is this the address of an HTTP door (8500 + k)?")
    ring = folder.read()
    if ring is None:
        return Contact(
            [CONTACT_DEFAULT],
            f"there is no ring in {folder.path} either: start one with `anel up`, or say where "
            "it is with --data DIR or --contact HOST:PORT",
        )
    addresses = [node["http"] for node in ring["nodes"] if node.get("pid") and node.get("http")]
    stopped = [node["http"] for node in ring["nodes"] if node.get("http")]
    return Contact(
        addresses or stopped,
        f"start the ring in {folder.path} with `anel up{folder.option}`",
    )


def ask(
    address: str, method: str, path: str, *, body: Body | None = None, seconds: float
) -> Json:
    """Ask one node.

    Raises:
        OSError, HTTPException: It cannot be reached, or does not speak HTTP.
        AnelError: It refused, with its own code and reason.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise CommandFailed(f"{address!r} is not an address; accepted: HOST:PORT")
    connection = HTTPConnection(host.strip("[]"), int(port), timeout=seconds)
    try:
        sent = None if body is None else json.dumps(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method, path, sent, headers)
        response = connection.getresponse()
        text = response.read()
    finally:
        connection.close()
    try:
        answer = json.loads(text) if text else {}
    except ValueError as error:
        raise NoAnswer(f"{address} is not an HTTP door of Anel (port 8500 + k)") from error
    if response.status >= 400:
        raise _refusal(answer, f"{address} answered {response.status}")
    return answer


def ask_all(addresses: Iterable[str], path: str) -> dict[str, Any]:
    """Ask several nodes at once; leaves out those that do not answer."""
    wanted = list(addresses)

    def one(address: str) -> Json:
        try:
            return ask(address, "GET", path, seconds=PATIENCE_SECONDS)
        except (OSError, HTTPException, AnelError):
            return None

    with ThreadPoolExecutor(ASKED_AT_ONCE_MAX) as pool:
        answers = zip(wanted, pool.map(one, wanted), strict=True)
        return {address: answer for address, answer in answers if answer is not None}


def why(error: Exception) -> str:
    """Say in a few words why a node could not be asked."""
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__


def _refusal(answer: Json, fallback: str) -> AnelError:
    """Turn a node's error into one of ours that carries its code."""
    known = answer if isinstance(answer, dict) else {}
    code, message = str(known.get("code", "")), str(known.get("message", fallback))
    kind = all_errors().get(code, RequestFailed if code.startswith("X") else RequestRefused)
    error = AnelError.__new__(kind)
    error.args = (message.removeprefix(f"{code}: "),)
    return error
