"""Under test: bench.load, whose every byte to the servers is a command they must take."""

import itertools

from bench.load import Workload, commands


def test_fill_sets_every_key_once_in_order() -> None:
    sent = list(commands(Workload([], "FILL", keys=3, value_bytes=4)))
    assert [command[22:32] for command in sent] == [b"0000000000", b"0000000001", b"0000000002"]
    assert sent[0].startswith(b"*3\r\n$3\r\nSET\r\n$14\r\nkey:0000000000\r\n$4\r\n")


def test_a_get_asks_for_a_key_that_was_filled() -> None:
    for command in itertools.islice(commands(Workload([], "GET", keys=7)), 100):
        assert command.startswith(b"*2\r\n$3\r\nGET\r\n$14\r\nkey:")
        assert int(command.rstrip(b"\r\n")[-10:]) < 7


def test_the_reply_expected_of_a_get_is_the_value_that_was_set() -> None:
    filled = next(commands(Workload([], "FILL", keys=1)))
    assert filled.endswith(Workload([], "GET").reply)


def test_two_generators_of_one_seed_send_the_same() -> None:
    one, two = (list(itertools.islice(commands(Workload([], "SET")), 50)) for _ in range(2))
    assert one == two
