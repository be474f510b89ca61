"""The layers are torch.nn's: constructor, parameter names, initial numbers, state dicts both ways, every number."""

import inspect
import itertools
import math
import typing

import pytest
import torch

from tests.helpers import assert_close
from tests.nn.layers import LAYERS, NO_TORCH, TORCH, answer, random_state
from throughtime import nn

OPTIONS = [
    {"num_layers": layers, "bidirectional": both, "batch_first": first, "bias": bias}
    for layers, both, first, bias in itertools.product((1, 2), (False, True), (False, True), (True, False))
]


def option_id(options) -> str:
    flags = [name for name, value in options.items() if value is True]
    return "-".join([f"L{options['num_layers']}", *flags])


every_option = pytest.mark.parametrize("options", OPTIONS, ids=option_id)

OURS = ["backend", "reset_state", "recurrent_dropout", "weight_dropout", "zoneout"]


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_constructor_is_torchs(kind):
    ours, theirs, _ = TORCH[kind]
    signature = typing.get_overloads(theirs.__init__)[0]  # torch documents it as an overload
    expected = [(p.name, p.default) for p in inspect.signature(signature).parameters.values()]
    parameters = inspect.signature(ours.__init__).parameters.values()
    positional = [(p.name, p.default) for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert positional == expected
    assert [p.name for p in parameters if p.kind is p.KEYWORD_ONLY] == OURS


@pytest.mark.parametrize("kind", NO_TORCH)
def test_the_other_layers_have_the_constructor_of_their_kin(kind):
    kin = nn.GRU if kind.startswith("GRU") else nn.LSTM
    assert inspect.signature(LAYERS[kind][0]) == inspect.signature(kin)


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_forward_takes_torchs_arguments(kind):
    ours, theirs, _ = TORCH[kind]
    parameters = inspect.signature(ours.forward).parameters
    assert list(parameters)[:3] == list(inspect.signature(theirs.forward).parameters)
    assert all(parameters[name].kind is inspect.Parameter.KEYWORD_ONLY for name in ("lengths", "reset"))


@every_option
@pytest.mark.parametrize("kind", TORCH)
def test_parameters_are_torchs_and_start_with_its_numbers(kind, options):
    """Names, order, shapes; the same torch.manual_seed gives the same initial bits."""
    ours, theirs, fixed = TORCH[kind]
    torch.manual_seed(11)
    a = dict(ours(3, 5, **fixed, **options).named_parameters())
    torch.manual_seed(11)
    b = dict(theirs(3, 5, **fixed, **options).named_parameters())
    assert list(a) == list(b)
    for name in b:
        assert a[name].dtype == b[name].dtype == torch.float32
        assert torch.equal(a[name], b[name]), name


@every_option
@pytest.mark.parametrize("kind", TORCH)
def test_state_dict_goes_both_ways_and_gives_torchs_numbers(kind, options):
    ours, theirs, fixed = TORCH[kind]
    torch.manual_seed(12)
    from_torch = theirs(3, 5, **fixed, **options, dtype=torch.float64)
    layer = ours(3, 5, **fixed, **options, dtype=torch.float64)
    layer.load_state_dict(from_torch.state_dict())
    x = torch.randn(*((2, 6) if options["batch_first"] else (6, 2)), 3, dtype=torch.float64)
    hx = random_state(layer, B=2)
    expected = answer(from_torch, x, hx)
    assert_close(answer(layer, x, hx), expected, dtype=torch.float64)

    back = theirs(3, 5, **fixed, **options, dtype=torch.float64)
    back.load_state_dict(layer.state_dict())
    assert_close(answer(back, x, hx), expected, k=0)

    output, state = layer(x)  # hx left out
    expected_output, expected_state = from_torch(x)
    assert_close(output, expected_output)
    assert_close(tuple(state), tuple(expected_state))


@pytest.mark.parametrize("kind", TORCH)
def test_float32_gives_torchs_numbers(kind):
    ours, theirs, fixed = TORCH[kind]
    torch.manual_seed(13)
    from_torch = theirs(16, 33, 2, **fixed, bidirectional=True)
    layer = ours(16, 33, 2, **fixed, bidirectional=True)
    layer.load_state_dict(from_torch.state_dict())
    x, hx = torch.randn(20, 3, 16), random_state(layer, B=3, dtype=torch.float32)
    assert_close(answer(layer, x, hx), answer(from_torch, x, hx), dtype=torch.float32)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", TORCH)
def test_unbatched_is_torchs(kind, batch_first):
    ours, theirs, fixed = TORCH[kind]
    torch.manual_seed(14)
    from_torch = theirs(3, 5, 2, **fixed, bidirectional=True, batch_first=batch_first, dtype=torch.float64)
    layer = ours(3, 5, 2, **fixed, bidirectional=True, batch_first=batch_first, dtype=torch.float64)
    layer.load_state_dict(from_torch.state_dict())
    x, hx = torch.randn(6, 3, dtype=torch.float64), tuple(s[:, 0] for s in random_state(layer, B=1))
    assert_close(answer(layer, x, hx), answer(from_torch, x, hx), dtype=torch.float64)


@pytest.mark.parametrize("kind", TORCH)
def test_packed_sequences_of_torch_are_lengths_of_ours(kind):
    """Stacked and both ways, in no order of length."""
    ours, theirs, fixed = TORCH[kind]
    torch.manual_seed(15)
    from_torch = theirs(3, 5, 2, **fixed, bidirectional=True, dtype=torch.float64)
    layer = ours(3, 5, 2, **fixed, bidirectional=True, dtype=torch.float64)
    layer.load_state_dict(from_torch.state_dict())
    lengths = torch.tensor([2, 6, 1, 5])

    class Packed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = from_torch

        def forward(self, x, hx):
            packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
            output, state = self.inner(packed, hx)
            return torch.nn.utils.rnn.pad_packed_sequence(output)[0], state

    x, hx = torch.randn(6, 4, 3, dtype=torch.float64), random_state(layer, B=4)
    expected = answer(Packed(), x, hx)
    expected["parameters"] = {key.removeprefix("inner."): value for key, value in expected["parameters"].items()}
    assert_close(answer(layer, x, hx, lengths=lengths), expected, dtype=torch.float64)


def test_all_weights_and_flatten_parameters_are_torchs():
    ours, theirs = nn.LSTM(3, 5, 2, bidirectional=True), torch.nn.LSTM(3, 5, 2, bidirectional=True)
    assert [[w.shape for w in group] for group in ours.all_weights] == [
        [w.shape for w in group] for group in theirs.all_weights
    ]
    assert ours.all_weights[1][0] is ours.weight_ih_l0_reverse
    assert ours.flatten_parameters() is None


def test_the_state_unpacks_like_torchs_and_has_names():
    output, state = nn.LSTM(3, 5)(torch.zeros(4, 2, 3))
    assert isinstance(state, nn.LSTMState)
    h, c = state
    assert state.h is h
    assert state.c is c
    assert torch.equal(output[-1], h[0])
    again, _ = nn.LSTM(3, 5)(torch.zeros(4, 2, 3), state)
    assert again.shape == output.shape
    assert isinstance(nn.GRU(3, 5)(torch.zeros(4, 2, 3))[1], torch.Tensor)


@pytest.mark.parametrize("kind", LAYERS)
def test_initial_parameters_are_uniform(kind):
    """U(±1/√H): all inside, spread to both ends, mean 0 and variance 1/(3H), peepholes too."""
    layer_class, fixed, _ = LAYERS[kind]
    torch.manual_seed(16)
    H = 100
    layer = layer_class(40, H, num_layers=2, bidirectional=True, **fixed)
    bound = 1 / math.sqrt(H)
    for name, p in layer.named_parameters():
        p = p.detach()
        assert p.abs().max() <= bound, name
        assert p.max() > 0.9 * bound, name
        assert p.min() < -0.9 * bound, name
        # Four standard errors of the mean and of the variance of p.numel() uniform draws.
        assert abs(p.mean()) < 4 * bound / math.sqrt(3 * p.numel()), name
        assert abs(p.var() * 3 / bound**2 - 1) < 4 * math.sqrt(0.8 / p.numel()), name
    before = [p.clone() for p in layer.parameters()]
    torch.manual_seed(17)
    layer.reset_parameters()
    assert not any(torch.equal(a, b) for a, b in zip(before, layer.parameters(), strict=True))


@pytest.mark.parametrize("kind", ["PeepholeLSTM", "PreviousPeepholeLSTM"])
@pytest.mark.parametrize("bias", [True, False])
def test_peephole_parameters(kind, bias):
    layer = LAYERS[kind][0](3, 5, num_layers=2, bidirectional=True, bias=bias)
    names = [name for name, _ in layer.named_parameters()]
    own = [name for name in names if name.startswith("weight_ch")]
    assert own == ["weight_ch_l0", "weight_ch_l0_reverse", "weight_ch_l1", "weight_ch_l1_reverse"]
    assert all(getattr(layer, name).shape == (15,) for name in own)
    torch_names = [name for name, _ in torch.nn.LSTM(3, 5, 2, bidirectional=True, bias=bias).named_parameters()]
    assert [name for name in names if name not in own] == torch_names


@pytest.mark.parametrize("kind", ["PeepholeLSTM", "PreviousPeepholeLSTM"])
def test_peepholes_of_zero_are_torchs_lstm(kind):
    torch.manual_seed(18)
    theirs = torch.nn.LSTM(3, 5, 2, bidirectional=True, dtype=torch.float64)
    layer = LAYERS[kind][0](3, 5, 2, bidirectional=True, dtype=torch.float64)
    missing = layer.load_state_dict(theirs.state_dict(), strict=False)
    assert not missing.unexpected_keys
    with torch.no_grad():
        for name in missing.missing_keys:
            getattr(layer, name).zero_()
    x, hx = torch.randn(6, 2, 3, dtype=torch.float64), random_state(layer, B=2)
    got, expected = answer(layer, x, hx), answer(theirs, x, hx)
    peepholes = {name: got["parameters"].pop(name) for name in missing.missing_keys}
    assert_close(got, expected)
    assert all(value.abs().max() > 1e-3 for value in peepholes.values()), "the peepholes' gradient is alive at zero"


def test_gru_reset_before_has_the_gru_parameters_and_other_numbers():
    torch.manual_seed(19)
    gru = nn.GRU(3, 5, 2, dtype=torch.float64)
    other = nn.GRUResetBefore(3, 5, 2, dtype=torch.float64)
    other.load_state_dict(gru.state_dict())
    x = torch.randn(6, 2, 3, dtype=torch.float64)
    assert (gru(x)[0] - other(x)[0]).abs().max() > 1e-3


@pytest.mark.parametrize("kind", LAYERS)
def test_device_and_dtype_are_taken(kind):
    layer_class, fixed, _ = LAYERS[kind]
    layer = layer_class(3, 5, **fixed, device="meta", dtype=torch.bfloat16)
    assert {p.device.type for p in layer.parameters()} == {"meta"}
    assert {p.dtype for p in layer.parameters()} == {torch.bfloat16}


@every_option
@pytest.mark.parametrize("kind", TORCH)
def test_repr_and_attributes_are_torchs(kind, options):
    ours, theirs, fixed = TORCH[kind]
    layer, other = ours(3, 5, **fixed, **options), theirs(3, 5, **fixed, **options)
    assert repr(layer) == repr(other)
    names = ("input_size", "hidden_size", "proj_size", *options, "dropout", "training")
    assert [getattr(layer, name) for name in names] == [getattr(other, name) for name in names]
    assert layer.output_size == other(torch.zeros(1, 1, 3))[0].shape[-1]


@pytest.mark.parametrize("kind", TORCH)
def test_dropout_of_one_layer_warns_as_torchs(kind):
    """Once, of the same category, at the caller's line."""
    ours, theirs, fixed = TORCH[kind]
    for layer_class in (ours, theirs):
        with pytest.warns(UserWarning, match=r"dropout=0\.5.*num_layers( is |=)1") as caught:
            layer_class(3, 5, **fixed, dropout=0.5)
        assert len(caught) == 1
    with pytest.warns(UserWarning, match="does nothing") as caught:
        ours(3, 5, **fixed, dropout=0.5)
    assert caught[0].filename == __file__
    assert repr(ours(3, 5, num_layers=2, **fixed, dropout=0.5)) == repr(
        theirs(3, 5, num_layers=2, **fixed, dropout=0.5)
    )


WRONG_LAYERS = {
    "input_size 0": {"input_size": 0},
    "hidden_size 0": {"hidden_size": 0},
    "num_layers 0": {"num_layers": 0},
    "hidden_size float": {"hidden_size": 2.5},
    "dropout 1.5": {"dropout": 1.5},
    "dropout bool": {"dropout": True},
    "bias float": {"bias": 0.5},
    "batch_first int": {"batch_first": 1},
    "unknown": {"hidden": 3},
}


@pytest.mark.parametrize("wrong", WRONG_LAYERS.values(), ids=WRONG_LAYERS)
@pytest.mark.parametrize("kind", TORCH)
def test_wrong_constructions_are_errors_of_the_same_builtin_type(kind, wrong):
    ours, theirs, fixed = TORCH[kind]
    arguments = {"input_size": 3, "hidden_size": 5, **fixed, **wrong}
    with pytest.raises((TypeError, ValueError)) as found:
        theirs(**arguments)
    with pytest.raises(found.type):
        ours(**arguments)


X = torch.zeros(4, 2, 3)
WRONG_CALLS = {
    "features": (torch.zeros(4, 2, 7), None),
    "axes": (torch.zeros(4, 2, 3, 1), None),
    "dtype": (X.double(), None),
    "rows of hx": (X, torch.zeros(1, 3, 5)),
    "layers of hx": (X, torch.zeros(2, 2, 5)),
    "size of hx": (X, torch.zeros(1, 2, 4)),
    "axes of hx": (X, torch.zeros(1, 5)),
    "batched hx, one sequence": (X[:, 0], torch.zeros(1, 1, 5)),
    "dtype of hx": (X, torch.zeros(1, 2, 5).double()),
    "rows of hx, packed": (torch.nn.utils.rnn.pack_padded_sequence(X, [4, 2]), torch.zeros(1, 3, 5)),
    "features, packed": (torch.nn.utils.rnn.pack_padded_sequence(torch.zeros(4, 2, 7), [4, 2]), None),
}


@pytest.mark.parametrize("wrong", WRONG_CALLS.values(), ids=WRONG_CALLS)
@pytest.mark.parametrize("kind", TORCH)
def test_wrong_calls_are_errors_in_both(kind, wrong):
    """torch's are RuntimeErrors mostly; ours say ValueError for a value and a shape, TypeError for a type or dtype."""
    ours, theirs, fixed = TORCH[kind]
    input, hx = wrong
    hx = (hx, hx) if kind == "LSTM" and hx is not None else hx
    with pytest.raises((RuntimeError, ValueError)):
        theirs(3, 5, **fixed)(input, hx)
    with pytest.raises((ValueError, TypeError)):
        ours(3, 5, **fixed)(input, hx)


@pytest.mark.parametrize("kind", TORCH)
def test_the_state_may_be_a_list_and_the_batch_empty(kind):
    ours, theirs, fixed = TORCH[kind]
    layer, other = ours(3, 5, **fixed), theirs(3, 5, **fixed)
    layer.load_state_dict(other.state_dict())
    if kind == "LSTM":
        hx = [torch.ones(1, 2, 5), torch.ones(1, 2, 5)]
        assert_close(layer(X, hx)[0], other(X, hx)[0])
    output, state = layer(X[:, :0])
    wanted, wanted_state = other(X[:, :0])
    assert output.shape == wanted.shape
    assert [s.shape for s in tuple(state)] == [s.shape for s in tuple(wanted_state)]


@pytest.mark.parametrize("kind", TORCH)
def test_no_time_steps_is_where_we_differ(kind):
    """torch refuses T = 0; ours gives an empty output and the given state."""
    ours, theirs, fixed = TORCH[kind]
    with pytest.raises(RuntimeError, match="larger than 0"):
        theirs(3, 5, **fixed)(X[:0])
    h = torch.ones(1, 2, 5)
    output, state = ours(3, 5, **fixed)(X[:0], (h, h * 2) if kind == "LSTM" else h)
    assert output.shape == (0, 2, 5)
    assert torch.equal(state[0] if kind == "LSTM" else state, h)


def test_torch_refuses_what_we_allow():
    """The gap that lengths fill: torch's packing refuses a length of zero."""
    with pytest.raises(RuntimeError, match="Length of all samples"):
        torch.nn.utils.rnn.pack_padded_sequence(torch.zeros(3, 2, 1), torch.tensor([3, 0]))
