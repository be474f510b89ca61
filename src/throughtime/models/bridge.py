"""From the state in which an encoder ends to the state in which a decoder starts.

Axes in names: B batch, H features of a state tensor, L layers, D directions.
"""

from typing import Any

import torch
from torch import Tensor, nn

from throughtime.errors import ArgumentError
from throughtime.nn import LSTMState, Recurrent

Sizes = dict[str, tuple[int, int]]


def state_sizes(layer: Recurrent) -> Sizes:
    """Of every state tensor: (layers * directions, features)."""
    features = {"h": layer.output_size // layer.num_directions}
    count = layer.num_layers * layer.num_directions
    return {field: (count, features.get(field, layer.hidden_size)) for field in layer.cell.state_fields}


class CopyBridge(nn.Module):
    """The decoder starts where the encoder ended: the state handed over as it is.

    **Raises** ArgumentError: the states differ in their tensors, layers or features, or the encoder is bidirectional.

    **Source** [Sutskever2014].
    """

    def __init__(self, encoder: Recurrent, decoder: Recurrent) -> None:
        super().__init__()
        ends, starts = state_sizes(encoder), state_sizes(decoder)
        if encoder.bidirectional or ends != starts:
            raise ArgumentError(
                f"CopyBridge: expected an encoder whose state is the decoder's, {starts} as (layers * directions, "
                f"features), got {ends}; use bridge='linear', or build both layers alike and one-way"
            )

    def forward(self, state: Any) -> Any:
        """The same state."""
        return state


class LinearBridge(nn.Module):
    """The decoder starts from a linear map of everything in which the encoder ended.

    (1) h = tanh(W_h [h_1; ...; h_LD] + b_h), cut into the decoder's layers
    (2) c = W_c [c_1; ...; c_LD] + b_c likewise, where there is one: a cell is not bounded by one

    The encoder's layers and directions stand side by side in [...], so that the numbers of layers, the sizes and the
    directions may differ; the state's tensors may not.

    **Raises** ArgumentError: one layer has a cell c and the other has none.

    **Source** [Bahdanau2015] for (1), which there reads the backward direction alone.
    """

    def __init__(self, encoder: Recurrent, decoder: Recurrent) -> None:
        super().__init__()
        ends, starts = state_sizes(encoder), state_sizes(decoder)
        if ends.keys() != starts.keys():
            raise ArgumentError(
                f"LinearBridge: expected encoder and decoder with the same state tensors, got {', '.join(ends)} and "
                f"{', '.join(starts)}; build both from LSTMs or both from the others, or pass a module as bridge"
            )
        self._starts = starts
        weight = decoder.layer_params(0).weight_ih
        self.maps = nn.ModuleDict(
            {
                field: nn.Linear(
                    count * features,
                    starts[field][0] * starts[field][1],
                    device=weight.device,
                    dtype=weight.dtype,
                )
                for field, (count, features) in ends.items()
            }
        )

    def forward(self, state: Any) -> Any:
        """The decoder's state from the encoder's."""
        tensors = (state,) if isinstance(state, Tensor) else tuple(state)
        mapped = []
        for (field, (count, features)), s_LBH in zip(self._starts.items(), tensors, strict=True):
            flat_BH: Tensor = self.maps[field](s_LBH.transpose(0, 1).flatten(1))
            found_LBH = flat_BH.reshape(-1, count, features).transpose(0, 1).contiguous()
            mapped.append(torch.tanh(found_LBH) if field == "h" else found_LBH)
        return mapped[0] if len(mapped) == 1 else LSTMState(*mapped)


BRIDGES: dict[str, type[CopyBridge] | type[LinearBridge]] = {"copy": CopyBridge, "linear": LinearBridge}
"""The bridges by the names that `EncoderDecoder` takes."""
