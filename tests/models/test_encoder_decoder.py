"""EncoderDecoder against its equations a row and a step at a time: training pass, decoding, lengths, refusals.

Legend: S source steps, T target steps, B batch, E embedding, H decoder, K memory, V target and W source vocabulary.
"""

import copy
import itertools

import numpy as np
import pytest
import torch
from torch import nn

from tests.helpers import assert_close, assert_zero
from tests.nn.test_attention import score
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.models import EncoderDecoder, Sampler, sequence_cross_entropy
from throughtime.nn import GRU, LSTM, RNN, AdditiveAttention, DotAttention, MultiplicativeAttention, Stepper

S, T, B, E, H, W, V = 6, 5, 4, 3, 4, 9, 7
BOS, EOS, PAD = 1, 2, 0
SOURCE_LENGTHS, TARGET_LENGTHS = [6, 1, 3, 5], [2, 5, 0, 4]

# kind of cell, layers of encoder and decoder, both ways, attention, input feeding, bridge
CASES = {
    "plain": (GRU, (1, 1), False, None, False, "copy"),
    "linear bridge": (LSTM, (2, 1), True, None, False, "linear"),
    "additive": (GRU, (1, 1), True, "additive", False, "linear"),
    "multiplicative": (LSTM, (1, 2), True, "multiplicative", False, "linear"),
    "dot": (RNN, (1, 1), False, "dot", False, "copy"),
    "feeding": (LSTM, (1, 1), True, "multiplicative", True, "linear"),
    "feeding additive": (GRU, (2, 2), False, "additive", True, "copy"),
    "between": (LSTM, (1, 1), True, "multiplicative", False, "linear"),
    "between, feeding": (GRU, (1, 2), True, "additive", True, "linear"),
}
every_case = pytest.mark.parametrize("case", CASES)
fed_and_not = pytest.mark.parametrize(
    "case", ["linear bridge", "multiplicative", "feeding", "feeding additive", "between"]
)


def build(case, seed=0, dtype=torch.float64, vectors=False, **options):
    cell, layers, both_ways, kind, feeding, bridge = CASES[case]
    torch.manual_seed(seed)
    encoder = cell(E, H, layers[0], bidirectional=both_ways)
    decoder = cell(E + H if feeding else E, H, layers[1])
    K = encoder.output_size
    attention = {
        None: lambda: None,
        "additive": lambda: AdditiveAttention(H, K, 5),
        "multiplicative": lambda: MultiplicativeAttention(H, K),
        "dot": lambda: DotAttention(H, K),
    }[kind]()
    embedding = nn.Linear(2, E) if vectors else nn.Embedding(W, E)
    parts = (embedding, encoder, nn.Embedding(V, E), decoder, nn.Linear(H, V), attention)
    if case.startswith("between"):
        options = {"upper": cell(K + H, H), **options}
    options = {"bridge": bridge, "input_feeding": feeding, "bos": BOS, "eos": EOS, "pad": PAD, **options}
    model = EncoderDecoder(*parts, **options)
    # Larger weights than U(±1/√H): choices that differ, hypotheses that end.
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.0)
        model.head.module.bias[EOS] += 1.0
    return model.to(dtype)


def sources(seed=1, vectors=False):
    g = torch.Generator().manual_seed(seed)
    if vectors:
        return torch.randn(S, B, 2, generator=g, dtype=torch.float64)
    return torch.randint(0, W, (S, B), generator=g)


def targets(seed=2):
    return torch.randint(3, V, (T, B), generator=torch.Generator().manual_seed(seed))


