"""The states that layers take and give."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils import _pytree

from throughtime.cells import State


class LSTMState(NamedTuple):
    """The state of an LSTM: unpacks like torch's (h, c)."""

    h: Tensor
    c: Tensor


# Every named tuple is a tree to torch; one that is saved inside an exported program needs a name to be found by.
_pytree._register_namedtuple(LSTMState, serialized_type_name="throughtime.nn.LSTMState")
# What torch.load(weights_only=True) may build: a pair of tensors that was saved as a state.
torch.serialization.add_safe_globals([LSTMState])


def public_state(state: State) -> Any:
    """One tensor as it is, two as `LSTMState`."""
    return state[0] if len(state) == 1 else LSTMState(*state)
