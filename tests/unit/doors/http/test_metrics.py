"""The catalogue of metrics: every one is documented and named by Prometheus's rules."""

import re
from pathlib import Path

import pytest

from anel.doors.http.endpoints import GETS, POSTS
from anel.doors.http.metrics import METRICS, render

DOCS = Path(__file__).parents[4] / "docs" / "reference"


def test_every_metric_is_documented_with_its_kind_and_label() -> None:
    text = (DOCS / "metrics.md").read_text()
    for name, metric in METRICS.items():
        assert (
            f"| `{name}` | {metric.kind} | {metric.label or '-'} | {metric.meaning} |" in text
        )
    assert len(re.findall(r"^\| `anel_", text, re.MULTILINE)) == len(METRICS)


def test_every_endpoint_is_documented() -> None:
    text = (DOCS / "http.md").read_text()
    for path in GETS:
        assert f"GET {path}" in text
    for path in POSTS:
        assert f"POST {path}" in text


def test_names_follow_prometheus() -> None:
    for name, metric in METRICS.items():
        assert re.fullmatch(r"anel_[a-z_]+", name)
        assert name.endswith("_total") == (metric.kind == "counter")
        assert metric.meaning.endswith(".")


def test_a_measure_that_nobody_described_is_not_rendered() -> None:
    with pytest.raises(KeyError):
        render([("anel_unheard_of", "", 1.0)])
