"""
Fused recurrent kernels. Pointers are addresses as integers, 0 for none; strides count elements.
"""

def instruction_set() -> str:
    """Name of the instruction set whose kernels run."""

def instruction_sets() -> list[str]:
    """Names that this processor and build can run, best first."""

def set_instruction_set(name: str) -> None:
    """Chooses the kernels to run, for tests."""

def borrow_threads(parallel: int, member: int, members: int, usual: int) -> None:
    """Runs on an OpenMP runtime's threads, its functions at these addresses; zeros: on our own."""

def saved_width(cell: int, hidden_size: int, zoneout: bool = False) -> int:
    """Values of `saved` for each (time, row)."""

saved_unit_multiple: int
"""`saved` has room for a multiple of this many units, the widest vector's."""

def drop_mask(seed: int, stream: int, kind: int, p: float, rows: int, columns: int, dtype: int, mask: int) -> None:
    """Writes a mask [rows, columns]: 0 with probability p, else 1 / (1 - p)."""

def saved_gates(
    cell: int,
    dtype: int,
    T: int,
    B: int,
    H: int,
    saved: int,
    lengths: int,
    reverse: bool,
    threads: int,
    gates: int,
    norm: object | None = None,
) -> None:
    """Writes the gates [slots, T, B, H] of what a forward pass saved, zero past a length."""

def sequence_forward_raw(
    cell: int,
    dtype: int,
    T: int,
    B: int,
    I: int,
    H: int,
    x: int,
    x_t: int,
    x_b: int,
    h0: int,
    c0: int,
    weight_ih: int,
    weight_hh: int,
    bias_ih: int,
    bias_hh: int,
    weight_ch: int,
    lengths: int,
    reset: int,
    reset_t: int,
    reset_b: int,
    reverse: bool,
    threads: int,
    y: int,
    y_t: int,
    y_b: int,
    h_n: int,
    c_n: int,
    saved: int,
    c_seq: int,
    variation: object | None = None,
    norm: object | None = None,
) -> None: ...
def sequence_backward_raw(
    cell: int,
    dtype: int,
    T: int,
    B: int,
    I: int,
    H: int,
    x: int,
    x_t: int,
    x_b: int,
    h0: int,
    c0: int,
    weight_ih: int,
    weight_hh: int,
    weight_ch: int,
    lengths: int,
    reset: int,
    reset_t: int,
    reset_b: int,
    reverse: bool,
    threads: int,
    y: int,
    y_t: int,
    y_b: int,
    saved: int,
    c_seq: int,
    dy: int,
    dy_t: int,
    dy_b: int,
    dh_n: int,
    dc_n: int,
    dc_seq: int,
    dx: int,
    dx_t: int,
    dx_b: int,
    dh0: int,
    dc0: int,
    dweight_ih: int,
    dweight_hh: int,
    dbias_ih: int,
    dbias_hh: int,
    dweight_ch: int,
    dh_square: int = 0,
    dc_square: int = 0,
    saturated: int = 0,
    margin: float = 0.0,
    first_bad: int = 0,
    variation: object | None = None,
    norm: object | None = None,
) -> None: ...

class Stepper:
    """Layers packed once, one time step a call, on the calling thread."""

    def __init__(
        self, cell: int, dtype: int, layers: list[tuple[int, ...]], keep_h: float = 0.0, keep_c: float = 0.0
    ) -> None: ...
    def step(self, x: int, h: int, c: int, h_out: int, c_out: int, B: int, reset: int) -> None: ...
