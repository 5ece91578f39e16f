"""HistoryChecker: which histories it accepts, and which it must refuse."""

from anel.simulation.history import NEVER, History, HistoryChecker, Read, Write

K = b"k"


def write(value: bytes | None, began: int, ended: int = NEVER, *, ok: bool = True) -> Write:
    return Write(K, value, began, ended, acknowledged=ok and ended != NEVER)


def judge(writes: list[Write], *reads: Read) -> list[str]:
    return HistoryChecker(History(writes, list(reads))).reads()


def test_a_read_of_the_latest_write_is_fine() -> None:
    assert judge([write(b"a", 0, 1), write(b"b", 2, 3)], Read(K, b"b", 4, 5)) == []


def test_a_stale_read_is_refused() -> None:
    assert judge([write(b"a", 0, 1), write(b"b", 2, 3)], Read(K, b"a", 4, 5))


def test_a_read_beside_the_write_may_see_either() -> None:
    writes = [write(b"a", 0, 1), write(b"b", 2, 6)]
    assert judge(writes, Read(K, b"a", 4, 5), Read(K, b"b", 4, 5)) == []


def test_a_value_nobody_wrote_is_refused() -> None:
    assert judge([write(b"a", 0, 1)], Read(K, b"z", 4, 5))


def test_an_acknowledged_write_that_reads_as_absent_is_refused() -> None:
    assert judge([write(b"a", 0, 1)], Read(K, None, 4, 5))


def test_a_deletion_may_make_it_absent() -> None:
    assert judge([write(b"a", 0, 1), write(None, 2, 3)], Read(K, None, 4, 5)) == []


def test_an_unknown_write_may_appear_at_any_time_after_it_began() -> None:
    writes = [write(b"u", 0), write(b"a", 1, 2)]
    assert judge(writes, Read(K, b"u", 8, 9), Read(K, b"a", 8, 9)) == []
    assert judge([write(b"u", 10)], Read(K, b"u", 8, 9))


def test_the_final_state_must_hold_the_last_acknowledged_write() -> None:
    checker = HistoryChecker(History([write(b"a", 0, 1), write(b"b", 2, 3)]))
    assert checker.final({K: b"b"}, 0) == []
    assert checker.final({K: b"a"}, 0)
    assert checker.final({}, 0)


def test_without_order_only_losses_and_inventions_count() -> None:
    checker = HistoryChecker(History([write(b"a", 0, 1), write(b"b", 2, 3)]))
    assert checker.final_unordered({K: b"a"}) == []
    assert checker.final_unordered({})
    assert checker.final_unordered({K: b"z"})


def test_a_later_read_must_not_go_back_behind_an_earlier_one() -> None:
    writes = [write(b"a", 0, 1), write(b"u", 2)]
    there, back = Read(K, b"u", 4, 5), Read(K, b"a", 6, 7)
    assert judge(writes, there, back)
    assert judge(writes, Read(K, b"u", 4, 8), back) == []


def test_a_value_is_seen_until_it_expires_and_not_after() -> None:
    writes = [Write(K, b"t", 0, 1, acknowledged=True, expires_ms=50)]
    assert judge(writes, Read(K, b"t", 2, 3, 40, 41)) == []
    assert judge(writes, Read(K, None, 2, 3, 40, 41))
    assert judge(writes, Read(K, None, 2, 3, 49, 50)) == []
    assert judge(writes, Read(K, b"t", 2, 3, 50, 51))


def test_an_expired_value_still_hides_what_was_before_it() -> None:
    writes = [write(b"a", 0, 1), Write(K, b"t", 2, 3, acknowledged=True, expires_ms=50)]
    assert judge(writes, Read(K, b"a", 4, 5, 60, 61))
