"""The public recurrent layers: torch.nn's constructors, one class a cell.

A layer that computes other numbers has another name. The equations stand in `throughtime.cells`.
"""

from typing import Any, ClassVar

import torch

from throughtime.nn.arguments import check_nonlinearity
from throughtime.nn.recurrent import Recurrent


class RNN(Recurrent):
    """The simple recurrent layer, torch.nn.RNN's drop-in.

    (1) h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu with ``nonlinearity="relu"``

    **Shapes** and arguments of `forward`: see `Recurrent`. State: one tensor h.

    **Raises** ArgumentError: `nonlinearity` is neither "tanh" nor "relu", or a size is not positive.

    **Source** [Elman1990].

    >>> layer = RNN(3, 5)
    >>> output, h = layer(torch.zeros(7, 2, 3))
    >>> tuple(output.shape), tuple(h.shape)
    ((7, 2, 5), (1, 2, 5))
    """

    _name_prefix: ClassVar[str] = ""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        backend: str = "auto",
        reset_state: str = "zero",
        recurrent_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        zoneout: float | tuple[float, ...] = 0.0,
    ) -> None:
        check_nonlinearity(self._who, nonlinearity)
        self.cell_name = f"{self._name_prefix}rnn_{nonlinearity}"  # type: ignore[misc]
        self.nonlinearity = nonlinearity
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device,
            dtype,
            backend,
            reset_state,
            (recurrent_dropout, weight_dropout, zoneout),
        )


class GRU(Recurrent):
    """The gated recurrent unit with the reset gate after the product, torch.nn.GRU's drop-in.

    (1) r  = σ(W_ir x + b_ir + W_hr h + b_hr)
    (2) z  = σ(W_iz x + b_iz + W_hz h + b_hz)
    (3) n  = tanh(W_in x + b_in + r ∗ (W_hn h + b_hn))
    (4) h' = (1 − z) ∗ n + z ∗ h

    **Shapes** and arguments of `forward`: see `Recurrent`. State: one tensor h.

    **Source** [Cho2014], and differs from it by (3); `GRUResetBefore` is the paper's form.

    >>> output, h = GRU(3, 5, bidirectional=True)(torch.zeros(7, 2, 3), lengths=[7, 4])
    >>> tuple(output.shape), tuple(h.shape)
    ((7, 2, 10), (2, 2, 5))
    """

    cell_name: ClassVar[str] = "gru"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        backend: str = "auto",
        reset_state: str = "zero",
        recurrent_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        zoneout: float | tuple[float, ...] = 0.0,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device,
            dtype,
            backend,
            reset_state,
            (recurrent_dropout, weight_dropout, zoneout),
        )


class GRUResetBefore(GRU):
    """The gated recurrent unit with the reset gate before the product: the paper's and the lecture notes' form.

    (1) r, z as in `GRU`
    (2) n  = tanh(W_in x + b_in + W_hn (r ∗ h) + b_hn)
    (3) h' = (1 − z) ∗ n + z ∗ h

    Constructor, parameters and state are those of `GRU`; the numbers are not.

    **Source** [Cho2014]. In the notes' letters Γ_r = r, Γ_u = 1 − z, c̃ = n.
    """

    cell_name: ClassVar[str] = "gru_reset_before"


class LSTM(Recurrent):
    """The long short-term memory layer, torch.nn.LSTM's drop-in.

    (1) i, f, o = σ(W_i x + b_i + W_h h + b_h), each with its own rows
    (2) g  = tanh(W_ig x + b_ig + W_hg h + b_hg)
    (3) c' = f ∗ c + i ∗ g
    (4) h' = o ∗ tanh(c')

    **Shapes** and arguments of `forward`: see `Recurrent`. State: `LSTMState(h, c)`, which unpacks like torch's pair.

    With `proj_size` P > 0, h' is W_hr (o ∗ tanh(c')): P features, one more parameter ``weight_hr_l{k}{_reverse}`` of
    shape (P, H), and the reference backend, since the native kernels keep one width for h and c.

    **Raises** ArgumentError: `proj_size` is outside [0, hidden_size). BackendError: it is not 0 and `backend` is
    "native".

    **Source** [Hochreiter1997] with the forget gate of [Gers2000], the projection of [Sak2014].

    >>> output, (h, c) = LSTM(3, 5, num_layers=2)(torch.zeros(7, 2, 3))
    >>> tuple(output.shape), tuple(c.shape)
    ((7, 2, 5), (2, 2, 5))
    """

    cell_name: ClassVar[str] = "lstm"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        backend: str = "auto",
        reset_state: str = "zero",
        recurrent_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        zoneout: float | tuple[float, ...] = 0.0,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device,
            dtype,
            backend,
            reset_state,
            (recurrent_dropout, weight_dropout, zoneout),
            proj_size,
        )


