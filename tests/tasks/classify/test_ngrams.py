"""N-grams: which there are, the weights against a solver that is not ours, and what each token adds."""

import numpy as np
import pytest
import torch

from throughtime.tasks.classify.grams import Grams
from throughtime.tasks.classify.ngrams import NGramClassifier

TEXTS = [["not", "good"], ["good", "good", "film"], ["not", "bad"], ["bad", "film"], ["film"], []]


def test_a_text_has_each_of_its_ngrams_once() -> None:
    words, pairs, spelled = (Grams(n, k).features(TEXTS) for n, k in ((1, 0), (2, 0), (1, 4)))
    ends = [np.diff(np.append(each.offsets, len(each.keys))).tolist() for each in (words, pairs, spelled)]
    # "good good film": 2 words; pairs "good good" and "good film"; ^goo, good, ood$, ^fil, film, ilm$.
    assert ends[0] == [2, 2, 2, 2, 1, 0]
    assert ends[1] == [3, 4, 3, 3, 1, 0]
    assert ends[2] == [2 + 2 + 3, 2 + 3 + 3, 2 + 2 + 2, 2 + 2 + 3, 1 + 3, 0]
    assert len({*words.keys[:2]} & {*words.keys[2:4]}) == 1  # "good"
    a, b = (Grams(2, 0).occurrences(tokens).keys[-1] for tokens in (["a", "b"], ["b", "a"]))
    assert a != b
    taken = pairs.take(np.array([3, 0]))
    assert taken.keys.tolist() == [*pairs.keys[10:13].tolist(), *pairs.keys[:3].tolist()]


def test_the_weights_are_those_that_newtons_steps_find() -> None:
    rng = np.random.default_rng(0)
    texts = [[str(w) for w in rng.choice(list("abcdefgh"), size=5)] for _ in range(60)]
    y = torch.tensor([("a" in t) ^ (rng.random() < 0.2) for t in texts]).long()
    targets = torch.nn.functional.one_hot(y, 2)
    found = Grams(1, 0).features(texts)
    (model,) = NGramClassifier.fit(found, targets, several=False, penalties=[0.7])
    # The same in float64, by hand: x_nf r_f, one logit of two opposite ones, penalty on both.
    keys = np.unique(found.keys)
    x = np.zeros((60, len(keys)))
    ends = np.append(found.offsets, len(found.keys))
    for n in range(60):
        x[n, np.searchsorted(keys, found.keys[ends[n] : ends[n + 1]])] = 1
    t = y.double().numpy()
    p, q = 1 + x.T @ t, 1 + x.T @ (1 - t)
    r = np.log(p / p.sum()) - np.log(q / q.sum())
    # z = z_1 − z_0 = Σ x r (w_1 + w_0) + b, w_1 = w_0 = v / 2: penalty 0.7/2 · v²/2
    a = np.column_stack((x * r, np.ones(60)))
    v = np.zeros(len(keys) + 1)
    ridge = np.diag([0.7 / 2] * len(keys) + [0])
    for _ in range(50):
        s = 1 / (1 + np.exp(-a @ v))
        v -= np.linalg.solve((a.T * (s * (1 - s))) @ a + ridge, a.T @ (s - t) + ridge @ v)
    z = model.scores(found).double()
    np.testing.assert_allclose((z[:, 1] - z[:, 0]).numpy(), a @ v, atol=0.02)
    with pytest.raises(AssertionError):  # the comparison can fail
        np.testing.assert_allclose((z[:, 1] - z[:, 0]).numpy(), a @ np.r_[v[:-1] * 1.1, v[-1]], atol=0.02)


def test_what_tokens_add_sums_to_the_score() -> None:
    targets = torch.tensor([[1, 0], [0, 1], [0, 1], [1, 0], [1, 0], [0, 1]])
    grams = Grams(2, 3)
    (model,) = NGramClassifier.fit(grams.features(TEXTS), targets, several=False, penalties=[1.0])
    for tokens in [*TEXTS, ["good", "unheard", "good", "good"]]:
        added = model.contributions(tokens, grams).sum(0) + model.bias_K
        torch.testing.assert_close(added, model.scores(grams.features([tokens]))[0], atol=1e-4, rtol=1e-4)


def test_several_labels_and_weights_are_heard() -> None:
    targets = torch.tensor([[0, 1, 1], [1, 0, 0], [1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 0]])
    found = Grams(1, 0).features(TEXTS)
    plain, heavy = (
        NGramClassifier.fit(found, targets, several=True, penalties=[1.0], weights_K=w)[0].scores(found)
        for w in (None, torch.tensor([20.0, 1.0, 1.0]))
    )
    assert (heavy[:, 0] > plain[:, 0]).all()
    torch.testing.assert_close(heavy[:, 1:], plain[:, 1:], atol=2e-2, rtol=1e-2)


def test_a_stronger_penalty_shrinks_and_the_folder_is_exact() -> None:
    targets = torch.tensor([[1, 0], [0, 1], [0, 1], [1, 0], [1, 0], [0, 1]])
    found = Grams(2, 0).features(TEXTS)
    strong, weak = NGramClassifier.fit(found, targets, several=False, penalties=[10.0, 0.1])
    assert strong.weight_FK.float().norm() < weak.weight_FK.float().norm()
    read = NGramClassifier.from_tensors(weak.tensors("x"), "x", 2, 0.1)
    assert torch.equal(read.scores(found), weak.scores(found))
    tensors = weak.tensors("x")
    tensors["x.keys"] = tensors["x.keys"][::-1].copy()
    with pytest.raises(ValueError, match="not ascending"):
        NGramClassifier.from_tensors(tensors, "x", 2, 0.1)
