"""Sound and features as they might have been: drawn anew each time a clip is trained on, from torch's generator.

Axes in names: N samples, T frames, B clips, M mel bins, K curves.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from throughtime.data.sound.features import FLOOR, LogMel
from throughtime.data.sound.resample import respeed

__all__ = ["Perturbation", "masked", "perturbed_features", "perturbed_sound"]

_CURVES = 4  # of a random response: level, tilt, and two waves
_NOISE = (5.0, 35.0)  # dB of a clip above its noise
_SILENCE = 0.15  # s of near silence that may be put before a clip, and after it
_HUSH = (35.0, 70.0)  # dB of a clip above that
_BANDS, _STRETCHES = 2, 2  # masks of SpecAugment


@dataclass(frozen=True)
class Perturbation:
    """How far a clip may go from what it was.

    Args:
        speed: share by which it is played faster or slower, pitch and formants with it.
        warp: share by which frequencies are stretched, as by a longer or shorter vocal tract.
        gain: dB of the level, and of a smooth random response over frequency, as of another microphone.
        noise: share of clips that get noise of a random colour, from 5 to 35 dB below them.
        masks: largest share of a clip's time and of the mel bins that one mask of SpecAugment hides.
    """

    speed: float
    warp: float
    gain: float
    noise: float
    masks: float


def _uniform(low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand(()))


def perturbed_sound(samples: NDArray[np.float32], rate: int, how: Perturbation) -> NDArray[np.float32]:
    """Sound (N,) at another speed, with silence around it and noise."""
    if how.speed:
        samples = respeed(samples, 1 + _uniform(-how.speed, how.speed))
    level = float(np.sqrt(np.square(samples).mean()))
    hush = level * 10 ** (-_uniform(*_HUSH) / 20)
    around = [hush * _noise(int(_uniform(0.0, _SILENCE) * rate), 0.0) for _ in range(2)]
    samples = np.concatenate((around[0], samples, around[1]))
    if _uniform(0.0, 1.0) >= how.noise:
        return samples
    return samples + level * 10 ** (-_uniform(*_NOISE) / 20) * _noise(len(samples), _uniform(0.0, 2.0))


def _noise(samples: int, colour: float) -> NDArray[np.float32]:
    """Noise of power 1 whose spectrum falls as frequency^−colour: 0 white, 1 pink, 2 brown."""
    if samples < 2:
        return np.zeros(samples, dtype=np.float32)
    # A power of two is far faster to turn than most other lengths.
    spectrum_F = torch.fft.rfft(torch.randn(1 << (samples - 1).bit_length()))
    steep_F = torch.arange(1, len(spectrum_F) + 1, dtype=torch.float32).pow(-colour / 2)
    noise_N = torch.fft.irfft(spectrum_F * steep_F)[:samples]
    return np.asarray(noise_N / noise_N.square().mean().sqrt().clamp_min(1e-9), dtype=np.float32)


def perturbed_features(x_TBM: Tensor, how: Perturbation, mel: LogMel | None) -> Tensor:
    """Log energies of other voices through other microphones.

    Args:
        mel: what the features are; None: not known, so that frequencies cannot be warped.
    """
    _, B, M = x_TBM.shape
    if mel is not None and how.warp:
        x_TBM = torch.einsum("tbm,bmn->tbn", x_TBM, _warps(B, mel, how.warp))
    if how.gain:
        at_M = torch.linspace(0, 1, M)
        waves = [torch.cos(torch.pi * k * at_M) for k in range(_CURVES)]
        curves_KM = torch.stack(waves)
        nats = how.gain * np.log(10) / 10
        size_K = nats * torch.tensor([1.0] + [0.5] * (_CURVES - 1))
        x_TBM = x_TBM + ((torch.rand(B, _CURVES) * 2 - 1) * size_K) @ curves_KM
    return x_TBM.clamp_min(FLOOR) if mel is not None else x_TBM


def _warps(B: int, mel: LogMel, most: float) -> Tensor:
    """(B, M, M) matrices that read each bin at a stretched frequency, between the two bins next to it."""
    M = mel.mels
    low, high = (1127 * np.log1p(hz / 700) for hz in (mel.low_hz, mel.rate / 2))
    centres_M = low + (high - low) * torch.arange(1, M + 1) / (M + 1)
    hz_M = 700 * torch.expm1(centres_M / 1127)
    alpha_B1 = torch.exp((torch.rand(B, 1) * 2 - 1) * np.log1p(most))
    mel_BM = 1127 * torch.log1p(hz_M * alpha_B1 / 700)
    at_BM = ((mel_BM - low) / (high - low) * (M + 1) - 1).clamp(0, M - 1)
    under_BM = at_BM.floor().clamp_max(M - 2)
    share_BM = (at_BM - under_BM)[:, None]
    rows_1M1 = torch.arange(M)[None, :, None]
    under_B1M = under_BM[:, None]
    warp_BMM: Tensor = (rows_1M1 == under_B1M) * (1 - share_BM) + (rows_1M1 == under_B1M + 1) * share_BM
    return warp_BMM


def masked(x_TBM: Tensor, lengths_B: Tensor, most: float) -> Tensor:
    """SpecAugment without its warping of time: stretches of frames and bands of bins are set to 0, their mean.

    **Source** [Park2019].
    """
    if not most:
        return x_TBM
    T, B, M = x_TBM.shape
    hidden_TBM = torch.zeros((T, B, M), dtype=torch.bool)
    for _ in range(_STRETCHES):
        hidden_TBM |= _mask(T, lengths_B, most)[:, :, None]
    for _ in range(_BANDS):
        hidden_TBM |= _mask(M, torch.full((B,), M), most).T[None]
    return x_TBM.masked_fill(hidden_TBM, 0.0)


def _mask(places: int, of_B: Tensor, most: float) -> Tensor:
    """(places, B) a stretch of a random length of at most `most` of `of`, somewhere in it."""
    B = len(of_B)
    long_B = torch.rand(B) * most * of_B
    first_B = torch.rand(B) * (of_B - long_B)
    at = torch.arange(places)[:, None]
    return (at >= first_B) & (at < first_B + long_B - 0.5)
