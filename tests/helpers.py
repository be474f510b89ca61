"""What the chain-of-trust tests share: the comparison, the awkward set and the problems made from it.

Legend: T time, B batch, I input, H hidden, G gates.
"""

import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from hypothesis import settings
from torch import Tensor

from tests.oracles import batch
from tests.oracles.layout import EVERY_LAYOUT

# The same examples at every run and no timing: a red property test stays red.
DETERMINISTIC = settings(derandomize=True, deadline=None, database=None, max_examples=30)

DEFAULT_K = 500.0
SMALLEST_MAGNITUDE = 0.05


def _array(value: Any) -> np.ndarray:
    return value.detach().cpu().double().numpy() if isinstance(value, Tensor) else np.asarray(value, dtype=np.float64)


def assert_close(actual: Any, expected: Any, what: str = "value", *, k: float = DEFAULT_K, dtype: Any = None) -> None:
    """|actual − expected| ≤ k · ε · magnitude, the magnitude being the largest |expected| element, at least 0.05.

    ε is that of `actual` where it is a tensor, else of `dtype`, else of float64. Tuples, lists and mappings are
    compared member by member. A NaN or an infinity is never close, shapes must be equal, None is close to None only.
    """
    if isinstance(expected, Mapping):
        assert set(actual) == set(expected), f"{what}: has {sorted(actual)}, expected {sorted(expected)}"
        for key in expected:
            assert_close(actual[key], expected[key], f"{what}.{key}", k=k, dtype=dtype)
        return
    if isinstance(expected, (tuple, list)):
        assert isinstance(actual, (tuple, list)), f"{what}: expected a {type(expected).__name__}, got {actual!r}"
        assert len(actual) == len(expected), f"{what}: expected {len(expected)} members, got {len(actual)}"
        for index, (a, e) in enumerate(zip(actual, expected, strict=True)):
            assert_close(a, e, f"{what}[{index}]", k=k, dtype=dtype)
        return
    if actual is None or expected is None:
        assert actual is expected, f"{what}: expected {expected}, got {actual}"
        return
    if isinstance(actual, Tensor) and dtype is not None:
        assert actual.dtype == dtype, f"{what}: expected {dtype}, got {actual.dtype}"
    epsilon = torch.finfo(actual.dtype if isinstance(actual, Tensor) else dtype or torch.float64).eps
    a, e = _array(actual), _array(expected)
    assert a.shape == e.shape, f"{what}: expected shape {e.shape}, got {a.shape}"
    if e.size == 0:
        return
    magnitude = max(float(np.abs(e).max()), SMALLEST_MAGNITUDE)
    error = np.abs(a - e)
    worst = np.unravel_index(np.argmax(np.where(np.isfinite(error), error, np.inf)), error.shape)
    assert error[worst] <= k * epsilon * magnitude, (
        f"{what}: at {tuple(int(i) for i in worst)} expected {float(e[worst])!r}, got {float(a[worst])!r}, "
        f"{error[worst] / (epsilon * magnitude):.3g} ε of {magnitude:.3g} where {k:g} are allowed"
    )


def assert_zero(actual: Tensor, what: str = "value") -> None:
    """Exactly zero, everywhere."""
    assert bool((actual == 0).all()), f"{what}: expected zeros, got up to {actual.abs().max().item()!r}"


# A place in the covering set that may be anything takes the first value: the telling ones come first.
AXES: dict[str, tuple[Any, ...]] = {
    "H": (1, 3, 7, 16, 17, 31, 33),
    "T": (2, 63, 1, 0),
    "B": (3, 1, 0),
    "lengths": (True, False),
    "reset": (True, False),
    "bias": (True, False),
    "memory": ("contiguous", "transposed", "misaligned"),
    "dtype": (torch.float64, torch.float32),
}
INPUT_SIZES = {1: 2, 3: 1, 7: 5, 16: 3, 17: 16, 31: 33, 33: 7, 260: 9}  # by H: never equal to it


@dataclass(frozen=True)
class Case:
    H: int
    T: int
    B: int
    lengths: bool
    reset: bool
    bias: bool
    memory: str
    dtype: torch.dtype

    def __str__(self) -> str:
        flags = [name for name in ("lengths", "reset", "bias") if getattr(self, name)]
        return "-".join([f"H{self.H}", f"T{self.T}", f"B{self.B}", *flags, self.memory, str(self.dtype)[6:]])


