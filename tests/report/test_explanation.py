"""`explain_cell`: the equations of every cell, in two alphabets, and the lines where they run."""

import inspect
from pathlib import Path

import pytest
import torch

import throughtime
from throughtime.cells import CELLS
from throughtime.errors import ArgumentError
from throughtime.nn.layers import LAYERS
from throughtime.report import explain_cell, explanation_page
from throughtime.report.explanation_words import LABELS, WORDS

PACKAGE = Path(inspect.getfile(throughtime)).parent
NOTES = ("rnn", "gru-reset-before", "lstm", "previous-peephole-lstm")  # the cells that the notes write out


def test_every_layer_can_be_explained() -> None:
    assert set(WORDS) == set(LAYERS)


@pytest.mark.parametrize("name", LAYERS)
def test_every_line_is_where_it_is_said_to_be(name: str) -> None:
    found = explain_cell(name)
    assert len(found.forward) >= 2
    assert len(found.backward) >= 3
    for row in (*found.forward, *found.backward):
        lines = (PACKAGE / row.place.file).read_text(encoding="utf-8").splitlines()
        begin = row.place.code.split("(")[0].strip()
        assert begin in lines[row.place.line - 1], row


@pytest.mark.parametrize("name", LAYERS)
def test_parameters_are_those_of_the_layer(name: str) -> None:
    found = explain_cell(name, input_size=3, hidden_size=7)
    G, H, I = len(found.gates), 7, 3
    assert found.numbers == sum(p.numel() for p in LAYERS[name](3, 7).parameters())
    for parameter in found.parameters:
        letters = parameter.letters.replace("·", "*")
        assert eval(letters, {"G": G, "H": H, "I": I}) == parameter.shape


@pytest.mark.parametrize("name", NOTES)
def test_the_notes_letters_stand_beside_every_equation_that_they_have(name: str) -> None:
    assert all(row.notes for row in explain_cell(name).forward)


def test_the_line_of_the_forget_gate_computes_it() -> None:
    """Found by looking, not written down: the line goes with the source."""
    (row,) = [row for row in explain_cell("gru").forward if row.letter == "z"]
    lines, first = inspect.getsourcelines(CELLS["gru"].values)
    assert "z = torch.sigmoid" in lines[row.place.line - first]
    assert row.place.code == "z = torch.sigmoid(x_z + h_z)"
    assert str(row.place) == f"cells/gru.py:{row.place.line}"


def test_the_notes_equations_of_the_reset_before_gru_are_what_runs() -> None:
    """The notes' column as numbers: c_t = Γ_u ∗ c̃_t + (1 − Γ_u) ∗ c_{t−1}, with Γ_u = 1 − z."""
    torch.manual_seed(0)
    layer = LAYERS["gru-reset-before"](2, 3)
    x, c = torch.randn(1, 2), torch.randn(1, 3)
    values = CELLS["gru_reset_before"].values(x, (c,), layer.layer_params(0))
    gamma_u = 1 - values.z
    torch.testing.assert_close(gamma_u * values.n + (1 - gamma_u) * c, values.h)


@pytest.mark.parametrize(("name", "there"), [("gru", True), ("gru-reset-before", True), ("lstm", False)])
def test_the_erratum_stands_where_it_belongs(name: str, there: bool) -> None:
    assert ("(1 − Γ_u) + c_{t−1}" in explain_cell(name).erratum) == there
    assert ("(1 − Γ_u) + c_{t−1}" in explain_cell(name, language="zh").erratum) == there


@pytest.mark.parametrize("name", LAYERS)
def test_chinese_says_as_much_as_english(name: str) -> None:
    english, chinese = explain_cell(name), explain_cell(name, language="zh")
    assert [row.ours for row in english.forward] == [row.ours for row in chinese.forward]
    assert len(english.remarks) == len(chinese.remarks)
    for text in (chinese.title, chinese.what, *chinese.remarks, *(row.role for row in chinese.forward)):
        assert any("\u4e00" <= letter <= "\u9fff" for letter in text), text
    assert set(LABELS) >= {"forward", "backward"}


def test_the_page_holds_both_alphabets_and_says_its_language(tmp_path: Path) -> None:
    path = explanation_page(tmp_path / "lstm.html", explain_cell("lstm", language="zh"))
    text = path.read_text(encoding="utf-8")
    assert '<html lang="zh-Hans">' in text
    for wanted in ("Γ_f = σ(W_f [a_{t−1}, x_t] + b_f)", "遗忘门", "cells/lstm.py:", "<svg", "2,560"):
        assert wanted in text
    assert "http" not in text.partition("</head>")[2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: explain_cell("grue"), "explain: expected a cell among rnn, .*, got 'grue'"),
        (lambda: explain_cell("gru", language="fr"), "expected a language, en or zh, got 'fr'"),
        (lambda: explain_cell("gru", hidden_size=0), "hidden_size.*0"),
    ],
)
def test_what_is_not_there_is_refused(call, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()
