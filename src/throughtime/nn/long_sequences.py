"""Sequences too long for one backward pass: cut the gradient (truncated), or compute again what was not kept
(checkpointed).

Axes in names: T time, B batch.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils import _pytree

from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.nn import arguments, dropouts
from throughtime.nn.direction import Way
from throughtime.nn.lengths import read_lengths
from throughtime.nn.sequence_layer import SequenceLayer


class Chunk(NamedTuple):
    """A piece of a sequence, as `truncated` gives it.

    `steps` is where it stands in time; output and state are what the layer gave for it, with their graph. `lengths` are
    its rows' own, None where the sequence has none.
    """

    output: Tensor
    state: Any
    steps: slice
    lengths: Tensor | None


def detach_state(state: Any) -> Any:
    """The same state without its history: no gradient goes back through it.

    >>> detach_state(torch.ones(2, requires_grad=True) * 3).requires_grad
    False
    """
    return _pytree.tree_map_only(Tensor, Tensor.detach, state)


def truncated(
    layer: SequenceLayer,
    input: Tensor,
    hx: Any = None,
    *,
    steps: int,
    lengths: Any = None,
    reset: Any = None,
    reset_state: Any = None,
) -> Iterator[Chunk]:
    """Truncated backpropagation through time: a sequence in chunks, the state carried on, its gradient cut between.

    Each chunk is run when the iterator is asked for it, with the weights of that moment, so that a loop may take an
    optimiser's step after every chunk. Values are those of the whole sequence; the gradient of a chunk's loss reaches
    no further back than the chunk's first step. `hx` itself is not cut: detach a state that another sequence ended in.
    The masks of recurrent dropout, weight dropout and zoneout are those of one sequence, from one seed.

    Args:
        layer: a one-way layer.
        input: (T, B, I), (B, T, I) with `batch_first`, or (T, I).
        hx: as the layer's, and so are `lengths`, `reset` and `reset_state`.
        steps: the steps of a chunk; the last one has what is left.

    **Raises** ArgumentError: the layer is bidirectional, `steps` is not positive, or what the layer refuses.
    ArgumentTypeError: `input` is no tensor.

    **Source** [Williams1990], with h' = h = `steps`.

    >>> from throughtime.nn import GRU
    >>> [tuple(chunk.output.shape) for chunk in truncated(GRU(3, 5), torch.zeros(7, 2, 3), steps=3)]
    [(3, 2, 5), (3, 2, 5), (1, 2, 5)]
    """
    who = "truncated"
    _check_layer(who, layer)
    arguments.check_size(who, "steps", steps)
    if layer.bidirectional:
        raise ArgumentError(
            f"{who}: expected a one-way layer, got {type(layer).__name__} with bidirectional=True, whose backward "
            "direction needs the future; build with bidirectional=False, or use checkpointed"
        )
    if not isinstance(input, Tensor):
        raise ArgumentTypeError(
            f"{who}: expected a tensor, got {type(input).__name__}; pass the padded tensor, and lengths"
        )
    return _chunks(layer, input, hx, steps, lengths, reset, reset_state)


def _chunks(
    layer: SequenceLayer, input: Tensor, state: Any, steps: int, lengths: Any, reset: Any, reset_state: Any
) -> Iterator[Chunk]:
    time = 1 if layer.batch_first and input.dim() == 3 else 0
    T = input.shape[time] if input.dim() else 0
    lengths = read_lengths("truncated", lengths, T, input.shape[1 - time] if input.dim() == 3 else 1, input.device)
    reset = None if reset is None else torch.as_tensor(reset)
    if reset is not None and (reset.dim() != input.dim() - 1 or reset.shape != input.shape[:-1]):
        raise ArgumentError(
            f"truncated: expected reset of shape {tuple(input.shape[:-1])}, got {tuple(reset.shape)}; "
            "pass one flag for each step and row"
        )
    masks_at = dropouts.over_pieces(layer, input.device)
    for begin in range(0, T, steps):
        size = min(steps, T - begin)
        own = None if lengths is None else (lengths - begin).clamp(0, size)
        output, new = layer(
            input.narrow(time, begin, size),
            state,
            lengths=own,
            reset=None if reset is None else reset.narrow(time, begin, size),
            reset_state=reset_state,
            **masks_at(begin),
        )
        state = detach_state(new)
        yield Chunk(output, new, slice(begin, begin + size), own)


def checkpointed(
    layer: SequenceLayer,
    input: Any,
    hx: Any = None,
    *,
    steps: int | None = None,
    lengths: Any = None,
    reset: Any = None,
    reset_state: Any = None,
) -> tuple[Any, Any]:
    """The layer's own output, state and gradients, with much less memory between the forward and the backward pass.

    Each layer and direction keeps its input, its output and the states between pieces of `steps` steps. The backward
    pass computes one piece at a time again, with all that its gradient needs: one more forward pass in all. With
    `steps` = ⌈√T⌉, the default, no more than 2√T states a layer are held at any moment beyond input and output.

    Outputs, states and the gradients of input and state are those of the plain call, bit for bit on the native
    backend; the gradients of weights and biases are sums over pieces, equal to rounding. Dropout between layers is
    drawn once. Under functorch transforms and forward mode, which keep nothing, the call is the plain one.

    Args:
        layer: any layer, one way or both ways.
        input: as the layer's, and so are `hx`, `lengths`, `reset` and `reset_state`.
        steps: the steps of a piece.

    **Raises** ArgumentError: `steps` is not positive, or what the layer refuses.

    **Source** [Chen2016].

    >>> from throughtime.nn import GRU
    >>> output, state = checkpointed(GRU(3, 5), torch.zeros(100, 2, 3))
    >>> tuple(output.shape)
    (100, 2, 5)
    """
    who = "checkpointed"
    _check_layer(who, layer)
    if steps is not None:
        arguments.check_size(who, "steps", steps)
    output, state, _ = layer._call(Way(checkpoint=True, steps=steps), input, hx, lengths, reset, reset_state)
    return output, state


def _check_layer(who: str, layer: Any) -> None:
    if not isinstance(layer, SequenceLayer):
        raise ArgumentTypeError(
            f"{who}: expected a layer of throughtime.nn, got {type(layer).__name__}; pass the layer"
        )
