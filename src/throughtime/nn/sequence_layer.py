"""What a layer over sequences shares with every other: torch.nn's ways of giving it a batch, a state, lengths, borders.

Axes in names: T time, B batch, I input features, F output features, L layers, D directions.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from throughtime.cells import State
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.nn import arguments, autocast
from throughtime.nn.direction import FORWARD, Call, Way
from throughtime.nn.lengths import read_lengths
from throughtime.nn.packed import PackedBatch
from throughtime.nn.state import public_state
from throughtime.nn.trace import Trace

Values = tuple[tuple[Any, ...], ...]


class SequenceLayer(nn.Module):
    """Reads input and state in every form that torch.nn takes; a subclass runs the padded, time-first batch in `_run`.

    A subclass has `input_size` (None: any), `batch_first` and `bidirectional`, and the hooks below.
    """

    input_size: int | None
    batch_first: bool
    bidirectional: bool

    @property
    def _who(self) -> str:
        return type(self).__name__

    @property
    def num_directions(self) -> int:
        """2 if bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    @property
    def _state_rows(self) -> int:
        """L*D, the first axis of each state tensor."""
        raise AssertionError("a layer says how many states it keeps")

    @property
    def _state_sizes(self) -> tuple[int, ...]:
        """The features of each state tensor, its last axis."""
        raise AssertionError("a layer says how wide its states are")

    @property
    def _state_fields(self) -> tuple[str, ...]:
        """The name of each state tensor in messages."""
        raise AssertionError("a layer names its states")

    def _open(self, data: Any) -> tuple[Any, Tensor | None, torch.dtype | None]:
        """What one call computes with, whatever it is given: what `_run` gets as `opened`, a weight whose dtype and
        device the input must have, and the dtype that autocast asks for."""
        raise AssertionError("a layer opens a call")

    def _run(self, x_TBI: Tensor, state: State | None, opened: Any, call: Call) -> tuple[Tensor, State, Values]:
        """The output (T, B, F) and the final state of a padded batch, and of a traced call the values of every step,
        by layer and direction; `state` None stands for `_zeros`."""
        raise AssertionError("a layer runs a batch")

    def _own_reset_state(self) -> State | None:
        """What a border puts in the place of the state where the caller gives nothing, each (L*D, H); None: zeros."""
        return None

    def _public_state(self, state: State) -> Any:
        """The state as a caller gets it."""
        return public_state(state)

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: Any = None,
        *,
        lengths: Tensor | None = None,
        reset: Tensor | None = None,
        reset_state: Any = None,
    ) -> tuple[Any, Any]:
        """Run the layers over whole sequences.

        Args:
            input: the sequences; see **Shapes** of the class.
            hx: the initial state, its rows in the caller's order; where None, what a border puts there: zeros, unless
                the layer or the call has a `reset_state`.
            lengths: (B,) whole numbers, in any order, 0 allowed. Past a length the output is zero; the final state is
                the state at the length; the reverse direction starts there. A PackedSequence brings its own.
            reset: (T, B) bool ((B, T) with `batch_first`, (T,) unbatched; for a PackedSequence the padded shape, rows
                in the caller's order). True at t is a border between t − 1 and t: both directions start anew on their
                side of it.
            reset_state: what both directions start anew from, of the state's shapes, or with one row for all; the
                gradient goes to it. Where None, the layer's own, zeros for most.

        Returns:
            The output of the top layer at every step, a PackedSequence for a PackedSequence, and the final state of
            every layer and direction. Under autocast both are of autocast's dtype.

        Raises:
            ArgumentError: a shape or a value does not fit the layer.
            ArgumentTypeError: an argument is of a wrong type or dtype.
            BackendError: the backend named cannot run these tensors.
        """
        output, state, _ = self._call(FORWARD, input, hx, lengths, reset, reset_state)
        return output, state

    def trace(
        self,
        input: Tensor | PackedSequence,
        hx: Any = None,
        *,
        lengths: Tensor | None = None,
        reset: Tensor | None = None,
        reset_state: Any = None,
    ) -> Trace:
        """As `forward`, with every gate and every cell value of every step, all of them differentiable.

        Values stand in the input's layout, for a PackedSequence in the padded one, rows in the caller's order; past a
        length they are zero. Dropout between layers acts as in `forward`.

        **Numerics**: on the native backend states and gates are what the kernels computed, the states `forward`'s bit
        for bit; with dropout in the recurrence or a `reset_state` they come from the loop over the equations, equal to
        rounding.

        Raises:
            As `forward`.
        """
        return Trace(*self._call(Way("trace", traced=True), input, hx, lengths, reset, reset_state))

    def _call(
        self, way: Way, input: Any, hx: Any, lengths: Any, reset: Any, reset_state: Any
    ) -> tuple[Any, Any, Values]:
        """Read the arguments, run the padded, time-first batch, and put everything into the caller's layout."""
        who = f"{self._who}.{way.method}"
        data = input.data if isinstance(input, PackedSequence) else input
        opened, weight, lower_to = self._open(data)
        if lower_to is not None:
            data = autocast.lower(data, lower_to)
        packed = self._check_input(who, input, data, weight, lengths)
        batched = packed is not None or data.dim() == 3
        if packed is not None:
            x_TBI = packed.x
        else:
            x_TBI = data.unsqueeze(1) if not batched else data.transpose(0, 1) if self.batch_first else data
        T, B, _ = x_TBI.shape
        anew = self._read_reset_state(who, reset_state, x_TBI, batched, lower_to)
        state = anew if hx is None else self._initial_state(who, hx, x_TBI, batched, lower_to)
        reset_TB = None
        if reset is not None:
            shape = ((B, T) if self.batch_first else (T, B)) if batched else (T,)
            reset_TB = arguments.read_reset(who, reset, shape, x_TBI.device)
            reset_TB = reset_TB.unsqueeze(1) if not batched else reset_TB.T if self.batch_first else reset_TB
        if packed is None:
            lengths = read_lengths(who, lengths, T, B, x_TBI.device)
        else:
            lengths = packed.lengths
            state = None if state is None else tuple(packed.sort(s) for s in state)
            anew = None if anew is None else tuple(packed.sort(s) for s in anew)
            reset_TB = None if reset_TB is None else packed.sort(reset_TB)

        call = Call(way, lengths, reset_TB, anew)
        if lower_to is None:
            output_TBF, final_state, values = self._run(x_TBI, state, opened, call)
        else:
            with torch.autocast(x_TBI.device.type, enabled=False):
                output_TBF, final_state, values = self._run(x_TBI, state, opened, call)

        def lay(value_TBF: Tensor) -> Tensor:
            if batched:
                return value_TBF.transpose(0, 1) if self.batch_first else value_TBF
            return value_TBF.squeeze(1)

        if packed is not None:
            values = _each(values, lambda value: lay(packed.unsort((value,))[0]))
            return packed.pack(output_TBF), self._public_state(packed.unsort(final_state)), values
        if not batched:
            final_state = tuple(s.squeeze(1) for s in final_state)
        return lay(output_TBF), self._public_state(final_state), _each(values, lay)

    def step(self, x: Tensor, state: Any = None, *, reset: Any = None, **how: Any) -> tuple[Tensor, Any]:
        """One time step through all layers: x (B, I) and a state to the output (B, H) and the next state.

        Chained steps give what `forward` gives over the whole sequence. `reset` (B,) starts rows anew before the step;
        `how` are further arguments of `forward`.

        Raises:
            ArgumentError: the layer is bidirectional, or a shape does not fit.
        """
        if self.bidirectional:
            raise ArgumentError(
                f"{self._who}.step: expected a one-way layer, got bidirectional=True, whose backward direction needs "
                "the future; build with bidirectional=False to go step by step"
            )
        I = "I" if self.input_size is None else self.input_size
        if not isinstance(x, Tensor) or x.dim() != 2 or (self.input_size is not None and x.shape[1] != I):
            got = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise ArgumentError(
                f"{self._who}.step: expected x of shape (B, {I}), got {got}; "
                "pass one time step, or call the layer for whole sequences"
            )
        time = 1 if self.batch_first else 0
        if reset is not None:
            reset = arguments.read_reset(f"{self._who}.step", reset, tuple(x.shape[:1]), x.device).unsqueeze(time)
        output, state = self(x.unsqueeze(time), state, reset=reset, **how)
        return output.squeeze(time), state

    def _check_input(self, who: str, input: Any, data: Any, weight: Tensor | None, lengths: Any) -> PackedBatch | None:
        """Check the sequences, `data` being the tensor in them; a PackedSequence comes back opened."""
        I = self.input_size
        is_packed = isinstance(input, PackedSequence)
        if not isinstance(data, Tensor):
            raise ArgumentTypeError(
                f"{who}: expected a tensor or a PackedSequence, got {type(data).__name__}; pass a torch.Tensor"
            )
        features = data.shape[-1] if data.dim() else 1
        if data.dim() not in ((2,) if is_packed else (2, 3)) or (I is not None and features != I):
            wanted = "I" if I is None else I
            axes = "(B, T, " if self.batch_first else "(T, B, "
            want = (
                f"packed data of shape (N, {wanted})"
                if is_packed
                else f"input of shape {axes}{wanted}) or (T, {wanted})"
            )
            advice = "give it these axes" if I is None else f"pass {I} features or build with input_size={features}"
            raise ArgumentError(f"{who}: expected {want}, got {tuple(data.shape)}; {advice}")
        if weight is not None:
            arguments.check_place(who, "input", data, weight)
        if not is_packed:
            return None
        if lengths is not None:
            raise ArgumentError(
                f"{who}: expected no lengths beside a PackedSequence, which brings its own, got {lengths!r}; "
                "leave lengths out, or pass the padded tensor"
            )
        return PackedBatch(input, data)

    def _zeros(self, x_TBI: Tensor) -> State:
        """The state before the first step where nothing else is said, each (L*D, B, H)."""
        dtype = torch.get_default_dtype() if _counts(x_TBI) else x_TBI.dtype
        rows, B = self._state_rows, x_TBI.shape[1]
        return tuple(x_TBI.new_zeros((rows, B, size), dtype=dtype) for size in self._state_sizes)

    def _initial_state(
        self, who: str, hx: Any, x_TBI: Tensor, batched: bool, lower_to: torch.dtype | None, name: str = "hx"
    ) -> State:
        """The state before the first step, each (L*D, B, H), rows in the caller's order."""
        rows, B, sizes = self._state_rows, x_TBI.shape[1], self._state_sizes
        fields = self._state_fields
        given = arguments.read_tensors(who, hx, fields, name)
        if lower_to is not None:
            given = tuple(autocast.lower(s, lower_to) for s in given)
        if name == "reset_state" and batched:
            # One row stands for all.
            given = tuple(s.expand(-1, B, -1) if s.dim() == 3 and s.shape[1] == 1 else s for s in given)
        shapes = [(rows, B, size) if batched else (rows, size) for size in sizes]
        axes = f"(num_layers * num_directions, {'batch, ' if batched else ''}features)"
        like = x_TBI.new_empty(0, dtype=given[0].dtype) if _counts(x_TBI) else x_TBI
        arguments.check_state(who, given, fields, shapes, axes, like, name)
        return given if batched else tuple(s.unsqueeze(1) for s in given)

    def _read_reset_state(
        self, who: str, given: Any, x_TBI: Tensor, batched: bool, lower_to: torch.dtype | None
    ) -> State | None:
        """What a border puts in the place of the state, each (L*D, B, H), rows in the caller's order; None: zeros."""
        if given is not None:
            return self._initial_state(who, given, x_TBI, batched, lower_to, "reset_state")
        own = self._own_reset_state()
        if own is None:
            return None
        if lower_to is not None:
            own = tuple(autocast.lower(s, lower_to) for s in own)
        return tuple(s.unsqueeze(1).expand(-1, x_TBI.shape[1], -1) for s in own)


def _counts(x: Tensor) -> bool:
    """Whole numbers, such as tokens, may go in where a cell has an embedding; states are never whole numbers."""
    return not (x.is_floating_point() or x.is_complex())


def _each(values: Values, change: Callable[[Tensor], Tensor]) -> Values:
    """The same values with every tensor changed."""
    return tuple(tuple(type(cell)(*map(change, cell)) for cell in layer) for layer in values)
