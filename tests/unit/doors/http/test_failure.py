"""The mapping of errors to HTTP statuses: total, and true to whose fault it was."""

from anel.doors.http.failure import status_of
from anel.errors import AnelError, RequestFailed, RequestRefused, all_errors


def test_every_error_has_a_status() -> None:
    for kind in all_errors().values():
        status = status_of(kind.__new__(kind))
        assert (400 <= status < 500) or status in (500, 501, 503, 504)


def test_the_clients_faults_are_4xx_and_the_rings_are_not() -> None:
    for kind in all_errors().values():
        status = status_of(kind.__new__(kind))
        if issubclass(kind, RequestRefused):
            assert status // 100 == 4 or status == 501
        if issubclass(kind, RequestFailed):
            assert status in (429, 500, 503, 504)


def test_an_error_of_no_class_of_its_own_is_ours() -> None:
    assert status_of(AnelError("odd")) == 500
