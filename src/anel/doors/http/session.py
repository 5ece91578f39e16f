"""One HTTP connection without its socket: bytes in, responses out, in order of requests.

Parsed by httptools (llhttp), which keeps to the standard; bounds are kept here. A request that
breaks them, or the protocol, is answered and the connection closed.
"""

from collections import deque
from collections.abc import Callable, Iterable

import httptools

from anel.doors.http.backend import AdminBackend
from anel.doors.http.endpoints import Endpoints
from anel.doors.http.failure import failure
from anel.doors.http.origin import Gate
from anel.doors.http.request import Request, Response, encode, query_of
from anel.env import Address
from anel.errors import RemoteProtocolError
from anel.limits import HTTP_BODY_BYTES_MAX, HTTP_HEAD_BYTES_MAX, HTTP_PIPELINE_MAX

_PIECE_BYTES = 8 * 1024  # Fed to the parser at once, so that heads are bounded in steps.


class HttpDoor:
    """What all HTTP connections of one node share.

    Args:
        backend: The node.
        addresses: Where the node's doors listen: the hosts under which it answers.
    """

    def __init__(self, backend: AdminBackend, addresses: Iterable[Address]) -> None:
        self.gate = Gate(addresses)
        self.endpoints = Endpoints(backend)


class _Refused(Exception):  # noqa: N818 - Never seen outside this file.
    """Ends the parsing of a request that breaks a bound."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class HttpSession:
    """One connection. The shell calls it and does what `write` and `close` say.

    Args:
        door: What all connections of the node share.
        write: Sends bytes to the client, in order.
        close: Closes the connection once everything written has left.
    """

    def __init__(
        self, door: HttpDoor, write: Callable[[bytes], None], close: Callable[[], None]
    ) -> None:
        self._door = door
        self._write = write
        self._close = close
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[Request] = deque()
        self._is_answering = False
        self._is_advancing = False
        self._is_held = False
        self._is_over = False
        self._refused: _Refused | None = None
        self._begin()

    # The shell's calls.

    @property
    def paused(self) -> bool:
        """A request waits for the ring, or for the client to read."""
        return self._is_held or self._is_answering

    @property
    def is_idle(self) -> bool:
        """Nothing is under way."""
        return not self._is_answering and not self._waiting

    def receive(self, data: bytes) -> None:
        """Take bytes from the client."""
        if self._is_over:
            return
        try:
            for at in range(0, len(data), _PIECE_BYTES):
                if not self._is_over:
                    self._feed(data[at : at + _PIECE_BYTES])
        except httptools.HttpParserUpgrade:
            self._refuse(400, "this door does not upgrade connections")
        except httptools.HttpParserError as error:
            refused = self._refused
            if refused is not None:
                self._refuse(refused.status, refused.reason)
            else:
                self._refuse(400, f"this is not HTTP/1.1: {error}")

    def pause(self) -> None:
        """Start nothing: the client does not read what it is sent."""
        self._is_held = True

    def resume(self) -> None:
        """Go on after `pause`."""
        self._is_held = False
        self._advance()

    def closed(self) -> None:
        """Forget everything: the connection is gone."""
        self._is_over = True
        self._waiting.clear()

    # The parser's calls.

    def on_message_begin(self) -> None:
        """A request begins."""
        self._begin()

    def on_url(self, url: bytes) -> None:
        """Take a part of the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        known = self._headers.get(key)
        self._headers[key] = text if known is None else f"{known},{text}"

    def on_headers_complete(self) -> None:
        """Refuse a body that is too long, or may become so, before it comes."""
        self._has_head = True
        if "transfer-encoding" in self._headers:
            self._stop(411, "a body without Content-Length")
        length = self._headers.get("content-length", "0")
        if length.isdecimal() and int(length) > HTTP_BODY_BYTES_MAX:
            self._stop(
                413, f"a body of {length} bytes; at most {HTTP_BODY_BYTES_MAX} are taken"
            )

    def on_body(self, body: bytes) -> None:
        """Take a part of the body, whose length was checked."""
        self._body += body

    def on_message_complete(self) -> None:
        """Take the whole request."""
        path, _, query = self._url.decode("latin-1").partition("?")
        try:
            fields = query_of(query)
        except ValueError:
            self._stop(400, "more than 32 fields in the query")
            return
        if len(self._waiting) >= HTTP_PIPELINE_MAX:
            self._stop(429, f"more than {HTTP_PIPELINE_MAX} requests wait on this connection")
            return
        method = self._parser.get_method().decode("latin-1")
        keep_alive = self._parser.should_keep_alive()
        self._waiting.append(
            Request(method, path, fields, self._headers, bytes(self._body), keep_alive)
        )
        self._begin()
        self._advance()

    # Parts.

    def _begin(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._has_head = False
        self._head_bytes = 0

    def _feed(self, piece: bytes) -> None:
        self._parser.feed_data(piece)
        if self._has_head:
            return
        self._head_bytes += len(piece)
        if self._head_bytes > HTTP_HEAD_BYTES_MAX:
            self._refuse(431, f"request line and headers of over {HTTP_HEAD_BYTES_MAX} bytes")

    def _stop(self, status: int, reason: str) -> None:
        self._refused = _Refused(status, reason)
        raise self._refused

    def _refuse(self, status: int, reason: str) -> None:
        """Answer what cannot be taken; the requests before it have been taken already."""
        if self._is_over:
            return
        self._is_over = True
        response = failure(RemoteProtocolError(f"{reason}; the connection is closed"), status)
        if self.is_idle:
            self._write(encode(response, keep_alive=False, with_body=True))
        self._close()

    def _advance(self) -> None:
        if self._is_advancing:
            return
        self._is_advancing = True
        while self._waiting and not (self._is_answering or self._is_held or self._is_over):
            self._is_answering = True
            self._answer(self._waiting.popleft())
        self._is_advancing = False

    def _answer(self, request: Request) -> None:
        def respond(response: Response) -> None:
            self._is_answering = False
            if self._is_over:
                return
            with_body = request.method != "HEAD"
            keep = request.keep_alive
            self._write(encode(response, keep_alive=keep, with_body=with_body))
            if not keep:
                self._is_over = True
                self._close()
            else:
                self._advance()

        self._door.endpoints.answer(self._door.gate, request, respond)
