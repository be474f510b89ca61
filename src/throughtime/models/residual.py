"""Recurrent layers on top of one another that stay trainable: normed on the way in, added on the way out.

Axes in names: T time, B batch, I input, F features of the stack.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from throughtime.errors import ArgumentError
from throughtime.nn.arguments import check_dropout, check_flag, check_size
from throughtime.nn.layers import LAYERS

__all__ = ["ResidualStack"]

States = tuple[Any, ...]
"""The state of each layer."""


class ResidualStack(nn.Module):
    """Recurrent layers, each of which adds to what the ones before have found.

    (1) u^0 = W x + b
    (2) u^l = u^{l-1} + layer_l(norm_l(u^{l-1}))
    (3) y   = norm(u^L)

    The sum (2) leaves the gradient a way past every layer, so that more of them can be trained; without it
    (``residual=False``) u^l = layer_l(u^{l-1}), the plain stack, and y = u^L. It has what `Aligned` asks of a layer, so
    that `Aligned(ResidualStack(...), head)` streams where it is one-way.

    **Shapes** x (T, B, I), lengths (B,), y (T, B, F), F = hidden_size, or twice that both ways; a state is a tuple with
    that of each layer.

    Args:
        input_size: I.
        hidden_size: units of a layer and direction.
        num_layers: L.
        cell: a key of `throughtime.nn.layers.LAYERS`.
        bidirectional: both ways in every layer.
        dropout: of u^0 and of what each layer adds, while training.
        residual: see (2).

    **Raises** ArgumentError: a size below 1, a dropout outside [0, 1), an unknown cell.

    **Source** [He2016], whose identity path (2) is, with the normalisation of [Ba2016] before each layer.

    >>> import torch
    >>> stack = ResidualStack(3, 5, 2, bidirectional=True)
    >>> tuple(stack(torch.zeros(7, 2, 3))[0].shape)
    (7, 2, 10)
    """

    batch_first = False

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        cell: str = "gru",
        bidirectional: bool = False,
        dropout: float = 0.0,
        residual: bool = True,
    ) -> None:
        super().__init__()
        who = "ResidualStack"
        if cell not in LAYERS:
            raise ArgumentError(
                f"{who}: expected cell to be one of {', '.join(LAYERS)}, got {cell!r}; pass one of these"
            )
        check_flag(who, "bidirectional", bidirectional)
        check_flag(who, "residual", residual)
        check_dropout(who, dropout)
        self.input_size = check_size(who, "input_size", input_size)
        self.hidden_size = check_size(who, "hidden_size", hidden_size)
        self.num_layers = check_size(who, "num_layers", num_layers)
        self.bidirectional = bidirectional
        self.residual = residual
        F = self.output_size
        self.project: nn.Module = nn.Linear(self.input_size, F)
        self.layers = nn.ModuleList(
            LAYERS[cell](F, self.hidden_size, bidirectional=bidirectional) for _ in range(self.num_layers)
        )
        norms = self.num_layers + 1 if residual else 0
        self.norms = nn.ModuleList(nn.LayerNorm(F) for _ in range(norms))
        self.dropout = nn.Dropout(float(dropout))

    @property
    def num_directions(self) -> int:
        """2 if bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    @property
    def output_size(self) -> int:
        """F."""
        return self.hidden_size * self.num_directions

    def forward(
        self, x: Tensor, state: States | None = None, *, lengths: Any = None, reset: Any = None
    ) -> tuple[Tensor, States]:
        """Outputs of the steps, and the state of each layer after the last valid one.

        Args:
            x: see **Shapes** of the class.
            state: what an earlier call gave; zeros where None.
            lengths: (B,).
            reset: (T, B) bool, as the layers take it.
        """
        found = []
        u_TBF = self.dropout(self.project(x))
        for i, (layer, before) in enumerate(zip(self.layers, self._given(state), strict=True)):
            read_TBF = self.norms[i](u_TBF) if self.residual else u_TBF
            h_TBF, after = layer(read_TBF, before, lengths=lengths, reset=reset)
            u_TBF = u_TBF + self.dropout(h_TBF) if self.residual else self.dropout(h_TBF)
            found.append(after)
        return (self.norms[-1](u_TBF) if self.residual else u_TBF), tuple(found)

    def step(self, x: Tensor, state: States | None = None, *, reset: Any = None) -> tuple[Tensor, States]:
        """One time step of a one-way stack: x (B, I) to y (B, F) and the next state."""
        return self._step([layer.step for layer in self.layers], x, state, reset=reset)

    def stepper(self) -> Any:
        """`step` in evaluation with the layers' weights packed now: called as ``step(x, state)``.

        Raises:
            ArgumentError: the stack is bidirectional.
        """
        steps = [layer.stepper() for layer in self.layers]  # type: ignore[operator]

        def step(x: Tensor, state: States | None = None) -> tuple[Tensor, States]:
            return self._step(steps, x, state)

        return step

    def _step(self, steps: Sequence[Any], x_BI: Tensor, state: States | None, **more: Any) -> tuple[Tensor, States]:
        found = []
        u_BF = self.dropout(self.project(x_BI))
        for i, (step, before) in enumerate(zip(steps, self._given(state), strict=True)):
            h_BF, after = step(self.norms[i](u_BF) if self.residual else u_BF, before, **more)
            u_BF = u_BF + self.dropout(h_BF) if self.residual else self.dropout(h_BF)
            found.append(after)
        return (self.norms[-1](u_BF) if self.residual else u_BF), tuple(found)

    def _given(self, state: States | None) -> States:
        given: States = (None,) * self.num_layers if state is None else tuple(state)
        if len(given) != self.num_layers:
            raise ArgumentError(
                f"ResidualStack: expected a state of {self.num_layers} layers, got {len(given)}; pass what was returned"
            )
        return given
