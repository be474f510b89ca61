"""The layers inside the rest of torch: parametrizations, mixed precision, other dtypes and devices, saving, DDP.

Legend: T time, B batch, I input, H hidden.
"""

import io
import logging
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from torch.nn.utils import parametrizations, parametrize

from tests.helpers import assert_close
from tests.nn.layers import LAYERS, NO_TORCH, TORCH, as_hx, build, random_state, state_tensors
from throughtime import nn
from throughtime.errors import ArgumentError, ArgumentTypeError, BackendError
from throughtime.nn import autocast

every_layer = pytest.mark.parametrize("kind", LAYERS)
ROOT = Path(__file__).parents[2]


def sequences(T=6, B=4, seed=2, dtype=torch.float64):
    return torch.randn(T, B, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


class Drop(torch.nn.Module):
    """A caller's weight dropout, counting how often it is asked."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, weight):
        self.calls += 1
        return torch.nn.functional.dropout(weight, 0.5, self.training)


@every_layer
def test_weight_dropout_by_parametrization(kind):
    """One mask a call, the weights themselves left alone, the gradient through the mask; streaming sees changes."""
    layer = build(kind, 3, 5, 2)
    before = layer.weight_hh_l0.detach().clone()
    plain = layer(sequences())[0]
    parametrize.register_parametrization(layer, "weight_hh_l0", Drop())
    drop = layer.parametrizations.weight_hh_l0[0]
    drop.calls = 0
    torch.manual_seed(0)
    output, _ = layer(sequences())
    assert drop.calls == 1
    assert not torch.equal(output, plain)
    output.sum().backward()
    original = layer.parametrizations.weight_hh_l0.original
    assert torch.equal(original, before)
    torch.manual_seed(0)
    dropped = torch.nn.functional.dropout(torch.ones_like(before), 0.5) == 0
    assert dropped.any()
    assert not original.grad[dropped].any()
    assert original.grad[~dropped].any()

    layer.eval()
    assert torch.equal(layer(sequences())[0], plain)
    stepper = layer.stepper()
    assert_close(stepper(sequences()[0])[0], plain[0].detach(), k=0)
    with torch.no_grad():
        original.mul_(0.5)
    with pytest.raises(ArgumentError, match=r"original has changed.*; call refresh"):
        stepper(sequences()[0])


@every_layer
def test_weight_norm(kind):
    layer = build(kind, 3, 5)
    plain = layer(sequences())[0].detach()
    parametrizations.weight_norm(layer, "weight_hh_l0")
    output, _ = layer(sequences())
    assert_close(output.detach(), plain)
    output.sum().backward()
    names = {name for name, p in layer.named_parameters() if p.grad is not None}
    assert names >= {f"parametrizations.weight_hh_l0.original{k}" for k in (0, 1)}
    parametrize.remove_parametrizations(layer, "weight_hh_l0")
    assert_close(layer(sequences())[0].detach(), plain)


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning")
@pytest.mark.parametrize("kind", ["GRU", "PeepholeLSTM"])
def test_weight_norm_of_old(kind):
    """The weight is no parameter then, but an attribute that a hook sets before every call."""
    layer = build(kind, 3, 5)
    plain = layer(sequences())[0].detach()
    torch.nn.utils.weight_norm(layer, "weight_hh_l0")
    assert_close(layer(sequences())[0].detach(), plain)
    with torch.no_grad():
        layer.weight_hh_l0_g.mul_(2)
    assert (layer(sequences())[0] - plain).abs().max() > 1e-3
    with pytest.raises(BackendError, match=r"stepper: expected weight_hh_l0 to be a parameter.*; use torch\.nn\.utils"):
        layer.stepper()


AUTOCAST = {torch.bfloat16: 0.03, torch.float16: 0.004}


@pytest.mark.parametrize("dtype", AUTOCAST, ids=str)
@every_layer
def test_autocast_computes_in_its_dtype(kind, dtype):
    """Output and state are of autocast's dtype in every layer; gradients of the parameters are of theirs."""
    layer = build(kind, 3, 5, 2, bidirectional=True, dtype=torch.float32)
    x, hx = sequences(dtype=torch.float32), random_state(layer, B=4, dtype=torch.float32)
    wanted, _ = layer(x, as_hx(hx), lengths=[6, 0, 1, 4])
    wanted.sum().backward()
    gradient, layer.weight_hh_l0.grad = layer.weight_hh_l0.grad, None
    with torch.autocast("cpu", dtype):
        output, state = layer(x, as_hx(hx), lengths=[6, 0, 1, 4])
        again, _ = layer(x.to(dtype), as_hx(state_tensors(state)))
    assert {t.dtype for t in (output, again, *state_tensors(state))} == {dtype}
    output.sum().backward()
    assert layer.weight_hh_l0.grad.dtype == torch.float32
    scale = max(1.0, wanted.abs().max().item())
    assert (output - wanted).abs().max() < AUTOCAST[dtype] * scale
    assert (output - wanted).abs().max() > 0
    if kind == "RNN-relu":
        return  # a unit within bfloat16's rounding of the corner has a slope of 0 in one and of 1 in the other
    gradient_error = (layer.weight_hh_l0.grad - gradient).abs().max() / gradient.abs().max()
    assert gradient_error < 3 * AUTOCAST[dtype]


def test_autocast_leaves_float64_and_says_its_dtype_once(caplog):
    layer = build("GRU", 3, 5)
    autocast._say.cache_clear()
    with caplog.at_level(logging.INFO, "throughtime"), torch.autocast("cpu", torch.bfloat16):
        assert layer(sequences())[0].dtype == torch.float64
        layer(sequences())
    said = [r.message for r in caplog.records if "autocast" in r.message]
    assert said == ["recurrent layers under autocast on cpu compute in torch.bfloat16"]


def test_torchs_gru_stays_in_float32_under_autocast():
    """The difference that the documentation names."""
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.nn.GRU(3, 5)(sequences(dtype=torch.float32))[0].dtype == torch.float32
        assert torch.nn.LSTM(3, 5)(sequences(dtype=torch.float32))[0].dtype == torch.bfloat16


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("kind", TORCH)
def test_moving_the_dtype_is_torchs(kind, dtype):
    ours, theirs, fixed = TORCH[kind]
    other = theirs(3, 5, 2, **fixed)
    layer = ours(3, 5, 2, **fixed)
    layer.load_state_dict(other.state_dict())
    layer, other, x = layer.to(dtype), other.to(dtype), sequences(dtype=dtype)
    (output, state), (wanted, wanted_state) = layer(x), other(x)
    assert output.dtype == wanted.dtype == dtype
    # Sums of eight products in another order: a few units in the last place of values near one.
    bound = 16 * torch.finfo(dtype).eps
    for a, b in zip((output, *state_tensors(state)), (wanted, *state_tensors(wanted_state)), strict=True):
        assert (a - b).abs().max() <= bound


@every_layer
def test_meta_device(kind):
    """Shapes without memory, and a layer made there filled later."""
    layer_class, fixed, _ = LAYERS[kind]
    layer = layer_class(3, 5, 2, **fixed, bidirectional=True, device="meta")
    output, state = layer(torch.zeros(6, 4, 3, device="meta"))
    assert output.shape == (6, 4, 10)
    assert {s.shape for s in state_tensors(state)} == {(4, 4, 5)}
    real = layer.to_empty(device="cpu")
    real.load_state_dict(layer_class(3, 5, 2, **fixed, bidirectional=True).state_dict())
    assert real(torch.zeros(6, 4, 3))[0].isfinite().all()


@every_layer
def test_strict_loading(kind):
    layer = build(kind, 3, 5)
    state = layer.state_dict()
    state["weight_xx_l0"] = state.pop("weight_hh_l0")
    with pytest.raises(RuntimeError, match=r"Missing key.*weight_hh_l0(.|\n)*Unexpected key.*weight_xx_l0"):
        layer.load_state_dict(state)
    assert layer.load_state_dict(state, strict=False).missing_keys == ["weight_hh_l0"]
    with pytest.raises(RuntimeError, match="size mismatch for weight_hh_l0"):
        layer.load_state_dict(build(kind, 3, 4).state_dict())


def test_a_saved_state_loads_without_running_code():
    _, state = build("LSTM", 3, 5)(sequences())
    file = io.BytesIO()
    torch.save({"state": state}, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=True)["state"]
    assert isinstance(loaded, nn.LSTMState)
    assert torch.equal(loaded.c, state.c)


def test_the_state_is_a_tree():
    _, state = build("LSTM", 3, 5)(sequences())
    leaves, tree = torch.utils._pytree.tree_flatten(state)
    assert len(leaves) == 2
    assert isinstance(torch.utils._pytree.tree_unflatten(leaves, tree), nn.LSTMState)
    text = torch.utils._pytree.treespec_dumps(tree)
    assert "throughtime.nn.LSTMState" in text
    assert torch.utils._pytree.treespec_loads(text) == tree


class Chained(torch.nn.Module):
    """Takes a state and gives one."""

    def __init__(self, kind):
        super().__init__()
        self.layer = build(kind, 3, 5, bidirectional=True)

    def forward(self, x, hx, lengths):
        return self.layer(x, hx, lengths=lengths)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")
@pytest.mark.parametrize("kind", ["GRU", *NO_TORCH, "LSTM"])
def test_exported_and_saved_with_dynamic_batch_and_time(kind, caplog):
    module = Chained(kind)
    T, B = torch.export.Dim("T", min=2, max=1000), torch.export.Dim("B", min=2, max=1000)
    tensors = random_state(module.layer, B=4)
    hx = tensors[0] if len(tensors) == 1 else nn.LSTMState(*tensors)
    shapes = {1: B} if len(tensors) == 1 else nn.LSTMState({1: B}, {1: B})
    example = sequences(), hx, torch.tensor([6, 1, 2, 4])
    exported = torch.export.export(module, example, dynamic_shapes=({0: T, 1: B}, shapes, {0: B}))
    file = io.BytesIO()
    torch.export.save(exported, file)
    file.seek(0)
    loaded = torch.export.load(file).module()
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING], "loading falls back to nothing unsafe"
    x, tensors = sequences(11, 2), random_state(module.layer, B=2, seed=7)
    hx = tensors[0] if len(tensors) == 1 else nn.LSTMState(*tensors)
    (output, state), (wanted, wanted_state) = loaded(x, hx, torch.tensor([4, 11])), module(x, hx, torch.tensor([4, 11]))
    assert type(state) is type(wanted_state)
    assert_close((output, *state_tensors(state)), (wanted, *state_tensors(wanted_state)), k=20)


