"""torch's own layers, cells and packed sequences, and loops for the cells that torch lacks.

Knows nothing of throughtime: it also runs where that is not loaded.
Axes in names: T time, B batch, I input features, H hidden units.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from benchmarks.speed.cases import Case
from benchmarks.speed.inputs import POINTS_IN, POINTS_OUT
from benchmarks.speed.job import Arrays, Job, Jobs, Unavailable
from benchmarks.speed.torch_loops import LOOPS

LAYERS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
STEP_CELLS = {"rnn": nn.RNNCell, "gru": nn.GRUCell, "lstm": nn.LSTMCell}
CLIP_NORM = 1.0
STEPS_IN_A_ROW = 50


def versions() -> dict[str, str]:
    return {"torch": torch.__version__}


def jobs(case: Case, arrays: Arrays) -> Jobs:
    """torch's answers to a case, by the name that the tables give them."""
    if case.mode in ("train", "bfloat16") and case.cell in LAYERS:
        return {"torch": training_job(layer(case, arrays), arrays)}
    if case.cell in LOOPS and case.L != 1:
        raise Unavailable(f"the scripted loops have one layer, {case.name} has {case.L}")
    if case.mode == "pair":
        return {"scripted loop": training_job(LOOPS[case.cell](arrays), arrays)}
    if case.mode == "inference":
        if case.cell in LAYERS:
            return {"torch": inference_job(layer(case, arrays), arrays)}
        return {"scripted loop": inference_job(LOOPS[case.cell](arrays), arrays)}
    if case.mode == "ragged":
        return {"torch packed": _packed_job(case, arrays)}
    if case.mode == "step":
        return _step_jobs(case, arrays)
    if case.mode == "epoch":
        return {"torch": epoch_job(case, arrays, lambda: layer(case, arrays))}
    if case.mode == "memory":
        return {"torch": training_job(layer(case, arrays), arrays)}
    if case.mode == "sgemm":
        return {"sgemm": _product_job(case.H)}
    raise Unavailable(f"torch has nothing for {case.mode} {case.cell}")


def load(module: nn.Module, arrays: Arrays, prefix: str = "") -> nn.Module:
    """The module with its parameters taken from the arrays of the same names."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(torch.from_numpy(arrays[prefix + name]))
    return module


def layer(case: Case, arrays: Arrays) -> nn.Module:
    return load(LAYERS[case.cell](case.I, case.H, case.L), arrays)


def training_job(module: nn.Module, arrays: Arrays, **arguments: Any) -> Job:
    """Forward and backward with the gradients of the input and of every parameter, in the module's dtype."""
    dtype = next(module.parameters()).dtype
    x_TBI = torch.from_numpy(arrays["x"]).to(dtype).requires_grad_()
    dy_TBH = torch.from_numpy(arrays["dy"]).to(dtype)
    parameters = dict(module.named_parameters())

    def run() -> Tensor:
        x_TBI.grad = None
        for parameter in parameters.values():
            parameter.grad = None
        y_TBH = module(x_TBI, **arguments)[0]
        y_TBH.backward(dy_TBH)
        return y_TBH

    def results() -> dict[str, Any]:
        y_TBH = run()
        grads = {f"d{name}": parameter.grad for name, parameter in parameters.items()}
        return _numpy({"y": y_TBH, "dx": x_TBI.grad, **grads})

    return Job(lambda: _ignore(run()), results)


def inference_job(module: nn.Module, arrays: Arrays) -> Job:
    x_TBI = torch.from_numpy(arrays["x"])

    @torch.inference_mode()
    def run() -> Tensor:
        return module(x_TBI)[0]

    return Job(lambda: _ignore(run()), lambda: _numpy({"y": run()}))


def _packed_job(case: Case, arrays: Arrays) -> Job:
    """Pack, run, unpack and back. torch refuses rows of length zero: they are left out, and zeros stand for them."""
    lengths = torch.from_numpy(arrays["lengths"])
    kept = lengths > 0
    lengths = lengths[kept]
    module = layer(case, arrays)
    x_TBI = torch.from_numpy(arrays["x"])[:, kept].contiguous().requires_grad_()
    dy_TBH = torch.from_numpy(arrays["dy"])[:, kept].contiguous()

    def run() -> Tensor:
        x_TBI.grad = None
        module.zero_grad()
        packed, _ = module(pack_padded_sequence(x_TBI, lengths, enforce_sorted=False))
        y_TBH, _ = pad_packed_sequence(packed, total_length=case.T)
        y_TBH.backward(dy_TBH)
        return y_TBH

    def results() -> dict[str, Any]:
        found = {"y": run(), "dx": x_TBI.grad}
        whole = {}
        for name, tensor in found.items():
            whole[name] = tensor.new_zeros(case.T, case.B, tensor.shape[2])
            whole[name][:, kept] = tensor.detach()
        return _numpy(whole | {f"d{name}": parameter.grad for name, parameter in module.named_parameters()})

    return Job(lambda: _ignore(run()), results)


