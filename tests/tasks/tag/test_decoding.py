"""From emissions to tags and probabilities, against all tag sequences written out.

Axes in names: T tokens, B sentences, K tags.
"""

import itertools
import math
import threading

import pytest
import torch

from throughtime.tasks.tag.batches import TagBatch, TagSource
from throughtime.tasks.tag.decoding import TagModel
from throughtime.tasks.tag.network import TagDesign
from throughtime.tasks.tag.schemes import misfits, spans, tag_names
from throughtime.tasks.tag.units import TagUnits

SENTENCES = [["Ann", "saw", "Bo"], ["Bo"], ["saw", "Ann"]]
LABELS = ["LOC", "PER"]


def setup(scheme: str, *, crf: bool, tags=None) -> tuple[TagModel, TagBatch]:
    units = TagUnits.build(SENTENCES)
    names = tag_names(LABELS, scheme)
    design = TagDesign(
        len(units.words), len(units.letters), 0, len(names), hidden_size=4, word_size=4, characters="none", dropout=0.0
    )
    torch.manual_seed(3)
    model = TagModel(design, names, scheme, crf=crf).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.8)
    numbers = None if tags is None else [[names.index(tag) for tag in row] for row in tags]
    return model, TagSource.of(SENTENCES, units, numbers).batch(torch.arange(3))


def every(model: TagModel, x_TK: torch.Tensor, temperature: float) -> dict[tuple[str, ...], float]:
    """The probability of every possible tag sequence."""
    assert model.crf is not None
    x, crf, may = x_TK / temperature, model.crf, model.constraints
    start, pairs, end = (w / temperature for w in (crf.start, crf.transitions, crf.end))
    scores = {}
    for path in itertools.product(range(x.shape[1]), repeat=len(x)):
        possible = bool(may.begins[path[0]] & may.ends[path[-1]])
        if possible and all(bool(may.follows[i, j]) for i, j in itertools.pairwise(path)):
            s = start[path[0]] + end[path[-1]] + sum(x[t, k] for t, k in enumerate(path))
            s = s + sum(pairs[i, j] for i, j in itertools.pairwise(path))
            scores[tuple(model.names[k] for k in path)] = s
    p = torch.stack(list(scores.values())).softmax(0)
    return dict(zip(scores, p.tolist(), strict=True))


@pytest.mark.parametrize("scheme", ["BIO", "BIOES"])
@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_pieces_and_probabilities_are_those_of_all_sequences(scheme: str, temperature: float) -> None:
    model, batch = setup(scheme, crf=True)
    model.temperature.fill_(temperature)
    x_TBK = model.net(batch).detach()
    pieces = 0
    for b, found in enumerate(model.find(batch)):
        n = len(SENTENCES[b])
        p = every(model, x_TBK[:n, b], temperature)
        assert tuple(found.tags) == max(p, key=p.__getitem__)
        assert found.pieces == spans(found.tags)
        for piece, sure in zip(found.pieces, found.probabilities, strict=True):
            want = sum(q for path, q in p.items() if piece in spans(path))
            assert sure == pytest.approx(want, abs=1e-9)
            pieces += 1
    assert pieces


@pytest.mark.parametrize("scheme", ["BIO", "BIOES"])
def test_greedy_tags_are_possible_and_their_probability_is_the_product(scheme: str) -> None:
    model, batch = setup(scheme, crf=False)
    model.temperature.fill_(2.0)
    p_TBK = (model.net(batch).detach() / 2.0).softmax(-1)
    pieces = 0
    for b, found in enumerate(model.find(batch)):
        assert list(misfits(found.tags, scheme)) == []
        for piece, sure in zip(found.pieces, found.probabilities, strict=True):
            want = 1.0
            for t in range(piece.start, piece.end):
                want *= float(p_TBK[t, b, model.names.index(found.tags[t])])
            assert sure == pytest.approx(want)
            pieces += 1
    assert pieces


@pytest.mark.parametrize("crf", [True, False])
def test_the_losses(crf: bool) -> None:
    tags = [["S-PER", "O", "S-LOC"], ["S-PER"], ["O", "O"]]
    model, batch = setup("BIOES", crf=crf, tags=tags)
    x_TBK = model.net(batch).detach()
    nll_B = model.negative_log_likelihood(batch, x_TBK, model.crf).detach()
    for b, row in enumerate(tags):
        if crf:
            want = -math.log(every(model, x_TBK[: len(row), b], 1.0)[tuple(row)])
        else:
            numbers = torch.tensor([model.names.index(tag) for tag in row])
            want = -x_TBK[: len(row), b].log_softmax(-1).gather(1, numbers.unsqueeze(1)).sum()
        assert float(nll_B[b]) == pytest.approx(float(want), rel=1e-5)
    model.train()
    training = model.loss(batch)
    assert (float(training.mean.detach()), training.weight) == (pytest.approx(float(nll_B.sum()) / 6), 6)
    model.eval()
    held = model.loss(batch)
    found = model.find(batch, probabilities=False)
    right = sum(len(set(spans(t)) & set(f.pieces)) for t, f in zip(tags, found, strict=True))
    total = 3 + sum(len(f.pieces) for f in found)
    assert held.weight == total
    assert float(held.mean.detach()) == pytest.approx(1 - 2 * right / total + 1e-4 * float(nll_B.sum()) / total)
    assert all(f.probabilities == [] for f in found)


def test_where_nothing_is_there_and_nothing_found_the_loss_weighs_next_to_nothing() -> None:
    model, batch = setup("BIO", crf=True, tags=[["O"] * len(row) for row in SENTENCES])
    with torch.no_grad():
        model.net.head.weight.zero_()
        model.net.head.bias.copy_(torch.tensor([50.0] + [0.0] * 4))
    loss = model.loss(batch)
    assert loss.weight == pytest.approx(1e-6)
    assert float(loss.mean.detach()) * float(loss.weight) < 1e-4


def test_the_calibration_bends_the_probabilities_of_pieces() -> None:
    model, batch = setup("BIO", crf=True)
    before = [p for found in model.find(batch) for p in found.probabilities]
    model.logistic.copy_(torch.tensor([0.5, 0.3]))
    after = [p for found in model.find(batch) for p in found.probabilities]
    assert after == pytest.approx([1 / (1 + math.exp(-(0.5 * math.log(p / (1 - p)) + 0.3))) for p in before])


def test_threads_do_not_change_each_others_model() -> None:
    model, batch = setup("BIOES", crf=True)
    model.temperature.fill_(3.0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    want = model.find(batch)
    found: list[bool] = []

    def work() -> None:
        found.append(all(model.find(batch) == want for _ in range(10)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 4
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