@pytest.mark.filterwarnings("ignore:`torch.jit.script.*` is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")
@pytest.mark.parametrize("dtype", [None, torch.bfloat16], ids=["", "autocast"])
@pytest.mark.parametrize("options", [{}, {"proj_size": 2}], ids=["", "proj_size"])
def test_compiled_in_one_graph(options, dtype):
    torch._dynamo.reset()
    layer = build("LSTM", 3, 5, **options, dtype=torch.float32)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    x = sequences(dtype=torch.float32)
    with torch.autocast("cpu", dtype, enabled=dtype is not None):
        found, wanted = compiled(x, lengths=torch.tensor([6, 1, 2, 4])), layer(x, lengths=torch.tensor([6, 1, 2, 4]))
    assert found[0].dtype == (dtype or torch.float32)
    assert isinstance(found[1], nn.LSTMState)
    assert_close((found[0], *found[1]), (wanted[0], *wanted[1]), k=50)
    torch._dynamo.reset()


@pytest.mark.filterwarnings("ignore:`torch.jit.script.*` is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")
@pytest.mark.parametrize("kind", ["GRUCell", "LSTMCell", "PeepholeLSTMCell"])
def test_cells_are_compiled_in_one_graph(kind):
    torch._dynamo.reset()
    cell, x = getattr(nn, kind)(3, 5), sequences(dtype=torch.float32)[0]
    found = torch.compile(cell, fullgraph=True, backend="aot_eager")(x)
    assert_close(state_tensors(found), state_tensors(cell(x)))
    torch._dynamo.reset()


