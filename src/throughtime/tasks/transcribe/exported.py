"""A transcriber for ONNX Runtime: sound to features and utterances, and these to log-probabilities of symbols.

Axes in names: N samples, T frames, B utterances, M features, F frequencies, W samples of a window.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from throughtime.data.sound import pauses
from throughtime.data.sound.features import _SCALE, FLOOR, LogMel
from throughtime.tasks.exported import Exported, Port
from throughtime.tasks.transcribe.alphabet import BLANK
from throughtime.tasks.transcribe.network import SpeechNet
from throughtime.tasks.transcribe.transcriber import Transcriber

_LOUDNESS = 10 / np.log(10)  # dB


class _Features(nn.Module):
    """`LogMel` without Kaldi.

    All that comes before the power is linear in the samples of a window, and so one convolution:

    (1) z = DFT of window ∗ E (x − mean x), E x_n = x_n − 0.97 x_{n−1}
    (2) log max(ε, mel |z|²), not below `FLOOR`
    """

    def __init__(self, mel: LogMel) -> None:
        super().__init__()
        W, size = mel.window, 1 << (mel.window - 1).bit_length()
        centred_WW = np.eye(W) - 1 / W
        before_WW = np.eye(W, k=-1)
        before_WW[0, 0] = 1
        povey_W = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(W) / (W - 1))) ** 0.85
        framed_WW = povey_W[:, None] * ((np.eye(W) - 0.97 * before_WW) @ centred_WW)
        turn_FW = np.exp(-2j * np.pi * np.outer(np.arange(size // 2), np.arange(W)) / size) @ framed_WW
        self.step = mel.step
        self.waves = nn.Parameter(
            torch.from_numpy(np.concatenate((turn_FW.real, turn_FW.imag)) * _SCALE).float()[:, None]
        )
        self.mel_FM = nn.Parameter(torch.from_numpy(_triangles(mel, size)).float())

    def forward(self, sound: Tensor) -> tuple[Tensor, Tensor]:
        """(N,) in [−1, 1] to (T, M), and first and last frame of each utterance, that one not included, (U, 2)."""
        z_1FT = nn.functional.conv1d(sound[None, None], self.waves, stride=self.step)
        real_TF, imaginary_TF = z_1FT[0].T.chunk(2, 1)
        energy_TM = (real_TF.square() + imaginary_TF.square()) @ self.mel_FM
        x_TM = energy_TM.clamp(min=torch.finfo(torch.float32).eps).log().clamp(min=FLOOR)
        return x_TM, _utterances(x_TM)


def _utterances(x_TM: Tensor) -> Tensor:
    """(U, 2): `Pauses` as a scan over the frames."""
    from torch._higher_order_ops import scan  # not in every torch that models run in

    p = _thresholds()
    level_T = x_TM.double().exp().sum(1).log() * _LOUDNESS
    before_T = nn.functional.pad(level_T, (p["smooth"] - 1, 0))
    at_T = torch.arange(x_TM.shape[0])
    total_T = torch.stack([before_T[k : k + x_TM.shape[0]] for k in range(p["smooth"])]).sum(0)
    level_T = total_T / (at_T + 1).clamp(max=p["smooth"])

    def step(carry: Any, now: Any) -> Any:
        floor, peak, begin, end, quiet = carry
        level, at = now
        floor, peak = torch.minimum(level, floor + p["rise"]), torch.maximum(level, peak - p["fall"])
        speaking, length = begin >= 0, at + 1 - begin
        loud = (level > p["faintest"]) & ((at < p["unknown"]) | (level > floor + p["loud"]))
        steady = (length > p["steady"]) | (peak - floor > p["clearly"])
        low = (level < (peak - p["below_peak"]).clamp(min=p["faintest"])) | (
            steady & (level < floor + p["above_floor"])
        )
        quiet = torch.where(speaking & low, quiet + 1, 0)
        enough = torch.where(length < p["long"], p["pause"], p["short_pause"])
        done = speaking & ((length >= p["longest"]) | (quiet >= enough))
        found = begin.clone()
        first = torch.where(loud, torch.maximum(end, at - p["before"]), -1)
        begin = torch.where(done, -1, torch.where(speaking, begin, first))
        return (floor, peak, begin, torch.where(done, at + 1, end), quiet), (found, done)

    like = level_T[:1].sum() * 0
    start = (like + torch.inf, like - torch.inf, at_T[:1].sum() - 1, at_T[:1].sum(), at_T[:1].sum())
    (_, _, last, _, _), (begin_T, done_T) = scan(step, start, (level_T, at_T))
    found_U2 = torch.stack((begin_T, at_T + 1), 1)[done_T]
    rest_12 = torch.stack((last, last * 0 + x_TM.shape[0]))[None]
    return torch.cat((found_U2, rest_12[rest_12[:, 0] >= 0]))


def _triangles(mel: LogMel, size: int) -> NDArray[np.float64]:
    """(F, M): triangles evenly spaced in mel."""

    def as_mel(hertz: Any) -> Any:
        return 1127 * np.log1p(np.asarray(hertz) / 700)

    edges = np.linspace(as_mel(mel.low_hz), as_mel(mel.rate / 2), mel.mels + 2)
    at_F1 = as_mel(np.arange(size // 2) * mel.rate / size)[:, None]
    up_FM = (at_F1 - edges[:-2]) / np.diff(edges)[:-1]
    down_FM = (edges[2:] - at_F1) / np.diff(edges)[1:]
    found: NDArray[np.float64] = np.maximum(np.minimum(up_FM, down_FM), 0)
    return found


class _Told(nn.Module):
    def __init__(self, net: SpeechNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        return self.net(features, lengths), self.net.steps(lengths)


def exported(transcriber: Transcriber) -> Exported:
    """What `export_onnx` writes."""
    t, ear, units = transcriber, transcriber.ear_, transcriber.units_
    T, B = 8, 2
    before, sound = {}, None
    if ear.mel is not None:
        mel = ear.mel
        before["features"] = Exported(
            module=_Features(mel),
            inputs={
                "sound": Port(
                    torch.zeros(mel.window + 3 * mel.step),
                    ("samples",),
                    f"one channel in [-1, 1] at {mel.rate} samples a second, {mel.window} samples or more",
                )
            },
            outputs={
                "features": (("time", "features"), "log-mel energies of each frame"),
                "utterances": (
                    ("utterances", "2"),
                    "the first frame of each utterance, and the one after its last, in order",
                ),
            },
            open_axes=("samples",),
        )
        sound = {"rate": mel.rate, "window": mel.window, "step": mel.step, "window_ms": mel.window_ms,
                 "step_ms": mel.step_ms, "mels": mel.mels, "low_hz": mel.low_hz, "floor": FLOOR}  # fmt: skip
    return Exported(
        module=_Told(t.model_),
        inputs={
            "features": Port(
                torch.zeros((T, B, ear.features)), ("time", "batch", "features"), "of each utterance, any past a length"
            ),
            "lengths": Port(torch.tensor([T, 5]), ("batch",), "how many frames each has, from 1"),
        },
        outputs={
            "log_probability": (("steps", "batch", "symbols"), "of each symbol at every step, in nats"),
            "steps": (("batch",), "how many steps each has"),
        },
        open_axes=("time", "batch"),
        around={
            "vocabulary": units.to_json(),
            "symbols": [units.decode([id]) if id != BLANK else "" for id in range(len(units))],
            "blank": BLANK,
            "unit": units.name,
            "frame_rate": ear.frame_rate,
            "subsampling": t.model_.design.subsampling,
            "sound": sound,
            "preprocessing": {
                "features": "given with each utterance"
                if sound is None
                else "features.onnx, of the whole sound; each utterance is a row of 'features'"
            },
            "postprocessing": {
                "greedy": "of each utterance the likeliest symbol of every step, without those that repeat the step "
                "before and without blanks",
                "text": _TEXT[units.name],
            },
        },
        before=before,
    )


_TEXT = {
    "character": "symbols side by side",
    "word": "symbols with a blank between them",
    "subword": "symbols decoded by the tokenizer of 'vocabulary' (package tokenizers); those of plain letters side by "
    "side",
}


def _thresholds() -> dict[str, Any]:
    """The numbers of `Pauses`."""
    names = (
        "faintest", "below_peak", "above_floor", "clearly", "loud", "unknown", "steady", "rise", "fall", "smooth",
        "before", "pause", "short_pause", "long", "longest",
    )  # fmt: skip
    return {name: getattr(pauses, f"_{name.upper()}") for name in names}
