"""How fast activity is recognised: frames a second from a file, decoding counted, and one sample of a stream.

frames    a video of 160 × 120 through `Recognizer.predict`: decoded, scaled, encoded, labelled
stream    the same video frame by frame through `Recognizer.stream`
sample    one sample of six channels through the stream of a one-way model of two layers

python benchmarks/speed/recognize.py --out benchmarks/results/recognize_speed.json
"""

import argparse
import json
import platform
import statistics
import time
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np
import torch

from benchmarks.quality.common import DEFAULT_MACHINE, write
from throughtime import Recognizer, __version__
from throughtime.data.video import frames_of

FRAMES, SIDE, SAMPLES = 600, (160, 120), 2000
ASKED = {"frames_per_second": ">= 200", "microseconds_a_sample": "<= 50"}


def video(path: Path) -> Path:
    """Noise that moves: harder to decode than what cameras see."""
    rng = np.random.default_rng(0)
    ground = rng.integers(0, 255, (240, 320, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25)
        stream.width, stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        for k in range(FRAMES):
            image = np.roll(ground, (k % 120, 2 * k % 160), (0, 1))[: SIDE[1], : SIDE[0]]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = k, Fraction(1, 25)
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    return path


def of_frames(path: Path, rounds: int) -> dict[str, float]:
    """Every frame is read and labelled: the rate is the video's own."""
    rng = np.random.default_rng(0)
    clips = [rng.integers(0, 255, (8, 48, 64, 3)).astype(np.uint8) for _ in range(8)]
    labels = [["a"] * 4 + ["b"] * 4] * 8
    model = Recognizer(rate=25.0, epochs=1, bidirectional=False).fit(clips, labels)
    whole, streamed = [], []
    for _ in range(rounds):
        began = time.perf_counter()
        (found,) = model.predict([path])
        whole.append(len(found) / (time.perf_counter() - began))
        began, count, stream = time.perf_counter(), 0, model.stream()
        for frame in frames_of(path, size=(64, 48)):
            count += len(stream.feed(frame.image, frame.time))
        streamed.append(count / (time.perf_counter() - began))
    return {"frames_per_second": max(whole), "frames_per_second_in_a_stream": max(streamed)}


def of_samples(rounds: int) -> dict[str, float]:
    """The median of single calls in the best round."""
    rng = np.random.default_rng(0)
    sequences = [rng.normal(size=(40, 6)) for _ in range(8)]
    model = Recognizer(epochs=1, bidirectional=False).fit(sequences, [["a"] * 20 + ["b"] * 20] * 8)
    stream, samples = model.stream(), rng.normal(size=(SAMPLES, 6)).astype(np.float32)
    medians = []
    for _ in range(rounds):
        taken = []
        for sample in samples:
            began = time.perf_counter()
            stream.feed(sample)
            taken.append(time.perf_counter() - began)
        medians.append(1e6 * statistics.median(taken))
    return {"microseconds_a_sample": min(medians)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--machine", default=DEFAULT_MACHINE)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        found = of_frames(video(Path(folder) / "a.mp4"), given.rounds) | of_samples(given.rounds)
    content = {
        "command": "python benchmarks/speed/recognize.py",
        "machine": given.machine,
        "threads": torch.get_num_threads(),
        "versions": {
            "python": platform.python_version(), "throughtime": __version__, "torch": torch.__version__,
            "av": av.__version__,
        },
        "video": f"{FRAMES} frames of {SIDE[0]} x {SIDE[1]}, H.264",
        "asked": ASKED,
        **{name: round(value, 1) for name, value in found.items()},
    }  # fmt: skip
    print(json.dumps(content, indent=1))
    write(content, given.out)


if __name__ == "__main__":
    main()