def pairwise(axes: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """A covering set: every pair of values of every two axes stands in some row. Greedy, no randomness.

    Each row starts from the first uncovered pair; the other axes then take, one by one, the value that covers most.
    """
    names = list(axes)

    def pair(a: str, i: int, b: str, j: int) -> tuple[str, int, str, int]:
        return (a, i, b, j) if names.index(a) < names.index(b) else (b, j, a, i)

    open_pairs = {
        (a, i, b, j): None
        for a, b in itertools.combinations(names, 2)
        for i in range(len(axes[a]))
        for j in range(len(axes[b]))
    }
    rows = []
    while open_pairs:
        a, i, b, j = next(iter(open_pairs))
        row = {a: i, b: j}
        for name in names:
            if name not in row:
                row[name] = max(
                    range(len(axes[name])),
                    key=lambda v, name=name: (sum(pair(name, v, n, u) in open_pairs for n, u in row.items()), -v),
                )
        for (m, u), (n, v) in itertools.combinations(row.items(), 2):
            open_pairs.pop(pair(m, u, n, v), None)
        rows.append({name: axes[name][row[name]] for name in names})
    return rows


def awkward_pairs() -> list[Case]:
    """The default run: a pairwise covering set of the awkward axes."""
    return [Case(**row) for row in pairwise(AXES)]


def awkward_product() -> Iterator[Case]:
    """Every combination, for runs marked slow. Memory and bias vary along it instead of multiplying it."""
    free = {name: AXES[name] for name in ("H", "T", "B", "lengths", "reset", "dtype")}
    others = itertools.cycle(itertools.product(AXES["memory"], AXES["bias"]))
    for values in itertools.product(*free.values()):
        memory, bias = next(others)
        yield Case(**dict(zip(free, values, strict=True)), memory=memory, bias=bias)


@dataclass(frozen=True)
class Problem:
    """Everything that one layer in one direction is given, and the gradients that arrive at what it gives."""

    name: str
    x_TBI: Tensor
    state: tuple[Tensor, ...]
    params: dict[str, Tensor]
    d_output_TBH: Tensor
    d_final_state: tuple[Tensor, ...]
    lengths: Tensor | None = None
    reset: Tensor | None = None


def in_memory(tensor: Tensor, memory: str) -> Tensor:
    """The same values: contiguous, the transpose of a contiguous tensor, or one element off the allocation's start."""
    if memory == "transposed" and tensor.dim() > 1:
        return tensor.transpose(0, 1).contiguous().transpose(0, 1)
    if memory == "misaligned":
        return torch.cat([tensor.new_zeros(1), tensor.flatten()])[1:].view(tensor.shape)
    return tensor.contiguous()


def make_params(
    name: str,
    input_size: int,
    H: int,
    generator: torch.Generator,
    *,
    bias: bool = True,
    dtype: torch.dtype = torch.float64,
) -> dict[str, Tensor]:
    """torch's parameters: weights U(±1/√H)-like, biases in ±[0.1, 0.6], never zero."""
    layout = EVERY_LAYOUT[name]
    rows = len(layout.gates) * H

    def uniform(*shape: int, scale: float) -> Tensor:
        return (torch.rand(*shape, generator=generator, dtype=torch.float64) * 2 - 1) * scale

    def off_zero(n: int) -> Tensor:
        value = uniform(n, scale=0.5)
        return value + 0.1 * torch.where(value < 0, -1.0, 1.0)

    params = {
        "weight_ih": uniform(rows, input_size, scale=input_size**-0.5),
        "weight_hh": uniform(rows, H, scale=H**-0.5),
    }
    if bias:
        params |= {"bias_ih": off_zero(rows), "bias_hh": off_zero(rows)}
    if layout.peephole:
        params["weight_ch"] = off_zero(3 * H)
    if layout.normalized:
        params |= {"weight_ln_ih": off_zero(rows), "weight_ln_hh": off_zero(rows)}
        if layout.states == 2:
            params["weight_ln_c"] = off_zero(H)
            params |= {"bias_ln_c": off_zero(H)} if bias else {}
    return {key: value.to(dtype) for key, value in params.items()}


def make_lengths(T: int, B: int) -> Tensor:
    """Ragged, in no order, with a 0 and a 1 where the batch has room; at least one row is full from B = 3 on."""
    return torch.tensor([1, 0, T][:B] if B != 1 else [T // 2], dtype=torch.int64).clamp(max=T)


def make_reset(T: int, B: int, generator: torch.Generator) -> Tensor:
    """About one step in four is a border; row 0 has one at t = 0, the last row has one at the last step."""
    reset = torch.rand(T, B, generator=generator) < 0.25
    if T and B:
        reset[0, 0] = True
        reset[T - 1, B - 1] = True
    return reset


def make_problem(name: str, case: Case, seed: int = 0) -> Problem:
    """The problem of a case: distinct non-zero states, and a gradient at every output and at every final state."""
    g = torch.Generator().manual_seed(seed)
    T, B, H, input_size = case.T, case.B, case.H, INPUT_SIZES[case.H]

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g, dtype=torch.float64).to(case.dtype)

    n_states = EVERY_LAYOUT[name].states
    params = make_params(name, input_size, H, g, bias=case.bias, dtype=case.dtype)
    return Problem(
        name=name,
        x_TBI=in_memory(normal(T, B, input_size), case.memory),
        state=tuple(in_memory(normal(B, H) * 0.5, case.memory) for _ in range(n_states)),
        params={key: in_memory(v, case.memory) for key, v in params.items()},
        d_output_TBH=in_memory(normal(T, B, H), case.memory),
        d_final_state=tuple(in_memory(normal(B, H), case.memory) for _ in range(n_states)),
        lengths=make_lengths(T, B) if case.lengths else None,
        reset=make_reset(T, B, g) if case.reset else None,
    )


def as_arrays(value: Any) -> Any:
    """Tensors as NumPy float64 arrays (lengths and resets keep their type), through tuples and mappings."""
    if isinstance(value, Tensor):
        value = value.detach().cpu()
        return value.double().numpy() if value.is_floating_point() else value.numpy()
    if isinstance(value, Mapping):
        return {key: as_arrays(v) for key, v in value.items()}
    if isinstance(value, (tuple, list)):
        return tuple(as_arrays(v) for v in value)
    return value


def oracle_of(problem: Problem, reverse: bool) -> tuple[batch.Run, batch.Gradients]:
    """The oracle's values and gradients for a problem."""
    p = problem
    run = batch.scan(
        p.name, as_arrays(p.x_TBI), as_arrays(p.state), as_arrays(p.params),
        lengths=as_arrays(p.lengths), reset=as_arrays(p.reset), reverse=reverse,
    )  # fmt: skip
    return run, batch.bptt(run, as_arrays(p.d_output_TBH), as_arrays(p.d_final_state))


@functools.lru_cache(maxsize=1024)
def oracle_answer(name: str, case: Case, reverse: bool) -> tuple[batch.Run, batch.Gradients]:
    """The oracle's values and gradients for `make_problem(name, case)`; several tests ask for the same."""
    return oracle_of(make_problem(name, case), reverse)
