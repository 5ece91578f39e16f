"""Under test: docs/reference/resp.md lists the Redis door's commands and bounds as they are."""

from anel import limits
from anel.doors.resp.layout import KEY_AND_TAG_BYTES_MAX
from tools.resp_reference import PAGE, renewed


def test_the_tables_of_commands_are_those_of_the_door() -> None:
    page = PAGE.read_text()
    assert renewed(page) == page, "run `python -m tools.resp_reference`"


def test_a_changed_table_is_noticed() -> None:
    planted = PAGE.read_text().replace("`GETRANGE key start end`", "`GETRANGE key`")
    assert renewed(planted) != planted


def test_the_bounds_are_those_of_the_code() -> None:
    page = PAGE.read_text()
    for bound in (
        f"| a value | {limits.RESP_BULK_BYTES_MAX // limits.MIB} MiB",
        f"together {KEY_AND_TAG_BYTES_MAX:,} bytes",
        f"{KEY_AND_TAG_BYTES_MAX // 2:,} bytes for a key without braces",
        f"| words in one command | {limits.RESP_ARGUMENTS_MAX:,}",
        f"| one command in all | {limits.RESP_REQUEST_BYTES_MAX // limits.MIB} MiB",
        f"| an inline command | {limits.RESP_LINE_BYTES_MAX // limits.KIB} KiB",
        f"| {limits.RESP_REPLY_BYTES_MAX // limits.MIB} MiB | `-ERR Q3`",
        f"| keys of one tag | {limits.RESP_KEYS_PER_TAG_MAX:,}",
        f"in one `MSET` | {limits.MUTATION_RECORDS_MAX:,}",
        f"under way | {limits.RESP_IN_FLIGHT_MAX} |",
    ):
        assert bound in page, bound
