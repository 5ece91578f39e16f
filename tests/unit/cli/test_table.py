"""Under test: anel.cli.table and the units of anel.cli.screen."""

from anel.cli.screen import bytes_text, share_text, table_text
from anel.cli.table import facts, plain


def test_columns_stand_in_line_and_figures_to_the_right() -> None:
    text = plain(("node", "rows"), [("a", "1"), ("bcdef", "1,000")], right=(1,))
    assert text == "  node    rows\n  a          1\n  bcdef  1,000"


def test_further_lines_of_a_fact_stand_under_its_text() -> None:
    assert facts([("a", "1\n2"), ("bcd", "3")]) == "  a    1\n       2\n  bcd  3"


def test_in_a_pipe_a_table_is_plain() -> None:
    assert table_text(("a",), [("up",)]) == "  a\n  up"


def test_sizes_are_written_in_the_unit_that_suits_them() -> None:
    assert [bytes_text(size) for size in (-1, 0, 1023, 1536, 5 << 20, 3 << 30, 2 << 40)] == [
        "-",
        "0 B",
        "1023 B",
        "1.5 KiB",
        "5.0 MiB",
        "3.0 GiB",
        "2.0 TiB",
    ]
    assert share_text(1 / 3) == "33.3 %"
