"""A recognizer for ONNX Runtime: samples or frames in, the probability of every label out.

Axes in names: T time, B batch, C channels, H height, W width, K colours, L labels.
"""

from typing import Any

import torch
from torch import Tensor, nn

from throughtime.tasks.exported import Exported, Port
from throughtime.tasks.recognize.fitting import LONGEST
from throughtime.tasks.recognize.network import ActivityNet
from throughtime.tasks.recognize.reading import Reader
from throughtime.tasks.recognize.recognizer import Recognizer


class _Probability(nn.Module):
    def __init__(self, net: ActivityNet, reader: Reader) -> None:
        super().__init__()
        self.net = net
        scale = reader.mean, reader.deviation
        self.mean_C, self.deviation_C = (torch.tensor(numbers, dtype=torch.float64) for numbers in scale)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Samples (T, B, C) in their own units, or frames (T, B, H, W, K)."""
        if self.net.encoder is None:
            e_TBE = ((x - self.mean_C) / self.deviation_C).float()
        else:
            # Of all steps: those past a length go into an image of their own, which nothing reads.
            images = x.flatten(0, 1).permute(0, 3, 1, 2)
            scaled = (images.float() - self.net.image_mean) / self.net.image_deviation
            e_TBE = self.net.encoder.module(scaled).unflatten(0, (x.shape[0], x.shape[1]))
        return self.net.probability(self.net.scored(e_TBE, lengths))


def exported(recognizer: Recognizer) -> Exported:
    """What `export_onnx` writes."""
    r, reader = recognizer, recognizer.reader_
    T, B = 3, 2
    if reader.size is None:
        name, C = "samples", len(reader.channels)
        x = Port(
            torch.zeros((T, B, C), dtype=torch.float64),
            ("time", "batch", "channels"),
            "of 'channels', in their own units, at 'rate', without gaps; any past a length",
        )
    else:
        name = "frames"
        shape = (T, B, *reader.size)
        x = Port(
            torch.zeros(shape, dtype=torch.uint8), ("time", "batch", "height", "width", "colours"), "images at 'rate'"
        )
    d = r.model_.design
    outputs: dict[str, tuple[tuple[str, ...], str]] = {
        "probability": (("time", "batch", "labels"), "of each of 'labels' at every step, calibrated; any past a length")
        if d.aligned
        else (("batch", "labels"), "of each of 'labels', calibrated")
    }
    around: dict[str, Any] = {
        "labels": list(r.labels_.names),
        "aligned": d.aligned,
        "channels": list(reader.channels),
        "rate": reader.rate,
        "window": None if d.aligned else LONGEST if r.window is None else max(2, round(r.window * reader.rate)),
        "clips": r.clips,
        "smoothing": r.smoothing_,
        "preprocessing": {
            "steps": "step k holds the mean of the samples (the last of the frames) in [k - 1/2, k + 1/2) / rate "
            "seconds after the first; without times each sample is a step",
            "gaps": "a step without a sample takes what the last one had, before the first one 'mean'",
            "mean": list(reader.mean),
            "window": "of a longer recording, 'clips' stretches of 'window' steps evenly spread, or the middle one"
            if not d.aligned
            else None,
        },
        "postprocessing": {
            "decide": "the label with the highest mean probability of the stretches"
            if not d.aligned
            else "at each step the label with the highest probability, averaged over 'smoothing' seconds around it",
        },
    }
    return Exported(
        module=_Probability(r.model_, reader),
        inputs={name: x, "lengths": Port(torch.tensor([T, 2]), ("batch",), "how many steps each row has, from 1")},
        outputs=outputs,
        open_axes=("time", "batch"),
        around=around,
    )