class PeepholeLSTM(LSTM):
    """The LSTM whose gates also see the cell: i and f the previous one, o the new one.

    (1) i  = σ(W_ii x + b_ii + W_hi h + b_hi + p_i ∗ c), f likewise with p_f
    (2) c' = f ∗ c + i ∗ g
    (3) o  = σ(W_io x + b_io + W_ho h + b_ho + p_o ∗ c')
    (4) h' = o ∗ tanh(c')

    Parameters: LSTM's, and ``weight_ch_l{k}{_reverse}`` of shape (3*H,), the diagonals p_i, p_f, p_o.

    **Source** [Gers2002]; the same as ONNX's LSTM with `P`.
    """

    cell_name: ClassVar[str] = "peephole_lstm"


class PreviousPeepholeLSTM(LSTM):
    """The lecture notes' peephole LSTM: i, f and o all see the previous cell.

    (1) i, f, o = σ(W_i x + b_i + W_h h + b_h + p ∗ c), each with its own rows and p
    (2) c' = f ∗ c + i ∗ g
    (3) h' = o ∗ tanh(c')

    Parameters as in `PeepholeLSTM`, from which it differs by o.
    """

    cell_name: ClassVar[str] = "previous_peephole_lstm"


class LayerNormRNN(RNN):
    """`RNN` with layer normalisation.

    (1) LN(a; γ) = γ ∗ (a − μ) / √(σ² + 10⁻⁵), μ and σ² over all of a row's G*H values
    (2) h' = tanh(LN(W_ih x; γ_ih) + b_ih + LN(W_hh h; γ_hh) + b_hh), or relu

    Constructor: `RNN`'s. Parameters: `RNN`'s, and the gains ``weight_ln_ih_l{k}{_reverse}`` and
    ``weight_ln_hh_l{k}{_reverse}`` of shape (G*H,), G = 1, ones at first. The native kernels do not have it.

    **Source** [Ba2016]; `throughtime.cells.layer_norm_rnn` says what differs.
    """

    _name_prefix: ClassVar[str] = "layer_norm_"


class LayerNormGRU(GRU):
    """`GRU` with layer normalisation; LN as in `LayerNormRNN`, with G = 3.

    (1) a_x = LN(W_ih x; γ_ih) + b_ih, a_h = LN(W_hh h; γ_hh) + b_hh, in blocks r, z, n
    (2) r = σ(a_xr + a_hr), z = σ(a_xz + a_hz), n = tanh(a_xn + r ∗ a_hn)
    (3) h' = (1 − z) ∗ n + z ∗ h

    Constructor: `GRU`'s. Parameters: `GRU`'s, and ``weight_ln_ih_l{k}{_reverse}``, ``weight_ln_hh_l{k}{_reverse}``.

    **Source** [Ba2016]; `throughtime.cells.layer_norm_gru` says what differs.
    """

    cell_name: ClassVar[str] = "layer_norm_gru"


class LayerNormLSTM(LSTM):
    """`LSTM` with layer normalisation; LN as in `LayerNormRNN`, with G = 4.

    (1) i, f, o = σ(LN(W_ih x; γ_ih) + b_ih + LN(W_hh h; γ_hh) + b_hh), g = tanh of the same, each its own block
    (2) c' = f ∗ c + i ∗ g
    (3) h' = o ∗ tanh(LN(c'; γ_c) + β_c), this LN over the H values of c'

    Constructor: `LSTM`'s, without `proj_size`. Parameters: `LSTM`'s, ``weight_ln_ih_l{k}{_reverse}``,
    ``weight_ln_hh_l{k}{_reverse}``, and γ_c and β_c as ``weight_ln_c_l{k}{_reverse}`` and ``bias_ln_c_l{k}{_reverse}``
    of shape (H,), the latter zeros at first, and not there with ``bias=False``.

    **Source** [Ba2016].
    """

    cell_name: ClassVar[str] = "layer_norm_lstm"


LAYERS: dict[str, Any] = {
    "rnn": RNN,
    "gru": GRU,
    "gru-reset-before": GRUResetBefore,
    "lstm": LSTM,
    "peephole-lstm": PeepholeLSTM,
    "previous-peephole-lstm": PreviousPeepholeLSTM,
    "layer-norm-rnn": LayerNormRNN,
    "layer-norm-gru": LayerNormGRU,
    "layer-norm-lstm": LayerNormLSTM,
}
"""The layers by the names that estimators and the command line take."""
