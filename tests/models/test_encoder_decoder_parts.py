"""A layer above the attention, dropout, ensembles and the loss that makes its own gradient.

Legend: S source steps, T target steps, B batch, E embedding, H decoder, K memory, V vocabulary.
"""

import copy

import pytest
import torch
from torch import nn

from tests.helpers import assert_close
from tests.models.test_encoder_decoder import (
    BOS,
    EOS,
    PAD,
    SOURCE_LENGTHS,
    TARGET_LENGTHS,
    B,
    E,
    H,
    S,
    T,
    V,
    W,
    build,
    sources,
    targets,
)  # fmt: skip
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.models import EncoderDecoder, EncoderDecoderEnsemble, beam, decoding
from throughtime.models.encoder_decoder_loss import smoothed_cross_entropy
from throughtime.nn import GRU, LSTM, MultiplicativeAttention, Stepper


def test_what_is_above_sees_what_was_looked_at_before():
    """∂ logits_t / ∂ m reaches through the layer above alone once every later look is at one step."""
    model = build("between")
    assert model.upper is not None
    source, target = sources(), targets()
    logits = model(source, None, target)
    # A context of step 0 that changes moves the logits of every later step, and no earlier decoder state does.
    context: list[torch.Tensor] = []

    def shift(module, args, result):
        moved = result[0].clone()
        moved[0] += 0.5
        context.append(result[0])
        return moved, result[1]

    model.attention.register_forward_hook(shift)
    changed = (model(source, None, target) - logits).abs().amax((1, 2))
    assert bool((changed > 1e-6).all())
    model.upper = None
    plain = build("multiplicative")
    before = plain(source, None, target)
    plain.attention.register_forward_hook(shift)
    moved = (plain(source, None, target) - before).abs().amax((1, 2))
    assert moved[0] > 1e-6
    assert bool((moved[1:] == 0).all())


def test_vectors_are_what_the_head_reads():
    model, source, target = build("between"), sources(), targets()
    vectors, lengths = model.vectors(source, SOURCE_LENGTHS, target, TARGET_LENGTHS)
    assert vectors.shape == (T, B, H)
    assert_close(model.head(vectors, lengths), model(source, SOURCE_LENGTHS, target, TARGET_LENGTHS), k=20)


def test_dropout_has_one_mask_for_all_steps_and_none_in_eval_mode():
    model = build("multiplicative", dropout=0.5)
    seen: list[torch.Tensor] = []
    model.combine.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    model.train()(sources(), None, targets())
    zero_TBX = seen[0] == 0
    assert bool((zero_TBX == zero_TBX[:1]).all())
    assert 0.3 < float(zero_TBX[0].double().mean()) < 0.7
    model.eval()(sources(), None, targets())
    assert not bool((seen[1] == 0).any())
    assert_close(model(sources(), None, targets()), build("multiplicative")(sources(), None, targets()))


@pytest.mark.parametrize(
    ("changed", "error", "match"),
    [
        ({"attention": None}, ArgumentError, "expected an attention below upper, got None; "),
        ({"upper": nn.LSTM(9, H)}, ArgumentTypeError, "expected upper to be a layer of throughtime.nn, got LSTM; "),
        ({"upper": GRU(2 * H + H, H)}, ArgumentError, "expected upper to map 8 features.* to 4, got 12 to 4; "),
        ({"upper": GRU(2 * H, 5)}, ArgumentError, "expected upper to map 8 features.* to 4, got 8 to 5; "),
        ({"upper": GRU(2 * H, H, batch_first=True)}, ArgumentError, "one-way, time-first upper, got batch_first=True"),
        ({"upper": GRU(2 * H, 2, bidirectional=True)}, ArgumentError, "time-first upper, got bidirectional=True"),
        ({"dropout": 1.5}, ArgumentError, r"expected dropout in \[0, 1\], got 1\.5; "),
    ],
)
def test_refused(changed, error, match):
    options = {"attention": MultiplicativeAttention(H, H), "upper": GRU(2 * H, H), "bos": BOS, "eos": EOS, **changed}
    parts = nn.Embedding(W, E), GRU(E, H), nn.Embedding(V, E), GRU(E, H), nn.Linear(H, V)
    with pytest.raises(error, match=f"EncoderDecoder: .*{match}"):
        EncoderDecoder(*parts, **options)


def test_an_ensemble_of_one_is_its_member():
    member = build("between")
    ensemble = EncoderDecoderEnsemble([member])
    for name, how in (("greedy", {}), ("beam", {"width": 3, "n_best": 2})):
        ours = getattr(ensemble, name)(sources(), SOURCE_LENGTHS, limit=4, **how)
        theirs = getattr(member, name)(sources(), SOURCE_LENGTHS, limit=4, **how)
        for a, b in zip(_tensors(ours), _tensors(theirs), strict=True):
            assert_close(a.double(), b.double(), k=20)


def test_members_of_other_kinds_write_what_their_mean_finds_likeliest():
    members = [build("between"), build("feeding additive", seed=5)]
    ensemble = EncoderDecoderEnsemble(members)
    found, weights = ensemble.greedy(sources(), SOURCE_LENGTHS, limit=4)
    n = found.lengths.tolist()
    p = torch.stack([m(sources(), SOURCE_LENGTHS, found.ids, n).softmax(-1) for m in members]).mean(0)
    for row in range(B):
        assert p[: n[row], row].argmax(1).tolist() == found.ids[: n[row], row].tolist()
        chosen = p[: n[row], row].gather(1, found.ids[: n[row], row].unsqueeze(1)).log().squeeze(1)
        assert_close(found.log_probs[: n[row], row], chosen, k=200)
        assert_close(weights[: n[row], row].sum(1), torch.ones(n[row], dtype=torch.float64), k=50)
    hypotheses = ensemble.beam(sources(), SOURCE_LENGTHS, limit=4, width=1, alpha=0.0)
    assert hypotheses.rows() == [[ids] for ids in found.rows()]


