"""Contributions: complete, exact where the model is linear, and placed where the tokens stand."""

from typing import Any

import pytest
import torch

from tests.tasks.classify.test_classifier import SMALL, films
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.tasks.classify import Classifier
from throughtime.tasks.classify.explanation import integrated_gradients, to_tokens

TEXT = "A fine cast , they SAID ;  it was dull .<br />"


@pytest.fixture(scope="module", params=[{}, {"unit": "character"}, {"unit": "subword"}, {"pretrain": True}])
def classifier(request: pytest.FixtureRequest) -> Classifier:
    options: dict[str, Any] = SMALL | {"epochs": 3, "pretrain_epochs": 1} | request.param
    model = Classifier(**options).fit(*films(40))
    model.model_.mixture.copy_(torch.tensor([0.7, 0.4]))  # both parts speak
    return model


def test_contributions_sum_to_the_difference_of_the_score(classifier: Classifier) -> None:
    found = classifier.explain(TEXT, steps=256)
    p = classifier.predict_proba([TEXT])[0]
    names = classifier.classes_.tolist()
    assert found.label == names[p.argmax()]
    assert found.probability == pytest.approx(p.max(), abs=1e-5)
    odds = torch.tensor(p).log()
    difference = float(odds[names.index(found.label)] - odds[names.index(found.against)])
    assert found.score == pytest.approx(difference, abs=1e-3)
    moved = max(sum(abs(part.value) for part in found.contributions), 1e-6)
    assert abs(found.remainder) < 0.01 * moved
    # Fewer steps are further off, which says that the remainder is measured.
    assert found.remainder != classifier.explain(TEXT, steps=1).remainder


def test_tokens_stand_where_they_stand_in_the_text(classifier: Classifier) -> None:
    found = classifier.explain(TEXT)
    assert all(TEXT[part.start : part.end] == part.token for part in found.contributions)
    assert [part.token for part in found.contributions][-2:] == [".", "<br />"]
    assert "".join(piece for piece, _ in found._pieces()) == TEXT


def test_another_label_has_the_opposite_score(classifier: Classifier) -> None:
    good, bad = (classifier.explain(TEXT, label) for label in ("good", "bad"))
    assert (good.label, good.against, bad.against) == ("good", "bad", "good")
    assert good.score == pytest.approx(-bad.score, abs=1e-5)
    assert good.probability == pytest.approx(1 - bad.probability, abs=1e-6)


def test_a_net_that_is_linear_is_explained_exactly() -> None:
    class Reader(torch.nn.Module):
        def embed(self, ids_TB: torch.Tensor) -> torch.Tensor:
            return torch.tensor([[1.0, 2.0], [3.0, -1.0], [0.5, 0.0]])[ids_TB]

    class Net(torch.nn.Module):
        reader = Reader()

        def scored(self, x_TBE: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
            return x_TBE.sum(0) @ torch.tensor([[1.0, 0.0], [0.0, 4.0]]) + 7

    direction = torch.tensor([1.0, -1.0])
    values, whole, nothing = integrated_gradients([Net()], torch.tensor([1, 0, 2]), direction, 3)  # type: ignore[list-item]
    torch.testing.assert_close(values, torch.tensor([3.0 + 4.0, 1.0 - 8.0, 0.5]))
    assert (whole, nothing) == (0.5, 0.0)


def test_ids_are_given_to_the_token_in_which_they_begin() -> None:
    spans = [(0, 2), (2, 3), (3, 6), (6, 9)]
    assert to_tokens(torch.tensor([1.0, 2.0, 4.0, 8.0]), spans, [(0, 3), (4, 9)]) == [3.0, 12.0]
    assert to_tokens(torch.zeros(0), [], []) == []


def test_colours_and_pages_hold_the_text_and_nothing_from_outside(classifier: Classifier) -> None:
    text = "fine <script>alert(1)</script> & dull"
    found = classifier.explain(text)
    page = found.to_page()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page
    assert "background:rgba" in found.to_html()
    ansi = found.to_ansi()
    assert "\x1b[48;5;" in ansi
    import re

    assert re.sub(r"\x1b\[[0-9;]*m", "", ansi) == text
    assert found.as_dict()["contributions"][0]["token"] == "fine"
    assert len(found.strongest(2)) == 2


def test_what_cannot_be_explained_is_refused(classifier: Classifier) -> None:
    with pytest.raises(ArgumentError, match="a label among 'bad', 'good', got 'odd'"):
        classifier.explain("fine", "odd")
    with pytest.raises(ArgumentTypeError, match=r"expected a text, got \['fine'\]"):
        classifier.explain(["fine"])  # type: ignore[arg-type]
    assert classifier.explain("").contributions == ()
