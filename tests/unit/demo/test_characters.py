"""Under test: demo.characters: ragged records of every assigned character."""

import itertools
import json

from demo.characters import characters, record


def test_a_letter_has_a_case_and_a_digit_a_value() -> None:
    assert record("A")["lower"] == "a"
    assert "upper" not in record("A")
    assert record("5")["decimal"] == 5
    assert record("½")["numeric"] == 0.5


def test_what_a_character_has_not_is_left_out() -> None:
    assert record(" ").keys() == {
        "char",
        "category",
        "bidirectional",
        "east_asian_width",
        "name",
    }


def test_every_key_is_new_and_every_text_is_json() -> None:
    pairs = list(itertools.islice(characters(), 5000))
    assert len(dict(pairs)) == 5000
    assert all(json.loads(text)["char"] for _, text in pairs)


def test_a_limit_is_kept() -> None:
    assert len(list(characters(10))) == 10
