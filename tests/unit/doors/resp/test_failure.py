"""failure: every error of Anel has an answer on the wire, and keeps its code."""

import re

import pytest

from anel.data.consistency import ConsistencyLevel
from anel.doors.resp.failure import failure
from anel.errors import (
    AnelError,
    NotReady,
    NotSupported,
    Overloaded,
    ReadTimeout,
    RemoteProtocolError,
    StorageError,
    Timeout,
    Unavailable,
    WriteTimeout,
    all_errors,
)

LINE = re.compile(rb"-[A-Z]+( Protocol error:| internal)? \w+: [^\r\n]*\r\n")


def example(kind: type[AnelError]) -> AnelError:
    if issubclass(kind, (Timeout, Unavailable)):
        return kind(ConsistencyLevel.QUORUM, 2, 1)
    return kind("what happened\r\nand more")


@pytest.mark.parametrize("kind", all_errors().values(), ids=all_errors())
def test_every_error_is_one_line_with_its_code(kind: type[AnelError]) -> None:
    line = failure(example(kind))
    assert LINE.fullmatch(line)
    assert b" " + kind.code.encode() + b": " in line


def test_a_class_nobody_thought_of_is_answered_as_its_kind() -> None:
    class Unheard(NotReady):
        pass

    assert failure(Unheard("x")).startswith(b"-LOADING X4: x")


@pytest.mark.parametrize(
    ("kind", "prefix"),
    [
        (NotReady, b"-LOADING "),
        (Unavailable, b"-NOREPLICAS "),
        (Overloaded, b"-ERR X3"),
        (WriteTimeout, b"-ERR X6"),
        (ReadTimeout, b"-ERR X7"),
        (NotSupported, b"-ERR Q6"),
        (RemoteProtocolError, b"-ERR Protocol error: "),
        (StorageError, b"-ERR internal "),
    ],
)
def test_the_first_word_is_the_one_clients_branch_on(
    kind: type[AnelError], prefix: bytes
) -> None:
    assert failure(example(kind)).startswith(prefix)