def by_hand(model, case, source, target):
    """Logits (T, V) and weights (T, S) of one row, unpadded: the class's equations, the score in NumPy."""
    kind, feeding = CASES[case][3:5]
    memory, state = model.encoder(model.source_embedding(source).unsqueeze(1))
    if CASES[case][5] == "linear":
        fields = (state,) if isinstance(state, torch.Tensor) else state
        mapped = []
        for name, s in zip("hc", fields, strict=False):
            flat = model.bridge.maps[name].weight @ torch.cat(list(s[:, 0])) + model.bridge.maps[name].bias
            mapped.append((flat.tanh() if name == "h" else flat).reshape(-1, 1, H))
        state = mapped[0] if len(mapped) == 1 else tuple(mapped)
    keys = memory[:, 0].detach().numpy()
    vector, above = torch.zeros(H, dtype=torch.float64), None
    logits, weights = [], []
    for before in [BOS, *target.tolist()][: len(target)]:
        x = model.target_embedding(torch.tensor(before))
        hidden, state = model.decoder.step((torch.cat([x, vector]) if feeding else x).unsqueeze(0), state)
        vector = hidden[0]
        if kind is not None:
            e = np.array([score(kind, model.attention, vector.detach().numpy(), key) for key in keys])
            a = np.exp(e - e.max()) / np.exp(e - e.max()).sum()
            weights.append(torch.from_numpy(a))
            if model.upper is not None:
                outputs, above = model.upper.step(torch.cat([torch.from_numpy(a @ keys), vector]).unsqueeze(0), above)
                vector = outputs[0]
            vector = torch.tanh(model.combine.weight @ torch.cat([torch.from_numpy(a @ keys), vector]))
        logits.append(model.head.module(vector))
    return torch.stack(logits), torch.stack(weights) if weights else None


def score_rows(model, source, ids, lengths):
    """log p of ids under the training pass: (T, B), zero past the lengths."""
    log_probs = model(source, SOURCE_LENGTHS, ids, lengths).log_softmax(-1)
    valid = torch.arange(len(ids)).unsqueeze(1) < lengths
    return log_probs.gather(2, ids.unsqueeze(2)).squeeze(2).where(valid, 0.0)


@every_case
def test_logits_are_those_of_the_equations(case):
    model, source, target = build(case), sources(), targets()
    logits = model(source, SOURCE_LENGTHS, target, TARGET_LENGTHS)
    assert logits.shape == (T, B, V)
    for row, (n, m) in enumerate(zip(SOURCE_LENGTHS, TARGET_LENGTHS, strict=True)):
        if m:
            assert_close(logits[:m, row], by_hand(model, case, source[:n, row], target[:m, row])[0])
        assert_zero(logits[m:, row])
    assert_close(model(source, None, target), model(source, [S] * B, target, [T] * B), k=20)


@every_case
def test_padding_reaches_nothing(case):
    """NaN past the source's lengths, ids of no embedding past the target's: same logits, and no gradient there."""
    model, source, target = build(case, vectors=True), sources(vectors=True), targets()
    expected = model(source, SOURCE_LENGTHS, target, TARGET_LENGTHS).detach()
    source, target = source.clone(), target.clone()
    for row, (n, m) in enumerate(zip(SOURCE_LENGTHS, TARGET_LENGTHS, strict=True)):
        source[n:, row] = float("nan")
        target[m:, row] = -100
    source.requires_grad_()
    logits = model(source, SOURCE_LENGTHS, target, TARGET_LENGTHS)
    assert_close(logits, expected, k=0)
    sequence_cross_entropy(logits, target, TARGET_LENGTHS).mean.backward()
    for row, (n, m) in enumerate(zip(SOURCE_LENGTHS, TARGET_LENGTHS, strict=True)):
        assert_zero(source.grad[n:, row])
        assert bool((source.grad[:n, row].abs().sum(-1) > 0).all()) == (m > 0)
    for name, parameter in model.named_parameters():
        assert bool(parameter.grad.isfinite().all()), name
        assert bool(parameter.grad.abs().max() > 0), name


@every_case
def test_step_by_step_is_the_fused_pass(case):
    """A teacher forcing that is 1 but for rounding takes the other path through the model: logits and gradients."""
    model, source, target = build(case), sources(), targets()
    found = []
    for forcing in ({}, {"teacher_forcing": 1 - 1e-12, "seed": 0}):
        model.zero_grad()
        logits = model(source, SOURCE_LENGTHS, target, TARGET_LENGTHS, **forcing)
        logits.sin().sum().backward()
        found.append((logits.detach(), {name: p.grad.clone() for name, p in model.named_parameters()}))
    assert_close(found[1][0], found[0][0])
    assert_close(found[1][1], found[0][1], k=5000)


