"""The net alone: what reaches an emission, and what does not."""

from dataclasses import replace

import pytest
import torch

from throughtime.nn.layers import LAYERS
from throughtime.tasks.tag.batches import TagBatch, TagSource
from throughtime.tasks.tag.network import LetterConvolution, LockedDropout, TagDesign, TagNet
from throughtime.tasks.tag.units import TagUnits

SENTENCES = [["Ann", "saw", "a", "catamaran"], ["a", "dog"], ["Ann"]]
CHINESE = [list("中国人中"), list("国人"), list("人")]


def setup(sentences=SENTENCES, **changes) -> tuple[TagNet, TagBatch, TagUnits]:
    units = TagUnits.build(sentences)
    pairs = 0 if units.pairs is None else len(units.pairs)
    design = TagDesign(
        len(units.words), len(units.letters), pairs, 5, hidden_size=4, word_size=6, character_size=4, dropout=0.0
    )
    torch.manual_seed(0)
    net = TagNet(replace(design, **changes)).eval()
    return net, TagSource.of(sentences, units, None).batch(torch.arange(len(sentences))), units


@pytest.mark.parametrize("characters", ["lstm", "cnn", "none"])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("sentences", [SENTENCES, CHINESE], ids=["words", "characters"])
def test_a_sentence_alone_is_the_sentence_in_a_batch(characters, bidirectional, sentences) -> None:
    net, batch, units = setup(sentences, characters=characters, bidirectional=bidirectional)
    x_TBK = net(batch)
    assert x_TBK.shape == (4, 3, 5)
    for b, tokens in enumerate(sentences):
        alone = net(TagSource.of([tokens], units, None).batch(torch.tensor([0])))
        torch.testing.assert_close(alone[:, 0], x_TBK[: len(tokens), b])


@pytest.mark.parametrize("cell", list(LAYERS))
def test_every_cell_learns_in_every_parameter(cell: str) -> None:
    net, batch, _ = setup([*CHINESE, ["人", "中国"]], cell=cell, characters="lstm", num_layers=2)
    net.train()
    (net(batch) ** 2).sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("characters", ["lstm", "cnn"])
def test_letters_reach_an_emission_and_the_future_only_both_ways(characters: str) -> None:
    spelled, batch, units = setup(characters=characters)
    changed = TagSource.of([["Ann", "saw", "a", "catamaraa"], *SENTENCES[1:]], units, None).batch(torch.arange(3))
    assert bool((spelled(batch)[3, 0] != spelled(changed)[3, 0]).any())
    one_way, batch, units = setup(characters=characters, bidirectional=False)
    torch.testing.assert_close(one_way(batch)[:3, 0], one_way(changed)[:3, 0], rtol=0, atol=0)
    assert bool((spelled(batch)[0, 0] != spelled(changed)[0, 0]).any())


@pytest.mark.parametrize("characters", ["lstm", "cnn"])
def test_a_token_without_letters_has_numbers(characters: str) -> None:
    net, _, units = setup(characters=characters)
    for tokens in ([""], ["", "Ann"]):
        x_TBK = net(TagSource.of([tokens], units, None).batch(torch.tensor([0])))
        assert bool(torch.isfinite(x_TBK).all())


def test_the_convolution_is_the_one_written_out() -> None:
    torch.manual_seed(1)
    layer = LetterConvolution(2, 3).double()
    x = torch.randn(5, 1, 2, dtype=torch.float64)
    poisoned = x.clone()
    poisoned[3:] = float("nan")
    found = layer(poisoned, lengths=torch.tensor([3]))
    padded = torch.zeros(9, 2, dtype=torch.float64)
    padded[2:5] = x[:3, 0]
    weight, bias = layer.convolution.weight, layer.convolution.bias
    want = torch.stack([torch.einsum("fik,ki->f", weight, padded[t : t + 3]) + bias for t in range(7)]).amax(0)
    torch.testing.assert_close(found[0], want)


def test_locked_dropout_drops_the_same_features_all_along() -> None:
    drop = LockedDropout(0.5)
    torch.manual_seed(0)
    found = drop(torch.ones(4, 50, 40))
    assert bool((found == found[:1]).all())
    assert set(found.unique().tolist()) == {0.0, 2.0}
    assert abs(float(found.mean()) - 1) < 0.1
    assert bool((found[0, 0] != found[0, 1]).any())
    assert bool((drop.eval()(torch.ones(1, 1, 9)) == 1).all())


def test_rare_words_are_sometimes_unknown_in_training_alone() -> None:
    net, batch, units = setup(characters="none")
    rare = torch.zeros(len(units.words), dtype=torch.bool)
    rare[units.word_of("catamaran")] = True
    before = net(batch)
    net.learn_unknown(rare)
    torch.testing.assert_close(net(batch), before, rtol=0, atol=0)
    net.train()
    torch.manual_seed(0)
    seen = [net(batch) for _ in range(20)]
    kinds = {tuple(x[:, 0].flatten().tolist()) for x in seen}
    assert len(kinds) == 2, "with the word and without"
    assert all(bool((x[:2, 1] == before[:2, 1]).all()) for x in seen), "a sentence without it stays"
    assert "rare" not in net.state_dict()


@pytest.mark.parametrize(("dropout", "share"), [(0.0, 0.0), (0.5, 1.0)])
def test_words_and_pairs_are_hidden_as_much_as_features_are_dropped(dropout: float, share: float) -> None:
    """A fifth of the dropout of words, three fifths of pairs; drawn anew for every token."""
    net, batch, _ = setup([list("国" * 50)] * 40, dropout=dropout, characters="none")
    net.train()
    seen = {}
    for name in ("words", "pairs"):
        getattr(net, name).register_forward_hook(lambda _, ids, __, name=name: seen.update({name: ids[0]}))
    net(batch)
    hidden = {name: float((ids == 1).float().mean()) for name, ids in seen.items()}
    assert hidden["words"] == pytest.approx(0.1 * share, abs=0.03)
    # The pair at a sentence's end stands in the data once for each sentence, all others 49 times.
    assert hidden["pairs"] == pytest.approx(0.3 * share, abs=0.04)


def test_given_vectors_reach_the_words_that_training_has_and_those_that_it_has_not() -> None:
    _, batch, units = setup(characters="none")
    units = units.with_words(["bird", "dog", "fish"])
    assert list(units.words)[-2:] == ["bird", "fish"]
    design = TagDesign(
        len(units.words), len(units.letters), 0, 5, hidden_size=4, word_size=6, characters="none", further=2
    )
    net = TagNet(design).eval()
    vectors = 7 * torch.randn(3, 6)
    net.take_vectors(torch.tensor(units.words.ids(["bird", "dog", "fish"])), vectors)
    scaled = vectors / vectors.norm(dim=1).mean()
    found = net.word_vectors(torch.tensor([units.words.ids(["dog", "fish", "bird"])]))
    torch.testing.assert_close(found[0], scaled[[1, 2, 0]])
    assert "further" not in dict(net.named_parameters())
    net.train()
    net(batch).sum().backward()
    assert net.words.weight.grad is not None