SCRIPT = """
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = {layer}(4, 8, num_layers=2, batch_first=True, bidirectional=True, dropout=0.0)
            self.head = torch.nn.Linear(16, 1)

        def forward(self, x, lengths):
            packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            self.rnn.flatten_parameters()
            output, (h, c) = self.rnn(packed)
            output, _ = torch.nn.utils.rnn.pad_packed_sequence(output, batch_first=True)
            return self.head(torch.cat((h[-2], h[-1]), dim=-1)) + output.mean()

    model = Model().double()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for epoch in range(5):
        for _ in range(3):
            x, y, lengths = torch.randn(6, 10, 4).double(), torch.randn(6, 1).double(), torch.randint(1, 11, (6,))
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(model(x, lengths), y)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        print(f"{{loss.item():.9f}}")
"""


def test_a_training_script_with_one_line_changed(capsys):
    """The same losses, to nine digits."""
    printed = []
    for layer in ("torch.nn.LSTM", "throughtime.nn.LSTM"):
        code = textwrap.dedent(SCRIPT.format(layer=layer))
        exec(compile("import throughtime\n" + code, layer, "exec"), {})
        printed.append(capsys.readouterr().out.split())
    assert len(printed[0]) == 5
    assert printed[0] == printed[1]


DDP = """
    import sys

    import torch
    from torch.nn.parallel import DistributedDataParallel
    from throughtime.nn import PeepholeLSTM

    rank, world, file = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=world)
    torch.manual_seed(0)
    layer = PeepholeLSTM(3, 5, 2, bidirectional=True, dtype=torch.float64)
    model = DistributedDataParallel(layer)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.randn(6, 4, 3, dtype=torch.float64)
    for _ in range(3):
        own = x[:, rank :: world]
        optimizer.zero_grad()
        model(own, lengths=torch.full((own.shape[1],), 5))[0].square().mean().backward()
        optimizer.step()
    if rank == 0:
        print(" ".join(f"{p.double().sum().item():.9f}" for p in layer.parameters()))
    torch.distributed.destroy_process_group()
"""


