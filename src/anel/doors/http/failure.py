"""Errors as HTTP answers: a status and JSON with the code, what happened and what to do."""

import msgspec

from anel import errors
from anel.doors.http.request import Response
from anel.errors import AnelError

# The nearest class above an error counts, so that the mapping is total.
_STATUSES: dict[type[AnelError], int] = {
    AnelError: 500,
    errors.ProtocolError: 400,
    errors.RequestRefused: 400,
    errors.UnknownTable: 404,
    errors.AlreadyExists: 409,
    errors.NotSupported: 501,
    errors.RequestFailed: 500,
    errors.Unavailable: 503,
    errors.Overloaded: 429,
    errors.NotReady: 503,
    errors.Timeout: 504,
}


def status_of(error: AnelError) -> int:
    """Give the status of an error: 4xx is the client's fault, 429, 503 and 504 want a retry."""
    return next(_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES)


def failure(error: AnelError, status: int | None = None) -> Response:
    """Answer with an error; `next` is what its message says to do."""
    message = str(error).removeprefix(f"{error.code}: ")
    _, _, advice = message.rpartition("; ")
    body = {"code": error.code, "message": message, "next": advice if "; " in message else ""}
    return Response(msgspec.json.encode(body), status=status or status_of(error))
