"""A cell of your own over whole sequences.

Axes in names: T time, B batch, I input features, S state features, D directions.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from throughtime.cells import Cell, State
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.kernels import reference
from throughtime.nn import arguments, direction
from throughtime.nn.direction import Call
from throughtime.nn.sequence_layer import SequenceLayer, Values


class CustomRecurrent(SequenceLayer):
    """Runs a cell of your own over sequences: lengths, resets, streaming and derivatives are taken care of.

    (1) s_t = cell(x_t, s_{t−1}),    y_t = s_t, or its first tensor where the state is a tuple

    `cell` is a function or a module over one time step: x (B, I) and the state before, a tensor (B, S) or a tuple of
    such tensors, to the state after. torch.nn.GRUCell and torch.nn.LSTMCell are such cells. The cell is run in a loop
    of plain torch, so that derivatives of any order, vmap and any device work.

    Args:
        cell: one time step.
        state_size: the features of the state, one number for a tensor, a tuple of numbers for a tuple of tensors.
        reverse_cell: a second cell, with weights of its own, that reads the sequence from its end; its output stands
            beside the first one's, and `bidirectional` is True.
        batch_first: (B, T, I) instead of (T, B, I).
        compiled: run each step through torch.compile.

    **Shapes** as `Recurrent` of one layer: input (T, B, I), (B, T, I), (T, I) or a PackedSequence; output with D*S
    features; each state tensor (D, B, S). Past a row's length the cell is called with zeros and its answer is not
    used; its value and derivative there must be finite.

    **Raises** ArgumentError: `state_size` is not positive, or the cell's answer has another shape than its state.
    ArgumentTypeError: the cell cannot be called, or gives something else than tensors.

    >>> def leaky(x, s):
    ...     return 0.9 * s + 0.1 * x
    >>> output, state = CustomRecurrent(leaky, 3)(torch.ones(7, 2, 3), lengths=[7, 4])
    >>> tuple(output.shape), tuple(state.shape)
    ((7, 2, 3), (1, 2, 3))
    """

    def __init__(
        self,
        cell: Callable[[Tensor, Any], Any],
        state_size: int | Sequence[int],
        reverse_cell: Callable[[Tensor, Any], Any] | None = None,
        *,
        batch_first: bool = False,
        compiled: bool = False,
    ) -> None:
        super().__init__()
        who = self._who
        for name, given in (("cell", cell), ("reverse_cell", reverse_cell)):
            if not callable(given) and (given is not None or name == "cell"):
                raise ArgumentTypeError(
                    f"{who}: expected {name} to be a function or a module, got {given!r}; "
                    "pass one that takes x and the state of a time step"
                )
        sizes = tuple(state_size) if isinstance(state_size, tuple | list) else (state_size,)
        sizes = tuple(arguments.check_size(who, "state_size", size) for size in sizes or (0,))
        arguments.check_flag(who, "batch_first", batch_first)
        arguments.check_flag(who, "compiled", compiled)
        self.cell = cell
        self.reverse_cell = reverse_cell
        self.input_size = None
        self.hidden_size: int = sizes[0]
        self.state_size: int | tuple[int, ...] = sizes if isinstance(state_size, tuple | list) else sizes[0]
        self.batch_first = batch_first
        self.bidirectional = reverse_cell is not None
        self.compiled = compiled

    @property
    def output_size(self) -> int:
        """Features of the output."""
        return self.hidden_size * self.num_directions

    @property
    def _state_rows(self) -> int:
        return self.num_directions

    @property
    def _state_sizes(self) -> tuple[int, ...]:
        return self.state_size if isinstance(self.state_size, tuple) else (self.state_size,)

    @property
    def _state_fields(self) -> tuple[str, ...]:
        one = not isinstance(self.state_size, tuple)
        return ("state",) if one else tuple(f"state {index}" for index in range(len(self._state_sizes)))

    def extra_repr(self) -> str:
        """The state's size, and the arguments that differ from the defaults."""
        shown = [f"state_size={self.state_size}"]
        shown += [f"{name}=True" for name in ("batch_first", "compiled") if getattr(self, name)]
        return ", ".join(shown)

    def __getstate__(self) -> dict[str, Any]:
        # What torch.compile made belongs to this process.
        return {name: value for name, value in self.__dict__.items() if name != "_compiled"}

    def _open(self, data: Any) -> tuple[list[Callable[[Tensor, Any], Any]], None, None]:
        cells = [cell for cell in (self.cell, self.reverse_cell) if cell is not None]
        if not self.compiled or torch.compiler.is_compiling():
            return cells, None, None
        made = self.__dict__.setdefault("_compiled", {})
        for cell in cells:
            if id(cell) not in made:
                # A module's __call__, hooks and all; the pair keeps the cell alive, so that its id stays its own.
                made[id(cell)] = cell, torch.compile(cell)
        return [made[id(cell)][1] for cell in cells], None, None

    def _run(self, x_TBI: Tensor, state: State | None, opened: Any, call: Call) -> tuple[Tensor, State, Values]:
        state = self._zeros(x_TBI) if state is None else state
        outputs: list[Tensor] = []
        finals: list[State] = []
        values: list[Any] = []
        who = f"{self._who}.{call.way.method}"
        for index, cell in enumerate(opened):
            step = cast(Cell, _Step(who, cell, isinstance(self.state_size, tuple), len(state)))
            entering = tuple(s[index] for s in state)
            output_TBS, final, kept = direction.run(
                partial(_run, step), partial(_scan, step), x_TBI, entering, call, index, reverse=index == 1, apart=False
            )
            outputs.append(output_TBS)
            finals.append(final)
            values.append(kept)
        output = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)
        final_state = tuple(torch.stack(field) for field in zip(*finals, strict=True))
        return output, final_state, (tuple(values),) if call.way.traced else ()

    def _public_state(self, state: State) -> Any:
        return state if isinstance(self.state_size, tuple) else state[0]