@pytest.mark.parametrize(("case", "calls"), [("additive", [T]), ("plain", [T]), ("feeding", [1] * T)])
def test_teacher_forcing_is_one_call_unless_vectors_are_fed(case, calls):
    model, steps = build(case), []
    model.decoder.register_forward_pre_hook(lambda _, args: steps.append(args[0].shape[0]))
    model(sources(), SOURCE_LENGTHS, targets())
    assert steps == calls


@every_case
def test_scheduled_sampling_reads_its_own_choice_where_it_does_not_read_the_target(case):
    model, source, target = build(case), sources(), targets()
    gold = torch.rand((T, B), generator=torch.Generator().manual_seed(5)) < 0.5
    assert gold[1:].any()
    assert not gold[1:].all()
    logits = model(source, SOURCE_LENGTHS, target, teacher_forcing=0.5, seed=5)
    for row, n in enumerate(SOURCE_LENGTHS):
        read = target[:, row].clone()
        for t in range(T - 1):
            if not gold[t + 1, row]:
                read[t] = by_hand(model, case, source[:n, row], read[: t + 1])[0][t].argmax()
        assert_close(logits[:, row], by_hand(model, case, source[:n, row], read)[0])
    same = model(source, SOURCE_LENGTHS, target, teacher_forcing=0.5, seed=5)
    assert torch.equal(same, logits)
    assert not torch.equal(model(source, SOURCE_LENGTHS, target, teacher_forcing=0.5, seed=6), logits)


@every_case
def test_without_teacher_forcing_the_pass_is_greedy(case):
    model, source = build(case), sources()
    decoded, _ = model.greedy(source, SOURCE_LENGTHS, limit=T)
    logits = model(source, SOURCE_LENGTHS, targets(), teacher_forcing=0.0)
    for row, n in enumerate(decoded.lengths.tolist()):
        assert torch.equal(logits[:n, row].argmax(-1), decoded.ids[:n, row])


@every_case
def test_greedy_writes_what_the_training_pass_finds_likeliest(case):
    model, source = build(case), sources()
    decoded, weights = model.greedy(source, SOURCE_LENGTHS, limit=9)
    n = len(decoded.ids)
    logits = model(source, SOURCE_LENGTHS, decoded.ids, decoded.lengths)
    valid = torch.arange(n).unsqueeze(1) < decoded.lengths
    assert torch.equal(decoded.ids, logits.argmax(-1).where(valid, PAD))
    assert_close(decoded.log_probs, score_rows(model, source, decoded.ids, decoded.lengths))
    assert int(decoded.lengths.max()) == n
    for row, length in enumerate(decoded.lengths.tolist()):
        ended = bool(decoded.ids[length - 1, row] == EOS)
        assert bool(decoded.stopped[row]) == ended
        assert length == 9 or ended
    assert (weights is None) == (CASES[case][3] is None)
    for row, length in enumerate(decoded.lengths.tolist()):
        if weights is not None:
            expected = by_hand(model, case, source[: SOURCE_LENGTHS[row], row], decoded.ids[:length, row])[1]
            assert_close(weights[:length, row, : SOURCE_LENGTHS[row]], expected)
            assert_zero(weights[:length, row, SOURCE_LENGTHS[row] :])
            assert_zero(weights[length:, row])


@fed_and_not
def test_samples_are_scored_by_the_training_pass_and_follow_their_seeds(case):
    model, source = build(case), sources()
    decoded, _ = model.sample(source, SOURCE_LENGTHS, limit=8, seed=[3, 14, 15, 92])
    assert_close(decoded.log_probs, score_rows(model, source, decoded.ids, decoded.lengths))
    row = 2
    alone, _ = model.sample(source[:, [row]], [SOURCE_LENGTHS[row]], limit=8, seed=[15])
    n = int(alone.lengths)
    assert torch.equal(alone.ids[:, 0], decoded.ids[:n, row])
    assert decoded.lengths[row] == n
    others, _ = model.sample(source, SOURCE_LENGTHS, limit=8, seed=77)
    assert decoded.rows() != others.rows()
    cold, _ = model.sample(source, SOURCE_LENGTHS, limit=8, sampler=Sampler(top_k=1), seed=77)
    assert cold.rows() == model.greedy(source, SOURCE_LENGTHS, limit=8)[0].rows()


