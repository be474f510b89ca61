"""Tables and JSON."""

import datetime
import json

import numpy as np
import pytest

from throughtime.cli.results import metric_rows, print_json, print_table

NAN = float("nan")


def test_the_best_of_each_metric_is_marked():
    metrics = {"model": {"MASE": 0.51234, "MSE": 1234567.0}, "naive": {"MASE": 1.0, "MSE": 20.0}}
    assert metric_rows(metrics, ["MASE", "MSE"]) == [
        ["model", "0.5123*", "1.235e+06 "],
        ["naive", "1.000 ", "20.00*"],
    ]


def test_a_metric_that_does_not_exist_is_a_dash():
    metrics = {"model": {"MASE": NAN, "MSE": 1.0}, "naive": {"MASE": NAN, "MSE": float("inf")}}
    assert metric_rows(metrics, ["MASE", "MSE"]) == [["model", "– ", "1.000*"], ["naive", "– ", "– "]]


def test_names_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]):
    print_table(["series", "y"], [["[bold]x[/bold]", "1"], ["a" * 200, "2"]], title="[red]")
    out = capsys.readouterr().out
    assert "[bold]x[/bold]" in out
    assert out.count("a") >= 200, "a long name is folded, not cut"


def test_json_is_strict(capsys: pytest.CaptureFixture[str]):
    value = {"a": NAN, "b": np.array([1.0, np.inf]), 3: (np.float64(2.5), datetime.date(2020, 1, 2)), "ü": [None, True]}
    print_json(value)
    out = capsys.readouterr().out
    assert json.loads(out) == {"a": None, "b": [1.0, None], "3": [2.5, "2020-01-02"], "ü": [None, True]}
    assert "ü" in out