def _scan(step: Cell, x_TBI: Tensor, state: State, **where: Any) -> tuple[Tensor, State, Any]:
    return reference.scan(step, x_TBI, state, cast(Any, None), **where)


def _run(step: Cell, x_TBI: Tensor, state: State, **where: Any) -> tuple[Tensor, State]:
    return _scan(step, x_TBI, state, **where)[:2]


class _Values(tuple[Tensor, ...]):
    """The values of one step, by their place: what the scan reads as a cell's named tuple."""

    def __new__(cls, *values: Tensor) -> "_Values":
        return super().__new__(cls, values)

    @property
    def _fields(self) -> tuple[str, ...]:
        return tuple(map(str, range(len(self))))

    def __getattr__(self, name: str) -> Tensor:
        if name.isdecimal():
            return self[int(name)]
        raise AttributeError(name)


class _Step:
    """A caller's step as the reference scan reads a cell: its state's names, and its values at one step."""

    def __init__(self, who: str, step: Callable[[Tensor, Any], Any], is_tuple: bool, n: int) -> None:
        self.state_fields = tuple(map(str, range(n)))
        self._who, self._step, self._is_tuple = who, step, is_tuple

    def values(self, x_BI: Tensor, state: State, params: None) -> Any:
        found = self._step(x_BI, state if self._is_tuple else state[0])
        new = found if isinstance(found, tuple | list) else (found,)
        if not all(isinstance(s, Tensor) for s in new):
            kinds = ", ".join(type(s).__name__ for s in new)
            raise ArgumentTypeError(
                f"{self._who}: expected the cell to return tensors, got {kinds}; return the state after the step"
            )
        got, want = [tuple(s.shape) for s in new], [tuple(s.shape) for s in state]
        if got != want:
            raise ArgumentError(
                f"{self._who}: expected the cell to return a state of shape {_show(want)}, as it was given, got "
                f"{_show(got)}; build with the state_size that the cell returns"
            )
        return _Values(*new)


def _show(shapes: list[tuple[int, ...]]) -> str:
    return " and ".join(map(str, shapes))
