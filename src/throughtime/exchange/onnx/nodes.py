"""ONNX's RNN, GRU and LSTM operators as layers of this library: each honoured to the letter, or refused.

Axes in names: T time, B batch, I input features, H hidden units, D directions.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from throughtime.errors import DataError
from throughtime.exchange.onnx.parameters import unpacked
from throughtime.exchange.weights import fill
from throughtime.nn.layers import GRU, LSTM, RNN, GRUResetBefore, PeepholeLSTM
from throughtime.nn.recurrent import Recurrent

RECURRENT = ("RNN", "GRU", "LSTM")
_ACTIVATIONS = {"RNN": ("Tanh",), "GRU": ("Sigmoid", "Tanh"), "LSTM": ("Sigmoid", "Tanh", "Tanh")}
_KNOWN = ("activations", "direction", "hidden_size", "layout", "linear_before_reset", "input_forget")


class RecurrentNode(nn.Module):
    """One recurrent operator: its layer, and how the operator wants it called.

    Args:
        who: who speaks in messages: the file.
        name: of the node.
        operator: of `RECURRENT`.
        attributes: the node's.
        weights: W and R, and B and P where there are any.
    """

    def __init__(
        self, who: str, name: str, operator: str, attributes: Mapping[str, Any], weights: Mapping[str, Tensor]
    ) -> None:
        super().__init__()
        check_attributes(who, name, operator, attributes)
        direction = attributes.get("direction", "forward")
        self.backwards = direction == "reverse"
        self.rows_first = bool(attributes.get("layout", 0))
        given = {key: value.detach().cpu().numpy() for key, value in weights.items()}
        D, I, H = len(given["W"]), given["W"].shape[2], given["R"].shape[2]
        ways = 2 if direction == "bidirectional" else 1
        if ways != D:
            raise DataError(
                f"{who}: expected weights of {ways} directions in {name!r} ({direction}), got {D}; export it again"
            )
        kind, more = _kind(operator, attributes, given)
        dtype = weights["W"].dtype
        layer: Recurrent = kind(I, H, bias="B" in given, bidirectional=D == 2, dtype=dtype, **more)
        try:
            for index, values in enumerate(unpacked(operator, given["W"], given["R"], given.get("B"), given.get("P"))):
                fill(layer, index, dict(values))
        except ValueError as error:
            raise DataError(f"{who}: {error}") from error
        self.layer = layer

    def forward(
        self,
        x: Tensor,
        lengths_B: Tensor | None = None,
        *state: Tensor,
    ) -> tuple[Tensor, ...]:
        """Y, Y_h and, of an LSTM, Y_c, in the operator's shapes."""
        if self.rows_first:
            x, state = x.transpose(0, 1), tuple(s.transpose(0, 1) for s in state)
        if self.backwards:
            x = _turned(x, lengths_B)
        hx = (state if len(state) > 1 else state[0]) if state else None
        y_TBF, after = self.layer(x, hx, lengths=lengths_B)
        if self.backwards:
            y_TBF = _turned(y_TBF, lengths_B)
        T, B, _ = y_TBF.shape
        Y_TDBH = y_TBF.reshape(T, B, self.layer.num_directions, -1).transpose(1, 2)
        found = (after,) if isinstance(after, Tensor) else tuple(after)
        if self.rows_first:
            return Y_TDBH.permute(2, 0, 1, 3), *(s.transpose(0, 1) for s in found)
        return Y_TDBH, *found


def check_attributes(who: str, name: str, operator: str, attributes: Mapping[str, Any]) -> None:
    """Refuse what the layers of this library do not compute.

    Raises:
        DataError: another activation, a clip, coupled gates (input_forget), a direction or an attribute that is not
            known.
    """

    def refuse(wanted: str, got: str) -> DataError:
        return DataError(
            f"{who}: expected {wanted} in the {operator} {name!r}, got {got}, which no layer here computes; export a "
            "model without it"
        )

    if attributes.get("clip", 0.0):
        raise refuse("no clip", f"clip={attributes['clip']:g}")
    if attributes.get("input_forget", 0):
        raise refuse("input_forget=0", f"input_forget={attributes['input_forget']}")
    for kind in ("activation_alpha", "activation_beta"):
        if attributes.get(kind):
            raise refuse(f"no {kind}", f"{list(attributes[kind])}")
    direction = attributes.get("direction", "forward")
    if direction not in ("forward", "reverse", "bidirectional"):
        raise refuse("a direction forward, reverse or bidirectional", repr(direction))
    given = tuple(attributes.get("activations", ()))
    usual = _ACTIVATIONS[operator]
    known = [usual, ("Relu",)] if operator == "RNN" else [usual]
    ways = 2 if direction == "bidirectional" else 1
    if given and tuple(given) not in [each * ways for each in known]:
        raise refuse(f"activations {', '.join(usual)}", ", ".join(given))
    other = sorted(set(attributes) - {*_KNOWN, "clip", "activation_alpha", "activation_beta"})
    if other:
        raise refuse(f"attributes of {', '.join(_KNOWN)}", ", ".join(other))


def _kind(operator: str, attributes: Mapping[str, Any], given: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The layer's class, and arguments of its own."""
    if operator == "LSTM":
        return (PeepholeLSTM if "P" in given else LSTM), {}
    if operator == "GRU":
        return (GRU if attributes.get("linear_before_reset", 0) else GRUResetBefore), {}
    relu = "Relu" in attributes.get("activations", ())
    return RNN, {"nonlinearity": "relu" if relu else "tanh"}


def _turned(x_TBF: Tensor, lengths_B: Tensor | None) -> Tensor:
    """Each row in reverse order up to its length; what lies past it stays."""
    T = len(x_TBF)
    if lengths_B is None:
        return x_TBF.flip(0)
    step_T1 = torch.arange(T, device=x_TBF.device).unsqueeze(1)
    from_TB = torch.where(step_T1 < lengths_B, lengths_B - 1 - step_T1, step_T1)
    return x_TBF.gather(0, from_TB.unsqueeze(2).expand_as(x_TBF))
