"""The gates read from what the native forward pass saved, under every instruction set of this machine.

Legend: T time, B batch, I input, H hidden.
"""

import pytest
import torch

from tests.helpers import assert_close
from tests.nn.layers import LAYERS, as_hx, build, random_state
from throughtime.kernels import _native, native, saved_gates

LENGTHS = torch.tensor([3, 0, 6, 1])


@pytest.fixture(params=native.instruction_sets())
def instruction_set(request):
    before = native.instruction_set()
    native.set_instruction_set(request.param)
    yield request.param
    native.set_instruction_set(before)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("kind", LAYERS)
def test_every_gate_is_the_reference_scans(kind, dtype, instruction_set, monkeypatch):
    """Both ways, ragged and not, H about a vector, with halved vectors and without; read, not computed."""
    monkeypatch.setattr(saved_gates, "read", spy := Spy(saved_gates.read))
    for H in (5, 16, 31, 33, 120, 121, 136):
        native_one = build(kind, 3, H, bidirectional=True, backend="native", dtype=dtype)
        plain = build(kind, 3, H, bidirectional=True, backend="reference").double()
        plain.load_state_dict(native_one.state_dict())
        x = torch.randn(6, 4, 3, generator=torch.Generator().manual_seed(H), dtype=torch.float64).to(dtype)
        hx = random_state(native_one, B=4, dtype=dtype)
        for lengths in (None, LENGTHS):
            with torch.no_grad():
                trace = native_one.trace(x, as_hx(hx), lengths=lengths)
                expected = plain.trace(x.double(), as_hx(tuple(s.double() for s in hx)), lengths=lengths)
            for name in trace.values[0][0]._fields:
                assert trace.stack(name).dtype == dtype
                assert_close(trace.stack(name), expected.stack(name), name, k=500 if dtype != torch.bfloat16 else 20)
    assert len(spy.found) == 7 * 2 * 2


def test_a_cell_whose_state_is_its_gate_saves_none():
    with pytest.raises(ValueError, match="expected a cell that saves gates, got cell 0"):
        _native.saved_gates(0, 0, 2, 1, 4, 0, 0, False, 1, 0)


class Spy:
    """Calls a function and keeps what it gave."""

    def __init__(self, function):
        self.function, self.found = function, []

    def __call__(self, *args, **options):
        self.found.append(self.function(*args, **options))
        return self.found[-1]