def step_job(step: Callable[[Tensor, Any], tuple[Tensor, Any]], arrays: Arrays) -> Job:
    """One time step, the state carried from step to step: seconds of one, from many in a row.

    Entering inference mode takes a microsecond or two, so it is entered once for all of them.
    """
    xs = [torch.from_numpy(x) for x in arrays["x"]]
    first = xs[0]
    state = None

    @torch.inference_mode()
    def run() -> float:
        nonlocal state
        began = time.perf_counter()
        for _ in range(STEPS_IN_A_ROW):
            _, state = step(first, state)
        return (time.perf_counter() - began) / STEPS_IN_A_ROW

    @torch.inference_mode()
    def results() -> dict[str, Any]:
        carried, outputs = None, []
        for x_BI in xs:
            y_BH, carried = step(x_BI, carried)
            outputs.append(y_BH.clone())
        return _numpy({"y": torch.stack(outputs)})

    return Job(run, results)


def _step_jobs(case: Case, arrays: Arrays) -> Jobs:
    whole = layer(case, arrays)
    cell = STEP_CELLS[case.cell](case.I, case.H)
    load(cell, {name.removesuffix("_l0"): value for name, value in arrays.items()})

    def by_cell(x_BI: Tensor, state: Any) -> tuple[Tensor, Any]:
        state = cell(x_BI, state)
        return (state[0] if isinstance(state, tuple) else state), state

    def by_layer(x_BI: Tensor, state: Any) -> tuple[Tensor, Any]:
        y_TBH, state = whole(x_BI.unsqueeze(0), state)
        return y_TBH.squeeze(0), state

    names = type(cell).__name__, f"nn.{type(whole).__name__}"
    return {names[0]: step_job(by_cell, arrays), names[1]: step_job(by_layer, arrays)}


class Forecaster(nn.Module):
    """The next ten values at every step, from any recurrent layer."""

    def __init__(self, recurrent: nn.Module, hidden_size: int) -> None:
        super().__init__()
        self.recurrent = recurrent
        self.head = nn.Linear(hidden_size, POINTS_OUT)

    def forward(self, x_TBI: Tensor) -> Tensor:
        return self.head(self.recurrent(x_TBI)[0])


class Constant(nn.Module):
    """Stands where a recurrent layer would, and costs nothing: the same output whatever comes in."""

    def __init__(self, output_TBH: Tensor) -> None:
        super().__init__()
        self.output_TBH = output_TBH

    def forward(self, x_TBI: Tensor) -> tuple[Tensor, None]:
        return self.output_TBH[:, : x_TBI.shape[1]], None


def epoch_job(case: Case, arrays: Arrays, recurrent: Callable[[], nn.Module], epoch: int = 1) -> Job:
    """The given epoch of training from the start: batches, forward, loss, backward, clipping, fused Adam."""
    series = torch.from_numpy(arrays["series"])
    batches = torch.from_numpy(arrays["order"]).split(case.B)
    x_NT1 = series[:, :POINTS_IN, None]
    y_NTK = series[:, 1:].unfold(1, POINTS_OUT, 1).contiguous()
    net: Any = None
    optimizer: Any = None

    def setup() -> None:
        nonlocal net, optimizer
        torch.manual_seed(0)
        net = Forecaster(recurrent(), case.H)
        optimizer = torch.optim.Adam(net.parameters(), fused=True)
        for _ in range(epoch - 1):
            steps(len(batches))

    def steps(count: int) -> list[float]:
        losses = []
        for rows in batches[:count]:
            optimizer.zero_grad()
            found_TBK = net(x_NT1[rows].transpose(0, 1))
            loss = nn.functional.mse_loss(found_TBK, y_NTK[rows].transpose(0, 1))
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), CLIP_NORM)
            optimizer.step()
            losses.append(loss.item())
        return losses

    def results() -> dict[str, Any]:
        setup()
        return _numpy({"losses of ten steps": torch.tensor(steps(10))})

    return Job(lambda: _ignore(steps(len(batches))), results, setup)


def constant(case: Case) -> nn.Module:
    return Constant(torch.zeros(case.T, case.B, case.H))


def _product_job(size: int) -> Job:
    a, b, c = torch.ones(size, size), torch.ones(size, size), torch.empty(size, size)
    return Job(lambda: _ignore(torch.mm(a, b, out=c)))


def _ignore(_: object) -> None:
    return None


def _numpy(tensors: dict[str, Tensor]) -> dict[str, Any]:
    return {name: tensor.detach().float().numpy() for name, tensor in tensors.items()}