def test_a_limit_for_each_row():
    model = build("additive")
    model.head.module.bias.data[EOS] = -1e4
    decoded, weights = model.greedy(sources(), SOURCE_LENGTHS, limit=torch.tensor([3, 0, 1, 4]))
    assert decoded.lengths.tolist() == [3, 0, 1, 4]
    assert weights.shape == (4, B, S)


@every_case
def test_beam_hypotheses_are_scored_by_the_training_pass(case):
    """log p, penalty and attention of every hypothesis, whatever places it had in the beam on its way."""
    model, source = build(case), sources()
    found = model.beam(source, SOURCE_LENGTHS, limit=8, width=5, alpha=0.7, n_best=4)
    assert found.ids.shape[1:] == found.scores.shape == (B, 4)
    assert len({int(n) for n in found.lengths.flatten()}) > 1
    for place in range(4):
        ids, lengths = found.ids[..., place], found.lengths[:, place]
        log_probs = score_rows(model, source, ids, lengths).sum(0)
        assert_close(found.log_probs[:, place], log_probs)
        assert_close(found.scores[:, place], log_probs / ((5 + lengths.double()) / 6) ** 0.7)
    assert bool((found.scores.diff(dim=1) <= 0).all())
    for row in range(B):
        rows = {tuple(found.ids[: found.lengths[row, p], row, p].tolist()) for p in range(4)}
        assert len(rows) == 4
    assert (found.weights is None) == (CASES[case][3] is None)
    for row, place in itertools.product(range(B), range(4)):
        n, m = SOURCE_LENGTHS[row], int(found.lengths[row, place])
        if found.weights is not None:
            expected = by_hand(model, case, source[:n, row], found.ids[:m, row, place])[1]
            assert_close(found.weights[:m, row, place, :n], expected)
            assert_zero(found.weights[:, row, place, n:])
            assert_zero(found.weights[m:, row, place])


@every_case
def test_beam_of_one_is_greedy_and_a_wider_one_is_no_worse(case):
    model, source = build(case), sources()
    greedy, _ = model.greedy(source, SOURCE_LENGTHS, limit=8)
    one = model.beam(source, SOURCE_LENGTHS, limit=8, width=1, alpha=0.0)
    assert torch.equal(one.ids[..., 0], greedy.ids)
    assert_close(one.log_probs[:, 0], greedy.log_probs.sum(0))
    wide = model.beam(source, SOURCE_LENGTHS, limit=8, width=V, alpha=0.0)
    assert bool((wide.log_probs[:, 0] >= one.log_probs[:, 0] - 1e-12).all())


@fed_and_not
def test_a_row_alone_is_the_row_in_the_batch(case):
    model, source = build(case), sources()
    together = model.beam(source, SOURCE_LENGTHS, limit=8, width=4, n_best=2)
    for row, n in enumerate(SOURCE_LENGTHS):
        alone = model.beam(source[:n, [row]], limit=8, width=4, n_best=2)
        assert_close(alone.scores[0], together.scores[row])
        assert torch.equal(alone.ids[:, 0], together.ids[: len(alone.ids), row])


@fed_and_not
def test_decoding_takes_the_stepper(case, monkeypatch):
    """One call of the fast handle a step, for all rows of the beam, and none of the layer itself."""
    model, rows = build(case), []
    call = Stepper.__call__

    def spy(self, x, state=None, reset=None):
        rows.append(len(x))
        return call(self, x, state, reset)

    monkeypatch.setattr(Stepper, "__call__", spy)
    model.decoder.register_forward_pre_hook(lambda *_: pytest.fail("the layer was called, not its stepper"))
    model.head.module.bias.data[EOS] = -1e4
    model.greedy(sources(), SOURCE_LENGTHS, limit=3)
    layers = 1 if model.upper is None else 2
    assert rows == [B] * 3 * layers
    rows.clear()
    model.beam(sources(), SOURCE_LENGTHS, limit=3, width=4)
    assert rows == [B] * layers + [4 * B] * 2 * layers


