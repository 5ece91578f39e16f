"""What each path of the HTTP door answers."""

from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec

from anel.doors.http.backend import AdminBackend
from anel.doors.http.failure import failure
from anel.doors.http.metrics import render
from anel.doors.http.origin import Gate, refusal_of_origin
from anel.doors.http.request import JSON, Request, Response
from anel.errors import (
    InvalidRequest,
    NotReady,
    RequestFailed,
    RequestRefused,
)

Respond: TypeAlias = Callable[[Response], None]

GETS = {
    "/": "the status page",
    "/healthz": "200 when the node serves, 503 when not",
    "/status": "the ring as this node sees it",
    "/ring": "all vnodes in token order",
    "/lookup": "the replicas of a key",
    "/metrics": "Prometheus metrics",
    "/keyspaces": "all keyspaces",
}
POSTS = {"/keyspaces": "create, alter or drop a keyspace"}


class KeyspaceChange(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /keyspaces."""

    do: Literal["create", "alter", "drop"]
    name: str
    replication: int | None = None
    first_copy: bool | None = None


class Endpoints:
    """Answers requests from one node.

    Args:
        backend: The node.
    """

    def __init__(self, backend: AdminBackend) -> None:
        self._backend = backend
        self._gets: dict[str, Callable[[Request], Response]] = {
            "/": self._page,
            "/healthz": self._healthz,
            "/status": lambda _: _json(backend.status()),
            "/ring": lambda _: _json(backend.ring_report()),
            "/lookup": self._lookup,
            "/metrics": self._metrics,
            "/keyspaces": lambda _: _json(backend.keyspaces()),
        }
        assert self._gets.keys() == GETS.keys()

    def answer(self, gate: Gate, request: Request, respond: Respond) -> None:
        """Answer one request, at once or when the ring has done what it asks."""
        refusal = gate.refusal_of_host(request.headers)
        if refusal:
            respond(failure(InvalidRequest(refusal), 421))
            return
        if request.method in ("GET", "HEAD") and request.path in self._gets:
            try:
                response = self._gets[request.path](request)
            except RequestRefused as error:
                response = failure(error)
            respond(response)
        elif request.method == "POST" and request.path in POSTS:
            self._post(request, respond)
        elif request.path in GETS:
            allowed = "GET, HEAD, POST" if request.path in POSTS else "GET, HEAD"
            wrong = failure(
                InvalidRequest(f"{request.path} takes {allowed}, not {request.method}"), 405
            )
            respond(wrong._replace(headers=(("Allow", allowed),)))
        else:
            paths = ", ".join(GETS)
            respond(
                failure(
                    InvalidRequest(f"there is no {request.path[:100]}; here are {paths}"), 404
                )
            )

    def _page(self, _: Request) -> Response:
        from anel.doors.http.page import page  # Built only for people's browsers.

        return page(self._backend.status(), self._backend.ring_report())

    def _healthz(self, _: Request) -> Response:
        if self._backend.is_ready:
            return _json({"ready": True})
        return failure(NotReady("the node is starting or stopping; ask again in a second"))

    def _lookup(self, request: Request) -> Response:
        text = request.query.get("key")
        if text is None:
            raise InvalidRequest("which key? /lookup?key=TEXT or /lookup?key=0x00FF")
        return _json(self._backend.lookup(request.query.get("table", ""), _key_of(text)))

    def _metrics(self, _: Request) -> Response:
        content_type, text = render(self._backend.measures())
        return Response(text, content_type)

    def _post(self, request: Request, respond: Respond) -> None:
        refusal = refusal_of_origin(request.headers)
        if refusal:
            respond(failure(InvalidRequest(refusal), 403))
            return
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type != JSON:
            respond(failure(InvalidRequest(f"the body must be {JSON}; nothing was done"), 415))
            return
        try:
            change = msgspec.json.decode(request.body, type=KeyspaceChange)
            self._change(change, respond)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            respond(failure(InvalidRequest(f"the body cannot be used: {error}")))
        except RequestRefused as error:
            respond(failure(error))

    def _change(self, change: KeyspaceChange, respond: Respond) -> None:
        def done(error: RequestRefused | RequestFailed | None) -> None:
            if error is None:
                respond(_json({"keyspace": change.name, "done": change.do}))
            else:
                respond(failure(error))

        backend, name = self._backend, change.name
        if not backend.is_ready:
            done(NotReady("the node is starting or stopping; nothing was done, ask again soon"))
        elif change.do == "drop":
            backend.drop_keyspace(name, done)
        elif change.replication is not None and change.replication < 1:
            raise InvalidRequest(f"replication is {change.replication}; it must be 1 or more")
        elif change.do == "alter":
            if change.replication is None and change.first_copy is None:
                raise InvalidRequest("what is to change? give replication or first_copy")
            backend.alter_keyspace(
                name, change.replication, first_copy=change.first_copy, done=done
            )
        elif change.replication is None:
            raise InvalidRequest("a new keyspace needs replication; it must be 1 or more")
        else:
            backend.create_keyspace(
                name, change.replication, first_copy=bool(change.first_copy), done=done
            )


def _json(body: object) -> Response:
    return Response(msgspec.json.encode(body))


def _key_of(text: str) -> bytes:
    if not text.startswith("0x"):
        return text.encode()
    try:
        return bytes.fromhex(text[2:])
    except ValueError as error:
        raise InvalidRequest(
            f"{text[:100]!r} begins with 0x and is not hexadecimal; write 0x00FF, or the text"
        ) from error
