"""HTTP sessions: requests however they are cut, pipelines in order, and bounds on bad input."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anel.limits import HTTP_BODY_BYTES_MAX, HTTP_HEAD_BYTES_MAX, HTTP_PIPELINE_MAX
from tests.unit.doors.http.node import Browser, status_of

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
BODY = b'{"do": "drop", "name": "shop"}'
POST = (
    b"POST /keyspaces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n" % len(BODY)
) + BODY


@given(st.lists(st.integers(0, len(GET) * 3), max_size=8).map(sorted))
def test_requests_are_taken_however_they_are_cut(cuts: list[int]) -> None:
    browser = Browser()
    stream = GET * 3
    answers = b""
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        answers += browser.send(stream[start:end])
    assert answers.count(b"HTTP/1.1 200 OK") == 3
    assert not browser.is_closed


def test_answers_keep_the_order_of_the_requests() -> None:
    browser = Browser()
    assert browser.send(POST + GET + POST + GET) == b""
    assert len(browser.node.changes) == 1  # The second change waits for the first.
    browser.node.waiting.pop(0)(None)
    assert browser.received.count(b'"done":"drop"') == 1
    assert browser.received.count(b'"ready":true') == 1
    browser.node.waiting.pop(0)(None)
    assert browser.received.endswith(b'"ready":true}')
    assert browser.received.count(b"HTTP/1.1 200 OK") == 4


def test_a_client_that_does_not_read_is_not_answered_further() -> None:
    browser = Browser()
    browser.session.pause()
    assert browser.session.paused
    assert browser.send(GET) == b""
    browser.session.resume()
    assert status_of(browser.received) == 200


@pytest.mark.parametrize(
    ("request_", "keeps"),
    [
        (GET, True),
        (GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), False),
        (b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n", False),
    ],
)
def test_connections_are_kept_as_the_client_asks(request_: bytes, keeps: bool) -> None:  # noqa: FBT001
    browser = Browser()
    answer = browser.send(request_)
    assert status_of(answer) == 200
    assert browser.is_closed != keeps
    assert (b"Connection: keep-alive" in answer) == keeps


@pytest.mark.parametrize(
    ("bytes_", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"*1\r\n$4\r\nPING\r\n", 400),
        (b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /" + b"x" * HTTP_HEAD_BYTES_MAX + b" HTTP/1.1\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * HTTP_HEAD_BYTES_MAX, 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 5000, 431),
        (POST.replace(b"%d" % len(BODY), b"%d" % (HTTP_BODY_BYTES_MAX + 1)), 413),
        (POST.replace(b"%d" % len(BODY), b"99999999999999999999999"), 400),
        (POST.replace(b"Content-Length: %d" % len(BODY), b"Transfer-Encoding: chunked"), 411),
        (GET.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"), 400),
        (GET.replace(b"healthz", b"healthz?" + b"&".join([b"a=b"] * 40)), 400),
    ],
)
def test_what_breaks_the_protocol_is_answered_and_closed(bytes_: bytes, status: int) -> None:
    browser = Browser()
    answer = browser.send(bytes_)
    assert b" %d " % status in answer
    assert browser.is_closed
    assert browser.send(GET) == b""


def test_a_long_pipeline_behind_a_waiting_request_is_cut_off() -> None:
    browser = Browser()
    browser.send(POST + GET * (HTTP_PIPELINE_MAX + 1))
    assert browser.is_closed
    assert len(browser.session._waiting) <= HTTP_PIPELINE_MAX


def test_an_unfinished_head_stays_bounded() -> None:
    browser = Browser()
    sent = 0
    while not browser.is_closed:
        browser.send(b"GET / HTTP/1.1\r\n" if not sent else b"Name: value\r\n")
        sent += 1
    assert sent < HTTP_HEAD_BYTES_MAX // 10


def test_an_answer_after_the_client_has_gone_is_dropped() -> None:
    browser = Browser()
    browser.send(POST)
    browser.session.closed()
    browser.node.waiting.pop()(None)
    assert browser.received == b""


def test_mutated_requests_never_break_the_session() -> None:
    chance = Random(11)
    for _ in range(3000):
        browser = Browser()
        stream = bytearray(chance.choice([GET, POST, GET + POST, POST * 3]))
        for _ in range(chance.randrange(1, 6)):
            at = chance.randrange(len(stream))
            choice = chance.randrange(3)
            if choice == 0:
                stream[at] = chance.randrange(256)
            elif choice == 1:
                del stream[at : at + chance.randrange(1, 20)]
            else:
                stream[at:at] = chance.randbytes(chance.randrange(1, 20))
            if not stream:
                break
        cut = chance.randrange(len(stream) + 1)
        browser.send(bytes(stream[:cut]))
        browser.send(bytes(stream[cut:]))
        assert len(browser.session._url) + len(browser.session._body) < HTTP_BODY_BYTES_MAX
