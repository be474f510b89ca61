"""Vectors of frames by an encoder of one's own, kept on disk.

Axes in names: T frames, H height, W width, K colours, E features.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from throughtime._atomic import replacing
from throughtime.data.recording import Recording
from throughtime.data.video.reading import is_frame_folder, read_frames
from throughtime.errors import ArgumentError, DataError
from throughtime.models.modes import evaluating
from throughtime.training import fingerprint

_AT_ONCE = 64  # frames


class FrameFeatures:
    """Videos as sequences of vectors, for `Recognizer`: each frame through an encoder, once.

    What was found is kept in a folder, under a name made of the content of the video, of the encoder's weights and of
    how frames are read: a changed file, encoder or size is encoded anew, a renamed file is not.

    **Shapes** the encoder is called with (T, K, H, W) float32 from 0 to 1, and gives (T, E).

    Args:
        encoder: maps images to vectors; runs in evaluation, without gradients.
        cache: the folder; made where it is not there.
        rate: frames a second.
        size: (width, height).
        grey: one colour in place of three.
    """

    def __init__(
        self, encoder: nn.Module, cache: str | os.PathLike[str], *, rate: float = 10.0,
        size: tuple[int, int] = (64, 48), grey: bool = False,
    ) -> None:  # fmt: skip
        self.encoder, self.cache = encoder, Path(cache)
        self.rate, self.size, self.grey = rate, size, grey
        self.encoded = 0
        """Videos that were encoded, not found in the cache."""

    def read(self, paths: Sequence[str | os.PathLike[str]]) -> list[Recording]:
        """Each video or folder of frames as (T, E), with its times.

        Raises:
            DataError: as `throughtime.data.video.read_frames`; a cache that cannot be written.
            ArgumentError: an encoder that gives no vector for each frame.
        """
        try:
            self.cache.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(
                f"{self.cache}: expected a folder to write in, got {error.strerror}; give another"
            ) from error
        weights = fingerprint(list(self.encoder.state_dict().items()), type(self.encoder).__qualname__)
        return [self._one(Path(path), weights) for path in paths]

    def _one(self, path: Path, weights: str) -> Recording:
        digest = hashlib.sha256(repr((weights, self.rate, tuple(self.size), self.grey)).encode())
        files = sorted(path.iterdir()) if is_frame_folder(path) else [path]
        for file in files:
            if not file.exists():
                raise DataError(f"{path}: expected a video to read, got no such file; check the path")
            digest.update(file.read_bytes())
        target = self.cache / f"{digest.hexdigest()[:32]}.npy"
        if target.exists():
            kept = np.load(target)
            return self._recording(kept[:, 1:].astype(np.float32), kept[:, 0], path)
        read = read_frames(path, rate=self.rate, size=self.size, grey=self.grey)
        images = torch.from_numpy(read.values).permute(0, 3, 1, 2)
        with torch.inference_mode(), evaluating(self.encoder):
            found = torch.cat([self.encoder(part.float() / 255) for part in images.split(_AT_ONCE)])  # type: ignore[no-untyped-call]
        if found.dim() != 2 or len(found) != len(images):
            raise ArgumentError(
                f"FrameFeatures: expected a vector for each of {len(images)} frames, got {tuple(found.shape)}; pool "
                "the encoder's output over places"
            )
        self.encoded += 1
        assert read.times is not None
        with replacing(target) as temporary, temporary.open("wb") as opened:
            np.save(opened, np.column_stack((read.times, found.double().numpy())))
        return self._recording(found.numpy(), read.times, path)

    def _recording(self, values: np.ndarray, times: np.ndarray, path: Path) -> Recording:
        channels = tuple(f"feature {i}" for i in range(values.shape[1]))
        return Recording(values, str(path), times, group=str(path), channels=channels)
