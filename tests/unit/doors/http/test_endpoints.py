"""What each path of the HTTP door answers, and to whom it answers nothing."""

import json

import pytest

from anel.data.consistency import ConsistencyLevel
from anel.doors.http.endpoints import GETS
from anel.errors import AlreadyExists, Unavailable
from tests.unit.doors.http.node import Browser, body_of, status_of


@pytest.mark.parametrize("path", GETS)
def test_every_path_answers(path: str) -> None:
    target = path + "?key=a" if path == "/lookup" else path
    response = Browser().ask("GET", target)
    assert status_of(response) == 200
    assert f"Content-Length: {len(body_of(response))}\r\n".encode() in response
    assert b"X-Content-Type-Options: nosniff" in response


def test_head_answers_without_a_body() -> None:
    response = Browser().ask("HEAD", "/status")
    assert status_of(response) == 200
    assert body_of(response) == b""
    assert b"Content-Length: 0" not in response


def test_status_says_what_the_node_knows() -> None:
    status = json.loads(body_of(Browser().ask("GET", "/status")))
    assert status["nodes"][0]["rows"] == 1234
    assert status["keyspaces"][0]["levels"]["QUORUM"] == 0.5
    assert status["next_step"] == "start it"


def test_a_node_that_is_not_ready_is_not_healthy() -> None:
    browser = Browser()
    browser.node.is_ready = False
    response = browser.ask("GET", "/healthz")
    assert status_of(response) == 503
    assert json.loads(body_of(response))["code"] == "X4"


@pytest.mark.parametrize(("text", "key"), [("a%20b", b"a b"), ("0x00ff", b"\0\xff"), ("", b"")])
def test_keys_are_looked_up_as_text_or_hexadecimal(text: str, key: bytes) -> None:
    found = json.loads(body_of(Browser().ask("GET", f"/lookup?key={text}&table=redis")))
    assert found["key"] == key.hex()


@pytest.mark.parametrize(
    ("target", "status", "word"),
    [
        ("/lookup", 400, "which key"),
        ("/lookup?key=0xzz", 400, "not hexadecimal"),
        ("/lookup?key=a&table=none", 404, "no keyspace none"),
        ("/nothing", 404, "there is no /nothing"),
    ],
)
def test_wrong_questions_are_answered_with_what_to_do(
    target: str, status: int, word: str
) -> None:
    response = Browser().ask("GET", target)
    assert status_of(response) == status
    error = json.loads(body_of(response))
    assert set(error) == {"code", "message", "next"}
    assert word in error["message"]
    assert error["next"] in error["message"]


def test_a_wrong_method_names_the_right_ones() -> None:
    response = Browser().ask("DELETE", "/status")
    assert status_of(response) == 405
    assert b"\r\nAllow: GET, HEAD\r\n" in response


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:1", "127.0.0.1:8500", "127.9.9.9", "[::1]:8500", "10.0.0.7"],
)
def test_the_nodes_own_names_are_answered(host: str) -> None:
    assert status_of(Browser().ask("GET", "/status", Host=host)) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:8500",
        "10.0.0.8",
        "",
        "::",
        "localhost:x",
        "localhost,evil.example",
        "[::1",
        "127.0.0.1:8500@evil.example",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_names_that_others_can_point_here_are_refused(host: str, method: str) -> None:
    browser = Browser()
    response = browser.ask(method, "/keyspaces", b"{}", Host=host)
    assert status_of(response) == 421
    assert browser.node.changes == []


CREATE = b'{"do": "create", "name": "shop", "replication": 2}'


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:8501"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_another_sites_page_changes_nothing(headers: dict[str, str]) -> None:
    browser = Browser()
    assert status_of(browser.ask("POST", "/keyspaces", CREATE, **headers)) == 403
    assert browser.node.changes == []


def test_a_form_changes_nothing() -> None:
    browser = Browser()
    response = browser.ask("POST", "/keyspaces", CREATE, Content_Type="text/plain")
    assert status_of(response) == 415
    assert browser.node.changes == []


def test_the_nodes_own_page_may_change_things() -> None:
    browser = Browser()
    browser.ask("POST", "/keyspaces", CREATE, Origin="http://localhost:8500")
    assert browser.node.changes == [("create", "shop", 2, False)]


@pytest.mark.parametrize(
    ("body", "change"),
    [
        (CREATE, ("create", "shop", 2, False)),
        (b'{"do":"alter","name":"shop","first_copy":true}', ("alter", "shop", None, True)),
        (b'{"do":"drop","name":"shop"}', ("drop", "shop", None, None)),
    ],
)
def test_keyspaces_are_changed_and_the_answer_waits_for_the_ring(
    body: bytes, change: tuple[str, str, int | None, bool | None]
) -> None:
    browser = Browser()
    assert browser.ask("POST", "/keyspaces", body) == b""
    assert browser.session.paused
    assert not browser.session.is_idle
    assert browser.node.changes == [change]
    browser.node.waiting.pop()(None)
    assert json.loads(body_of(browser.received)) == {"keyspace": "shop", "done": change[0]}
    assert browser.session.is_idle


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"do":"create","name":"a"}',
        b'{"do":"create","name":"a","replication":0}',
        b'{"do":"alter","name":"a"}',
        b'{"do":"burn","name":"a"}',
        b'{"do":"drop","name":"a","more":1}',
        b'{"do":"drop","name":"\xff"}',
    ],
)
def test_a_change_that_makes_no_sense_is_refused(body: bytes) -> None:
    browser = Browser()
    assert status_of(browser.ask("POST", "/keyspaces", body)) == 400
    assert browser.node.changes == []


def test_the_rings_refusal_keeps_its_code() -> None:
    browser = Browser()
    browser.ask("POST", "/keyspaces", CREATE)
    browser.node.waiting.pop()(AlreadyExists("keyspace shop is there; alter it"))
    assert status_of(browser.received) == 409
    assert json.loads(body_of(browser.received)) == {
        "code": "Q5",
        "message": "keyspace shop is there; alter it",
        "next": "alter it",
    }
    browser.received = b""
    browser.ask("POST", "/keyspaces", CREATE)
    browser.node.waiting.pop()(Unavailable(ConsistencyLevel.QUORUM, 2, 1))
    assert status_of(browser.received) == 503


def test_metrics_are_prometheus_text() -> None:
    response = Browser().ask("GET", "/metrics")
    text = body_of(response).decode()
    assert 'anel_nodes{state="alive"} 2.0' in text
    assert 'anel_requests_total{kind="writes"} 7.0' in text
    assert "# TYPE anel_requests_total counter" in text
