"""`throughtime explain`: equations in the terminal, as JSON and as a page."""

import json
from pathlib import Path

import pytest

from tests.cli.command import run


@pytest.mark.parametrize("columns", ["80", "160"])
def test_both_alphabets_and_the_place_stand_in_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    ended = run(capsys, "explain", "gru-reset-before")
    assert ended.status == 0
    for wanted in (
        "Γ_u ∗ c̃_t + (1 − Γ_u) ∗ c_{t−1}", "h' = (1 − z) ∗ n + z ∗ h", "cells/gru_reset_before.py:", "Erratum",
        "1,920", "1,860", "(G·H, I)",
    ):  # fmt: skip
        assert wanted in ended.out


def test_chinese(capsys: pytest.CaptureFixture[str]) -> None:
    ended = run(capsys, "explain", "lstm", "--lang", "zh")
    assert ended.status == 0
    for wanted in ("长短期记忆", "遗忘门", "前向传播", "参数"):
        assert wanted in ended.out


def test_json_and_page(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    told = json.loads(run(capsys, "explain", "rnn", "--json", "--input-size", "2", "--hidden-size", "3").out)
    assert told["numbers"] == 3 * 2 + 3 * 3 + 3 + 3
    assert told["forward"][1]["ours"] == "h' = tanh(a_h)"
    page = tmp_path / "rnn.html"
    assert f"Wrote {page}." in run(capsys, "explain", "rnn", "--html", page).out
    assert "<svg" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("lstn",), "got 'lstn'"),
        (("lstm", "--lang", "fr"), "got 'fr'"),
        (("lstm", "--html", "x.txt"), "got 'x.txt'"),
        (("lstm", "--html", "x.html", "--json"), "got both"),
    ],
)
def test_what_is_wrong_is_one_line(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str) -> None:
    ended = run(capsys, "explain", *words)
    assert ended.status == 2
    assert message in ended.err