def test_members_must_agree_on_ids():
    with pytest.raises(ArgumentError, match="EncoderDecoderEnsemble: expected one or more members, got none; "):
        EncoderDecoderEnsemble([])
    with pytest.raises(ArgumentError, match=r"one bos, eos and pad, got \[\(1, 2, 0\), \(1, 3, 0\)\]; "):
        EncoderDecoderEnsemble([build("plain"), build("plain", eos=3)])


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_loss_and_its_gradient_are_torchs(smoothing, dtype):
    g = torch.Generator().manual_seed(0)
    # More rows than a block holds: two blocks of 1 << 18 numbers and a rest.
    logits = (3 * torch.randn(1100, 500, generator=g, dtype=torch.float64)).to(dtype).requires_grad_()
    targets_N = torch.randint(0, 500, (1100,), generator=g)
    ours = smoothed_cross_entropy(logits, targets_N, smoothing)
    theirs = nn.functional.cross_entropy(logits.double(), targets_N, label_smoothing=smoothing)
    assert_close(ours, theirs.to(dtype), k=200)
    got, want = (torch.autograd.grad(3 * loss, logits)[0] for loss in (ours, theirs))
    assert_close(got, want, k=2000)


def test_the_loss_of_bfloat16_is_summed_in_float32():
    logits = torch.randn(64, 300, generator=torch.Generator().manual_seed(1)).bfloat16().requires_grad_()
    targets_N = torch.arange(64)
    found = smoothed_cross_entropy(logits, targets_N, 0.1)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(
        nn.functional.cross_entropy(logits.double(), targets_N, label_smoothing=0.1).item(), rel=1e-5
    )
    (gradient,) = torch.autograd.grad(found, logits)
    assert gradient.dtype == torch.bfloat16


def _tensors(found):
    parts = [part for one in found for part in (one if isinstance(one, tuple) else (one,))]
    return [part for part in parts if isinstance(part, torch.Tensor)]


def test_layers_above_keep_their_state_through_a_beam():
    """An LSTM above has a cell too; rows that move take it with them."""
    torch.manual_seed(3)
    parts = nn.Embedding(W, E), LSTM(E, H, bidirectional=True), nn.Embedding(V, E), LSTM(E, H), nn.Linear(H, V)
    model = EncoderDecoder(*parts, MultiplicativeAttention(H, 2 * H), upper=LSTM(3 * H, H), pad=PAD).double()
    found = model.beam(sources(), SOURCE_LENGTHS, limit=5, width=4, n_best=3)
    for place in range(3):
        n = found.lengths[:, place]
        logp = model(sources(), SOURCE_LENGTHS, found.ids[:, :, place], n).log_softmax(-1)
        own = logp.gather(2, found.ids[:, :, place].unsqueeze(2)).squeeze(2)
        own = own.where(torch.arange(len(own)).unsqueeze(1) < n, 0.0).sum(0)
        assert_close(found.log_probs[:, place], own, k=500)


def test_frozen_weights_are_packed_once_and_not_copied():
    member = build("between")
    packed: list[int] = []
    own = member.packed

    def spy():
        packed.append(1)
        return own()

    member.packed = spy
    for frozen, times in ((True, 1), (False, 3)):
        packed.clear()
        ensemble = EncoderDecoderEnsemble([member], frozen=frozen)
        found = [ensemble.greedy(sources(), SOURCE_LENGTHS, limit=4)[0].rows() for _ in range(3)]
        assert found[0] == found[1] == found[2] == member.greedy(sources(), SOURCE_LENGTHS, limit=4)[0].rows()
        assert len(packed) == times + 1  # the member's own
    del member.packed
    ensemble = EncoderDecoderEnsemble([member], frozen=True)
    ensemble.greedy(sources(), SOURCE_LENGTHS, limit=4)
    assert copy.deepcopy(ensemble)._packed is None


@pytest.mark.parametrize(("case", "members"), [("linear bridge", 1), ("feeding additive", 1), ("between", 2)])
def test_rows_that_have_ended_are_let_go_and_nothing_changes(case, members, monkeypatch):
    g = torch.Generator().manual_seed(3)
    source, lengths = torch.randint(0, W, (S, 24), generator=g), torch.randint(1, S + 1, (24,), generator=g)
    limit = torch.arange(24) % 8 + 1
    models = [build(case, seed=seed) for seed in range(members)]
    model = models[0] if members == 1 else EncoderDecoderEnsemble(models)
    rows, call = [], Stepper.__call__
    monkeypatch.setattr(Stepper, "__call__", lambda self, x, *rest: (rows.append(len(x)), call(self, x, *rest))[1])

    def written():
        rows.clear()
        found = model.beam(source, lengths, limit=limit, width=3, n_best=2)
        return model.greedy(source, lengths, limit=limit), (found, found.weights)

    narrowed, least = written(), min(rows)
    for module in (decoding, beam):
        monkeypatch.setattr(module, "_NARROW", -1.0)
    whole = written()
    assert least < min(rows)
    for (one, its_weights), (other, weights) in zip(narrowed, whole, strict=True):
        assert torch.equal(one.ids, other.ids)
        assert torch.equal(one.lengths, other.lengths)
        assert torch.equal(one.stopped, other.stopped)
        assert_close(one.log_probs, other.log_probs)
        assert_close(its_weights, weights)