def distributed(world: int, folder: Path) -> str:
    script = folder / "ddp.py"
    script.write_text(textwrap.dedent(DDP))
    runs = [
        subprocess.Popen(
            [sys.executable, str(script), str(rank), str(world), str(folder / f"meet{world}")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={**os.environ, "GLOO_SOCKET_IFNAME": "lo"},
        )
        for rank in range(world)
    ]
    done = [run.communicate(timeout=240) for run in runs]
    assert [run.returncode for run in runs] == [0] * world, [error for _, error in done]
    return done[0][0]


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch was built without torch.distributed")
def test_data_parallel_training(tmp_path):
    """Two processes with half the rows each end where one with all the rows does."""
    one, two = distributed(1, tmp_path), distributed(2, tmp_path)
    assert len(one.split()) == 20
    assert one == two


@every_layer
def test_one_step_reads_lists_as_forward_does(kind):
    layer, x = build(kind, 3, 5), sequences()[:1]
    state = [torch.full((1, x.shape[1], 5), 0.3, dtype=torch.float64) for _ in layer.cell.state_fields]
    reset = [True] + [False] * (x.shape[1] - 1)
    expected, _ = layer(x, state, reset=[reset])
    assert_close(layer.step(x[0], state, reset=reset)[0], expected[0], k=20)
    stepper = layer.stepper()
    assert_close(stepper(x[0], state, reset)[0], expected[0].detach(), k=20)
    assert (expected - layer(x, state)[0]).abs().max() > 1e-3
    with pytest.raises(ArgumentTypeError, match=r"stepper: expected state to be .*float\); "):
        stepper(x[0], [0.5] * len(state))
    for step in (layer.step, stepper):
        with pytest.raises(ArgumentError, match=r"expected reset of shape \(\d+,\), got \(0,\); "):
            step(x[0], reset=torch.zeros(0, dtype=torch.bool))