def test_decoding_runs_in_eval_mode_without_gradients_and_puts_the_mode_back():
    model = build("additive")
    model.head.module = nn.Sequential(nn.Dropout(0.9), model.head.module)
    model.attention.eval()
    before = {name: module.training for name, module in model.named_modules()}
    first, weights = model.greedy(sources(), SOURCE_LENGTHS, limit=6)
    assert torch.equal(first.log_probs, model.greedy(sources(), SOURCE_LENGTHS, limit=6)[0].log_probs)
    found = model.beam(sources(), SOURCE_LENGTHS, limit=6, width=2)
    assert torch.equal(found.scores, model.beam(sources(), SOURCE_LENGTHS, limit=6, width=2).scores)
    assert not any(t.requires_grad for t in (first.log_probs, weights, found.scores, found.weights))
    assert {name: module.training for name, module in model.named_modules()} == before
    assert not torch.equal(model(sources(), None, targets()), model(sources(), None, targets()))


def test_weights_are_packed_anew_at_each_decoding():
    model = build("plain")
    before, _ = model.greedy(sources(), SOURCE_LENGTHS, limit=6)
    with torch.no_grad():
        for parameter in model.decoder.parameters():
            parameter.neg_()
    after, _ = model.greedy(sources(), SOURCE_LENGTHS, limit=6)
    assert not torch.equal(after.log_probs[0], before.log_probs[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@every_case
def test_both_dtypes(case, dtype):
    model = build(case, dtype=dtype)
    logits = model(sources(), SOURCE_LENGTHS, targets(), TARGET_LENGTHS)
    exact = build(case)(sources(), SOURCE_LENGTHS, targets(), TARGET_LENGTHS)
    assert logits.dtype == dtype
    assert_close(logits, exact)
    assert model.beam(sources(), SOURCE_LENGTHS, limit=4, width=3).scores.dtype == dtype


def test_a_bridge_of_ones_own():
    """The decoder starts from zeros: only the attention tells it of the source."""

    class Zeros(nn.Module):
        def forward(self, state):
            return torch.zeros(1, state.shape[1], H, dtype=state.dtype)

    model = build("additive", bridge=Zeros())
    assert_zero(model.encode(sources(), SOURCE_LENGTHS).state)
    assert model(sources(), SOURCE_LENGTHS, targets()).shape == (T, B, V)


def test_layers_with_projections():
    """h and c of different sizes, through the bridge and through a beam that changes places."""
    torch.manual_seed(0)
    encoder, decoder = LSTM(E, 6, proj_size=2, bidirectional=True), LSTM(E, 5, proj_size=H)
    parts = (nn.Embedding(W, E), encoder, nn.Embedding(V, E), decoder, nn.Linear(H, V), DotAttention(H, 4))
    model = EncoderDecoder(*parts).double()
    found = model.beam(sources(), SOURCE_LENGTHS, limit=6, width=5, n_best=3)
    for place in range(3):
        log_probs = score_rows(model, sources(), found.ids[..., place], found.lengths[:, place])
        assert_close(found.log_probs[:, place], log_probs.sum(0))


@every_case
def test_copies_and_state_dicts(case):
    model, source = build(case), sources()
    expected = model(source, SOURCE_LENGTHS, targets())
    assert_close(copy.deepcopy(model)(source, SOURCE_LENGTHS, targets()), expected, k=0)
    other = build(case, seed=8)
    assert not torch.equal(other(source, SOURCE_LENGTHS, targets()), expected)
    other.load_state_dict(model.state_dict())
    assert_close(other(source, SOURCE_LENGTHS, targets()), expected, k=0)


@every_case
def test_it_says_what_it_can_do(case):
    model = build(case)
    assert model.bidirectional == CASES[case][2]
    assert not model.streams


def test_no_rows():
    model = build("feeding")
    empty = torch.zeros(S, 0, dtype=torch.long)
    assert model(empty, None, torch.zeros(T, 0, dtype=torch.long)).shape == (T, 0, V)
    assert model.greedy(empty, limit=3)[0].ids.shape == (0, 0)
    assert model.beam(empty, limit=3, width=2).scores.shape == (0, 1)


SIZES = {
    "source": nn.Embedding(W, E),
    "encoder": GRU(E, H),
    "target": nn.Embedding(V, E),
    "decoder": GRU(E, H),
}


@pytest.mark.parametrize(
    ("changed", "error", "match"),
    [
        ({"encoder": nn.GRU(E, H)}, ArgumentTypeError, r"encoder to be a layer of throughtime\.nn, got GRU; "),
        ({"decoder": nn.Linear(E, H)}, ArgumentTypeError, r"decoder to be a layer .* got Linear; "),
        ({"encoder": GRU(E, H, batch_first=True)}, ArgumentError, r"time-first encoder, got batch_first=True; "),
        ({"decoder": GRU(E, H, bidirectional=True)}, ArgumentError, r"one-way decoder, got bidirectional=True.*; "),
        ({"attention": nn.Linear(H, H)}, ArgumentTypeError, r"attention to be an Attention .* got Linear; "),
        ({"attention": MultiplicativeAttention(5, H)}, ArgumentError, r"query_size 4, the decoder's output, got 5; "),
        ({"attention": MultiplicativeAttention(H, 8)}, ArgumentError, r"key_size 4, the encoder's output, got 8; "),
        ({"input_feeding": True}, ArgumentError, r"an attention with input_feeding=True, got None; "),
        ({"bridge": "wooden"}, ArgumentError, r"bridge to be one of copy, linear or a module, got 'wooden'; "),
        ({"bos": -1}, ArgumentError, r"bos >= 0, got -1; "),
        ({"bos": V}, ArgumentError, r"bos in \[0, 7\), the target embedding's, got 7; "),
        ({"eos": 2.0}, ArgumentTypeError, r"eos to be an int, got 2\.0; "),
    ],
)
def test_refused_at_construction(changed, error, match):
    parts = {**SIZES, "head": nn.Linear(H, V), "attention": None}
    options = {name: changed[name] for name in changed if name not in parts}
    parts |= {name: changed[name] for name in changed if name in parts}
    with pytest.raises(error, match=f"EncoderDecoder: expected .*{match}"):
        EncoderDecoder(*parts.values(), **options)


@pytest.mark.parametrize(
    ("encoder", "decoder", "bridge", "match"),
    [
        (GRU(E, H, bidirectional=True), GRU(E, H, 2), "copy", r"CopyBridge: .*\(2, 4\).*got .*\(2, 4\).*'linear'"),
        (GRU(E, 5), GRU(E, H), "copy", r"CopyBridge: expected .*\(1, 4\).*, got .*\(1, 5\).*; "),
        (GRU(E, H), LSTM(E, H), "copy", r"CopyBridge: expected .*'c'.*, got \{'h': \(1, 4\)\}; "),
        (GRU(E, H), LSTM(E, H), "linear", r"LinearBridge: expected .* got h and h, c; "),
    ],
)
def test_bridges_that_do_not_reach(encoder, decoder, bridge, match):
    with pytest.raises(ArgumentError, match=match):
        EncoderDecoder(nn.Embedding(W, E), encoder, nn.Embedding(V, E), decoder, nn.Linear(H, V), bridge=bridge)


IDS, OUT = torch.zeros(S, B, dtype=torch.long), torch.zeros(T, B, dtype=torch.long)


@pytest.mark.parametrize(
    ("use", "error", "match"),
    [
        (lambda m: m(IDS, [6, 0, 3, 5], OUT), ArgumentError, r"at least 1 step, got length 0 in row 1; "),
        (lambda m: m.greedy(IDS, [6, 6, 3, 0], limit=3), ArgumentError, r"at least 1 step, got length 0 in row 3; "),
        (lambda m: m.beam(IDS, [0, 6, 3, 1], limit=3), ArgumentError, r"at least 1 step, got length 0 in row 0; "),
        (lambda m: m.beam(IDS[:0], limit=3), ArgumentError, r"S >= 1, got \(0, 4\); "),
        (lambda m: m.encode(IDS[0]), ArgumentError, r"shape \(S, B\) .*got \(4,\); "),
        (lambda m: m.encode(IDS + W), ArgumentError, r"source in \[0, 9\), got 9; "),
        (lambda m: m.encode(IDS - 1), ArgumentError, r"source in \[0, 9\), got -1; "),
        (lambda m: m.encode(IDS.float()), ArgumentTypeError, r"source of an integer dtype, got torch\.float32; "),
        (lambda m: m.encode(IDS, [7, 1, 1, 1]), ArgumentError, r"between 0 and T = 6, got 7; "),
        (lambda m: m(IDS, None, OUT[:, :3]), ArgumentError, r"target of shape \(T, 4\) with T >= 1, got \(5, 3\); "),
        (lambda m: m(IDS, None, OUT[:0]), ArgumentError, r"target of shape \(T, 4\) with T >= 1, got \(0, 4\); "),
        (lambda m: m(IDS, None, OUT + V), ArgumentError, r"target in \[0, 7\), got 7; "),
        (lambda m: m(IDS, None, OUT.double()), ArgumentTypeError, r"target of an integer dtype, got torch\.float64; "),
        (lambda m: m(IDS, None, OUT, [9, 1, 1, 1]), ArgumentError, r"between 0 and T = 5, got 9; "),
        (lambda m: m(IDS, None, OUT, teacher_forcing=1.5), ArgumentError, r"teacher_forcing in \[0, 1\], got 1\.5; "),
        (
            lambda m: m(IDS, None, OUT, teacher_forcing=0.5),
            ArgumentError,
            r"seed with teacher_forcing=0\.5, got None; ",
        ),
        (lambda m: m.greedy(IDS, limit=0), ArgumentError, r"limit >= 1, got 0; "),
        (lambda m: m.sample(IDS, limit=3, sampler=Sampler(top_k=8)), ArgumentError, r"top_k <= .* 7, got 8; "),
        (lambda m: m.beam(IDS.tolist(), limit=3), ArgumentTypeError, r"source to be a tensor, got list; "),
        (lambda m: m(IDS, None, OUT.tolist()), ArgumentTypeError, r"target to be a tensor, got list; "),
        (lambda m: m.beam(IDS, limit=0), ArgumentError, r"limit > 0, got 0; "),
        (lambda m: m.beam(IDS, limit=3, width=8), ArgumentError, r"width of at most 7, the vocabulary, got 8; "),
        (lambda m: m.beam(IDS, limit=3, width=0), ArgumentError, r"width > 0, got 0; "),
    ],
)
def test_refused_in_use(use, error, match):
    with pytest.raises(error, match=f"expected .*{match}"):
        use(build("additive"))


def test_a_head_that_gives_ids_which_cannot_be_embedded():
    model = EncoderDecoder(*{**SIZES, "head": nn.Linear(H, V + 1)}.values())
    for use in (model.greedy, model.beam):
        with pytest.raises(ArgumentError, match=r"target embedding of all 8 ids that the head gives, got one of 7; "):
            use(IDS, limit=2)
    with pytest.raises(ArgumentError, match=r"of all 8 ids that the head gives, got one of 7; "):
        model(IDS, None, IDS, teacher_forcing=0.0)
    assert model(IDS, None, IDS).shape[-1] == V + 1  # with every target read, what the head gives is not


@pytest.mark.parametrize("dropout", ["recurrent_dropout", "weight_dropout", "zoneout"])
def test_masks_of_training_are_those_of_one_sequence(dropout):
    """Step by step, every choice the target's, is the fused pass."""
    decoder = GRU(E, H, **{dropout: 0.5})
    model = EncoderDecoder(*{**SIZES, "decoder": decoder, "head": nn.Linear(H, V)}.values()).double()
    source, target = sources(), targets()
    torch.manual_seed(3)
    fused = model(source, None, target)
    torch.manual_seed(3)
    stepped = model(source, None, target, teacher_forcing=1 - 1e-12, seed=0)
    assert_close(stepped, fused, k=50)
    assert (fused - model.eval()(source, None, target)).abs().max() > 1e-3


def test_decoding_under_autocast():
    model = build("additive", dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        assert model.beam(sources(), limit=4, width=2).ids.shape[1:] == (B, 1)
