"""Whole layers against the oracle, and what a layer does beyond numbers: streaming, copies, dropout, padding.

Legend: T time, B batch, I input, H hidden.
"""

import copy
import io
import itertools
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import DETERMINISTIC, assert_close, assert_zero
from tests.nn.layers import LAYERS, answer, as_hx, build, oracle_answer, random_state, state_tensors

every_layer = pytest.mark.parametrize("kind", LAYERS)
one_and_two_ways = pytest.mark.parametrize("bidirectional", [False, True], ids=["one-way", "both-ways"])

LENGTHS = torch.tensor([3, 0, 6, 1])


def sequences(T=6, B=4, features=3, seed=2, dtype=torch.float64):
    return torch.randn(T, B, features, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def borders(T=6, B=4):
    """Inside a row, at t = 0, at a row's last step and in its padding."""
    reset = torch.zeros(T, B, dtype=torch.bool)
    reset[0, 3] = reset[2, 0] = reset[4, 0] = reset[0, 1] = reset[2, 2] = reset[5, 2] = True
    return reset


@pytest.mark.parametrize("with_reset", [False, True], ids=["", "reset"])
@pytest.mark.parametrize("with_lengths", [False, True], ids=["", "lengths"])
@pytest.mark.parametrize("num_layers", [1, 3])
@one_and_two_ways
@every_layer
def test_equals_oracle(kind, bidirectional, num_layers, with_lengths, with_reset):
    layer = build(kind, 3, 5, num_layers, bidirectional=bidirectional)
    x, hx = sequences(), random_state(layer, B=4)
    options = {"lengths": LENGTHS if with_lengths else None, "reset": borders() if with_reset else None}
    assert_close(answer(layer, x, hx, **options), oracle_answer(kind, layer, x, hx, **options))


@every_layer
def test_equals_oracle_in_float32(kind):
    layer = build(kind, 3, 17, 2, bidirectional=True, dtype=torch.float32)
    x, hx = sequences(dtype=torch.float32), random_state(layer, B=4, dtype=torch.float32)
    options = {"lengths": LENGTHS, "reset": borders()}
    assert_close(
        answer(layer, x, hx, **options), oracle_answer(kind, layer, x, hx, **options), dtype=torch.float32
    )  # fmt: skip


@one_and_two_ways
@every_layer
def test_batch_first_is_the_same_transposed(kind, bidirectional):
    layer = build(kind, 3, 5, 2, bidirectional=bidirectional)
    turned = build(kind, 3, 5, 2, bidirectional=bidirectional, batch_first=True)
    x, hx = sequences(), as_hx(random_state(layer, B=4))
    output, state = layer(x, hx, lengths=LENGTHS, reset=borders())
    got, got_state = turned(x.transpose(0, 1).contiguous(), hx, lengths=LENGTHS, reset=borders().T)
    assert torch.equal(got, output.transpose(0, 1))
    for a, b in zip(state_tensors(got_state), state_tensors(state), strict=True):
        assert torch.equal(a, b)


@one_and_two_ways
@every_layer
def test_unbatched_is_a_batch_of_one(kind, bidirectional):
    layer = build(kind, 3, 5, 2, bidirectional=bidirectional)
    x, hx = sequences(B=1), random_state(layer, B=1)
    reset = torch.tensor([False, False, True, False, False, True])
    output, state = layer(x, as_hx(hx), reset=reset[:, None])
    got, got_state = layer(x[:, 0], as_hx(tuple(s[:, 0] for s in hx)), reset=reset)
    assert torch.equal(got, output[:, 0])
    for a, b in zip(state_tensors(got_state), state_tensors(state), strict=True):
        assert torch.equal(a, b[:, 0])


@one_and_two_ways
@every_layer
def test_lengths_are_the_rows_alone(kind, bidirectional):
    """Each row of a ragged batch is what the row cut to its length gives by itself."""
    layer = build(kind, 3, 5, 2, bidirectional=bidirectional)
    x, hx = sequences(), random_state(layer, B=4)
    output, state = layer(x, as_hx(hx), lengths=LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        own = tuple(s[:, [row]].contiguous() for s in hx)
        alone, end = layer(x[:length, [row]], as_hx(own))
        assert_close(output[:length, [row]], alone, k=20)
        assert_zero(output[length:, row])
        assert_close(tuple(s[:, [row]] for s in state_tensors(state)), state_tensors(end), k=20)


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_lengths_may_be_a_list_or_any_integer_dtype(kind):
    layer = build(kind, 3, 5)
    x = sequences()
    expected, _ = layer(x, lengths=LENGTHS)
    for lengths in (LENGTHS.tolist(), LENGTHS.to(torch.int32), LENGTHS.numpy()):
        assert torch.equal(layer(x, lengths=lengths)[0], expected)


@one_and_two_ways
@every_layer
def test_padding_reaches_nothing(kind, bidirectional):
    """NaN and resets in the padding: the same output, state and gradients, and a gradient of zero there."""
    layer = build(kind, 3, 5, 2, bidirectional=bidirectional)
    x, hx, reset = sequences(), random_state(layer, B=4), borders()
    expected = answer(layer, x, hx, lengths=LENGTHS, reset=reset)
    dirty, dirty_reset = x.clone(), reset.clone()
    for row, length in enumerate(LENGTHS.tolist()):
        dirty[length:, row] = float("nan")
        dirty_reset[length:, row] = True
    got = answer(layer, dirty, hx, lengths=LENGTHS, reset=dirty_reset)
    assert_close(got, expected, k=0)
    for row, length in enumerate(LENGTHS.tolist()):
        assert_zero(got["dx"][length:, row])


@every_layer
def test_empty_sequences_and_empty_batches(kind):
    layer = build(kind, 3, 5, 2, bidirectional=True)
    hx = random_state(layer, B=2)
    got = answer(layer, torch.zeros(0, 2, 3, dtype=torch.float64), hx)
    assert got["output"].shape == (0, 2, 10)
    assert_close(got["state"], hx, k=0)
    assert all(not gradient.any() for gradient in got["parameters"].values())
    none = answer(layer, torch.zeros(4, 0, 3, dtype=torch.float64), random_state(layer, B=0))
    assert none["output"].shape == (4, 0, 10)
    assert all(s.shape == (4, 0, 5) for s in none["state"])
    assert all(not gradient.any() for gradient in none["parameters"].values())


@pytest.mark.parametrize("batch_first", [False, True], ids=["time-first", "batch-first"])
@every_layer
def test_chained_steps_are_the_whole(kind, batch_first):
    layer = build(kind, 3, 5, 2, batch_first=batch_first)
    x, hx = sequences(), as_hx(random_state(layer, B=4))
    reset = borders()
    shaped = (lambda t: t.transpose(0, 1)) if batch_first else (lambda t: t)
    whole, final = layer(shaped(x), hx, reset=shaped(reset))
    state, outputs = hx, []
    for x_BI, reset_B in zip(x, reset, strict=True):
        output, state = layer.step(x_BI, state, reset=reset_B)
        assert output.shape == (4, 5)
        outputs.append(output)
    assert_close(shaped(torch.stack(outputs)), whole, k=0)
    assert_close(state_tensors(state), state_tensors(final), k=0)

    first, _ = layer.step(x[0])
    assert_close(first, layer(shaped(x[:1]))[0].reshape(4, 5), k=0)


@every_layer
def test_chunks_are_the_whole(kind):
    layer = build(kind, 3, 5, 2)
    x = sequences()
    whole, final = layer(x)
    state, parts = None, []
    for chunk in x.split([2, 1, 3]):
        part, state = layer(chunk, state)
        parts.append(part)
    assert_close(torch.cat(parts), whole, k=0)
    assert_close(state_tensors(state), state_tensors(final), k=0)


@every_layer
def test_deep_copy_and_pickle_give_the_same_layer(kind):
    layer = build(kind, 3, 5, 2, bidirectional=True, batch_first=True, dropout=0.5).eval()
    x = sequences().transpose(0, 1)
    expected, _ = layer(x)
    copied = copy.deepcopy(layer)
    for other in (copied, pickle.loads(pickle.dumps(layer))):
        assert torch.equal(other(x)[0], expected)
        assert repr(other) == repr(layer)
    with torch.no_grad():
        copied.weight_hh_l1.zero_()
    assert torch.equal(layer(x)[0], expected), "the copy shares no parameter"
    assert not torch.equal(copied(x)[0], expected)


@every_layer
def test_state_dict_survives_a_file(kind):
    layer, other = build(kind, 3, 5, 2, seed=3), build(kind, 3, 5, 2, seed=4)
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other(sequences())[0], layer(sequences())[0])


@every_layer
def test_changes_of_the_parameters_are_seen(kind):
    """In place, by .data and by a functional call: nothing is cached across calls."""
    layer, x = build(kind, 3, 5), sequences()
    seen = [layer(x)[0]]
    with torch.no_grad():
        layer.weight_hh_l0.mul_(0.5)
    seen.append(layer(x)[0])
    layer.weight_ih_l0.data[0] = 0.0
    seen.append(layer(x)[0])
    changed = {name: p * 0.5 for name, p in layer.named_parameters()}
    seen.append(torch.func.functional_call(layer, changed, (x,))[0])
    for earlier, later in itertools.pairwise(seen):
        assert not torch.equal(earlier, later)


@every_layer
def test_dropout_is_between_layers_and_in_training_only(kind):
    layer = build(kind, 3, 33, 2, dropout=0.5)
    plain = build(kind, 3, 33, 2)
    x = sequences()
    assert torch.equal(layer.eval()(x)[0], plain(x)[0])
    layer.train()
    torch.manual_seed(0)
    first, state = layer(x)
    torch.manual_seed(0)
    assert torch.equal(layer(x)[0], first), "the same seed drops the same elements"
    assert not torch.equal(layer(x)[0], first)
    # The lowest layer reads the input as it is, and nothing is dropped after the top one.
    lowest = state_tensors(state)[0][0]
    assert torch.equal(lowest, state_tensors(plain(x)[1])[0][0])
    if kind != "RNN-relu":
        assert bool((first != 0).all())
    certain = build(kind, 3, 33, 2, dropout=1.0)
    assert torch.equal(certain(x)[0], certain(x * 2)[0]), "with dropout 1 nothing passes between the layers"


@pytest.mark.parametrize("kind", ["RNN", "LSTM"])
def test_dropout_is_torchs(kind):
    """The same mask from the same seed."""
    torch.manual_seed(1)
    theirs = getattr(torch.nn, kind)(3, 5, 3, dropout=0.4, dtype=torch.float64)
    layer = build(kind, 3, 5, 3, dropout=0.4)
    layer.load_state_dict(theirs.state_dict())
    x = sequences()
    torch.manual_seed(2)
    expected, _ = theirs(x)
    torch.manual_seed(2)
    assert_close(layer(x)[0], expected)


@pytest.mark.parametrize(
    ("kind", "bidirectional"), [*((kind, False) for kind in LAYERS), ("GRUResetBefore", True), ("PeepholeLSTM", True)]
)
def test_first_and_second_derivatives(kind, bidirectional):
    layer = build(kind, 2, 3, bidirectional=bidirectional)
    names = [name for name, _ in layer.named_parameters()]
    hx = random_state(layer, B=2)
    flat = (sequences(2, 2, 2), *hx, *(p.detach() for p in layer.parameters()))
    n = 1 + len(hx)

    def call(*flat):
        parameters = dict(zip(names, flat[n:], strict=True))
        options = {"lengths": torch.tensor([2, 1]), "reset": torch.tensor([[False, False], [True, False]])}
        output, state = torch.func.functional_call(layer, parameters, (flat[0], as_hx(flat[1:n])), options)
        return output, *state_tensors(state)

    flat = tuple(t.clone().requires_grad_() for t in flat)
    assert torch.autograd.gradcheck(call, flat)
    assert torch.autograd.gradgradcheck(call, flat, fast_mode=True)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@one_and_two_ways
@every_layer
def test_forward_mode_and_vmap_are_right(kind, bidirectional):
    """A tangent is never silently zero: jvp equals the product with the gradient, vmap equals a loop."""
    layer = build(kind, 3, 5, 2, bidirectional=bidirectional)
    x = sequences()
    tangent = sequences(seed=9)
    names = [name for name, _ in layer.named_parameters()]
    values = tuple(p.detach() for p in layer.parameters())
    moves = tuple(torch.sin(p.detach() * 100) for p in layer.parameters())

    def loss(x, *values):
        parameters = dict(zip(names, values, strict=True))
        output, state = torch.func.functional_call(layer, parameters, (x,))
        return (output**2).sum() + sum((s**3).sum() for s in state_tensors(state))

    _, got = torch.func.jvp(loss, (x, *values), (tangent, *moves))
    inputs = [t.clone().requires_grad_() for t in (x, *values)]
    gradients = torch.autograd.grad(loss(*inputs), inputs)
    expected = sum((g * t).sum() for g, t in zip(gradients, (tangent, *moves), strict=True))
    assert abs(expected) > 1e-2
    assert_close(got, expected.detach())

    many = torch.stack([x, x * 2, x - 1])
    mapped = torch.func.vmap(lambda x: layer(x)[0])(many)
    assert_close(mapped, torch.stack([layer(x)[0] for x in many]), k=50)


@every_layer
def test_no_grad_leaves_no_graph(kind):
    layer = build(kind, 3, 5)
    with torch.no_grad():
        output, state = layer(sequences())
    assert not output.requires_grad
    assert not any(s.requires_grad for s in state_tensors(state))
    frozen = build(kind, 3, 5).requires_grad_(False)
    assert not frozen(sequences())[0].requires_grad
    x = sequences().requires_grad_()
    frozen(x)[0].sum().backward()
    assert x.grad.abs().max() > 0


@every_layer
def test_inputs_are_left_as_they_were(kind):
    layer = build(kind, 3, 5, 2, bidirectional=True)
    given = [sequences(), *random_state(layer, B=4), LENGTHS.clone(), borders()]
    before = [t.clone() for t in given]
    answer(layer, given[0], tuple(given[1:-2]), lengths=given[-2], reset=given[-1])
    assert all(torch.equal(a, b) for a, b in zip(given, before, strict=True))


@DETERMINISTIC
@given(st.sampled_from(sorted(LAYERS)), st.booleans(), st.data())
def test_any_order_of_rows_is_the_same_rows(kind, bidirectional, data):
    """Lengths need no order: permuting the batch permutes the result."""
    layer = build(kind, 3, 5, bidirectional=bidirectional)
    B = data.draw(st.integers(1, 5))
    lengths = torch.tensor(data.draw(st.lists(st.integers(0, 4), min_size=B, max_size=B)))
    order = torch.tensor(data.draw(st.permutations(range(B))))
    x = sequences(T=4, B=B)
    hx = random_state(layer, B=B)
    output, state = layer(x, as_hx(hx), lengths=lengths)
    got, got_state = layer(x[:, order], as_hx(tuple(s[:, order] for s in hx)), lengths=lengths[order])
    assert_close(got, output[:, order], k=20)
    assert_close(state_tensors(got_state), tuple(s[:, order] for s in state_tensors(state)), k=20)
