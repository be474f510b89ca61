"""Writing: what is drawn, where a text ends, what is refused."""

import pytest
import torch

from tests.tasks.language.models import NAMES, of_names, of_text, of_words
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.models import Sampler
from throughtime.tasks.language import LanguageModel
from throughtime.tasks.language.writing import Wish, _penalised, _Text, written


def test_greedy_writes_the_likeliest_symbol_after_another() -> None:
    """Against the net read from the beginning for every symbol."""
    model = of_text()
    text = "to b"
    for _ in range(12):
        ids = torch.from_numpy(model.units_.encode(text))
        given = torch.cat((torch.zeros(1, dtype=torch.long), ids)).unsqueeze(1)
        begins = torch.zeros(given.shape, dtype=torch.bool)
        begins[0] = True
        with torch.no_grad():
            logits = model.model_.logits(model.model_.encoder(given, begins=begins)[0][-1, 0])
        logits[[model.units_.end, model.units_.unknown]] = -torch.inf
        text += model.units_.vocabulary.symbols[int(logits.argmax())]
    assert model.write(prefix="to b", length=12, greedy=True) == [text]


def test_what_is_written_beside_it_changes_no_text() -> None:
    model = of_text()
    alone = model.write(prefix="or", length=30, seed=8)
    assert model.write(prefix=["to be", "or", "that is"], length=30, seed=7)[1:2] == alone
    assert model.write(n=3, length=10, seed=4)[2] == model.write(length=10, seed=6)[0]
    assert model.write(n=2, length=30, seed=4) != model.write(n=2, length=30, seed=5)


def test_drawn_symbols_have_the_models_probabilities() -> None:
    model = of_text()
    drawn = model.write(prefix="to ", n=4000, length=1, seed=1)
    ids = torch.cat((torch.zeros(1, dtype=torch.long), torch.from_numpy(model.units_.encode("to ")))).unsqueeze(1)
    begins = torch.zeros(ids.shape, dtype=torch.bool)
    begins[0] = True
    with torch.no_grad():
        logits = model.model_.logits(model.model_.encoder(ids, begins=begins)[0][-1, 0])
    logits[[model.units_.end, model.units_.unknown]] = -torch.inf
    for id, p in enumerate(logits.softmax(-1).tolist()):
        share = sum(text[3:] == model.units_.vocabulary.symbols[id] for text in drawn) / 4000
        assert share == pytest.approx(p, abs=4 * (p * (1 - p) / 4000) ** 0.5 + 1e-9)


def test_the_label_decides_what_is_written() -> None:
    model = of_names()
    found = model.write(label=["f", "m"], n=20, length=12)
    share = {kind: sum("o" in text for text in texts) / 20 for kind, texts in (("f", found[:20]), ("m", found[20:]))}
    assert share["f"] < 0.3 < 0.7 < share["m"]
    assert model.write(label="m", prefix=["o", "t"], n=1, length=3)[1].startswith("t")


def test_a_text_of_many_ends_where_the_model_ends_it() -> None:
    found = of_names().write(label="f", n=30, length=200)
    assert max(map(len, found)) < 60
    assert not any("end" in text or "<" in text for text in found)
    assert len(of_text().write(length=200)[0]) == 200


def test_words_get_their_blanks() -> None:
    (text,) = of_words().write(prefix="the cat", length=5, greedy=True)
    assert text.startswith("the cat ")
    assert "  " not in text
    assert set(text.split()) <= {"the", "a", "cat", "dog", "sat", "ran"}


def test_the_stream_is_the_text() -> None:
    model = of_text()
    for options in ({}, {"prefix": "to be"}, {"stop": "e"}, {"temperature": 0.5, "top_k": 5, "top_p": 0.9}):
        pieces = list(model.stream(length=40, seed=2, **options))
        assert "".join(pieces) == model.write(length=40, seed=2, **options)[0]
        assert len(pieces) > 2 or "stop" in options


def test_the_stream_leaves_gradients_as_they_were() -> None:
    stream = of_text().stream(length=5)
    next(stream)
    assert torch.is_grad_enabled()


class _Spelled:
    """Units whose ids are the characters of a text."""

    def encode(self, text: str):
        return torch.tensor([], dtype=torch.long).numpy()

    def writer(self):
        return chr


@pytest.mark.parametrize(
    ("text", "stops", "shown", "stopped"),
    [
        ("one. two", (". ",), "one", True),
        ("abababc", ("abc",), "abab", True),
        ("aab", ("ab", "b"), "a", True),
        ("ends in a", ("a.",), "ends in a", False),
        ("xyz", ("zz",), "xyz", False),
    ],
)
def test_a_stop_text_is_found_across_symbols_and_not_shown(text, stops, shown, stopped) -> None:
    row = _Text(_Spelled(), "", stops)
    found = ""
    for c in text:
        if row.stopped:
            break
        found += row.add(ord(c))
        assert not any(stop in found for stop in stops)
    assert row.stopped is stopped
    assert found + row.held == shown


