"""One HTTP request taken apart, and the reply to it."""

from typing import NamedTuple
from urllib.parse import parse_qsl

_REASONS = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    411: "Length Required",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    421: "Misdirected Request",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
JSON = "application/json"


class Request(NamedTuple):
    """A whole request. Header names are in lower case; repeated ones are joined by commas."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    keep_alive: bool


class Response(NamedTuple):
    """What is answered."""

    body: bytes
    content_type: str = JSON
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


def query_of(text: str) -> dict[str, str]:
    """Read a query string; the last of a repeated name counts."""
    return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=32))


def encode(response: Response, *, keep_alive: bool, with_body: bool) -> bytes:
    """Write a response as HTTP/1.1."""
    lines = [
        f"HTTP/1.1 {response.status} {_REASONS[response.status]}",
        f"Content-Type: {response.content_type}",
        f"Content-Length: {len(response.body)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        f"Connection: {'keep-alive' if keep_alive else 'close'}",
        *(f"{name}: {value}" for name, value in response.headers),
    ]
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    return head + response.body if with_body else head