def test_stop_texts_end_a_text_before_them() -> None:
    model = of_text()
    (whole,) = model.write(prefix="to be", length=60, seed=3)
    for stop in (whole[20:23], whole[9]):
        (found,) = model.write(prefix="to be", length=60, seed=3, stop=["ZZZ", stop])
        assert found == "to be" + whole[5:][: whole[5:].index(stop)]


def test_the_repetition_penalty_is_the_formula() -> None:
    logits = torch.tensor([[3.0, 1.0, -1.0, -3.0]])
    seen = torch.tensor([[True, False, True, False]])
    assert torch.equal(_penalised(logits, seen, 2.0), torch.tensor([[1.5, 1.0, -2.0, -3.0]]))
    assert torch.allclose(_penalised(logits + 7, seen, 2.0), _penalised(logits, seen, 2.0))
    model = of_text()
    plain, varied = (model.write(length=14, greedy=True, repetition_penalty=p)[0] for p in (1.0, 50.0))
    assert len(set(varied)) > len(set(plain))
    assert "t" not in model.write(prefix="tttt", length=5, greedy=True, repetition_penalty=1e6)[0][4:]


def test_unknown_is_never_written_and_end_only_where_it_was_learnt() -> None:
    """Even where nothing else is likely."""
    for model, ends in ((of_text(), False), (of_names(), True)):
        net = model.model_
        bias = net.head.bias.detach().clone()
        try:
            with torch.no_grad():
                net.head.bias[[model.units_.unknown, model.units_.end]] += 50.0
            wish = Wish([""], None if model.labels_ is None else [0], 5, Sampler(), 1.0, (), 0)
            text = "".join(shown[0] for shown in written(net, model.units_, wish, ends=ends))
            assert len(text) == (0 if ends else 5)
            assert "<" not in text
        finally:
            with torch.no_grad():
                net.head.bias.copy_(bias)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"prefix": "to bé"},
            ArgumentError,
            "a prefix of characters that the model was trained on, got 'é' at character 4",
        ),
        ({"prefix": ["to", "X"]}, ArgumentError, "got 'X' at character 0"),
        ({"label": "f"}, ArgumentError, "expected no label, since the model was trained without labels, got 'f'"),
        ({"prefix": 3}, ArgumentTypeError, "prefix to be text or a list of texts, got 3"),
        ({"prefix": []}, ArgumentError, "prefix to be text .* got an empty list"),
        ({"n": 0}, ArgumentError, "n >= 1, got 0"),
        ({"length": -2}, ArgumentError, "length >= 1, got -2"),
        ({"length": 2.5}, ArgumentTypeError, "length to be an int, got 2.5"),
        ({"temperature": 0}, ArgumentError, "temperature > 0 and finite, got 0"),
        ({"top_k": 1000}, ArgumentError, "got 1000"),
        ({"top_p": 1.5}, ArgumentError, r"top_p in \(0, 1\], got 1.5"),
        ({"greedy": True, "top_k": 2}, ArgumentError, "greedy=True alone"),
        ({"repetition_penalty": 0.5}, ArgumentError, "repetition_penalty of at least 1, got 0.5"),
        ({"repetition_penalty": "much"}, ArgumentTypeError, "got 'much'; pass a float"),
        ({"stop": ["a", ""]}, ArgumentError, "at least one character, got ''"),
        ({"seed": -1}, ArgumentError, "got -1"),
    ],
)
def test_wishes_that_cannot_be_met_are_refused(options, error, message) -> None:
    with pytest.raises(error, match=message):
        of_text().write(**options)


def test_a_labelled_model_asks_for_its_labels() -> None:
    model = of_names()
    with pytest.raises(ArgumentError, match="trained with labels, got none; pass one of 'f', 'm'"):
        model.write()
    with pytest.raises(ArgumentError, match="a label among 'f', 'm', got 'x'"):
        model.write(label="x")
    with pytest.raises(ArgumentError, match="as many labels as prefixes, or one of either, got 2 and 3"):
        model.write(label=["f", "m"], prefix=["a", "b", "o"])


def test_a_subword_prefix_may_be_anything() -> None:
    model = LanguageModel(unit="subword", vocabulary_size=262, hidden_size=8, num_layers=1, bptt=8, epochs=1)
    model.fit(NAMES)
    (text,) = model.write(prefix="Ωmega 漢", length=30, seed=1)
    assert text.startswith("Ωmega 漢")
    assert "".join(model.stream(prefix="Ω", length=30, seed=1)) == model.write(prefix="Ω", length=30, seed=1)[0]
