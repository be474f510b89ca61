"""How fast a transcriber hears: whole files, pieces of 20 ms while they come, and whether memory grows over an hour.

The net is that of `Transcriber()` with the digits of FSDD, its weights as they were drawn: what it hears takes the same
time whatever it has learned, but for the beam, which is made to work by sound in which words are heard at random. One
thread; the processor's time, since other programs run beside it.

    python -m benchmarks.speed.transcribe --out benchmarks/results/transcribe_speed.json
"""

import argparse
import json
import platform
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from throughtime import Transcriber, __version__
from throughtime.datasets import spoken
from throughtime.tasks.transcribe import Decoding

RATE, PIECE = 8000, 160
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def model(**options: Any) -> Transcriber:
    """A transcriber of ten words, hardly trained."""
    clips = spoken(20, 0, least=1, most=1)
    texts = [WORDS[i % 10] for i in range(20)]
    return Transcriber(epochs=1, unit="word", **options).fit([tuple(clip.sound) for clip in clips], texts)


def speech(seconds: float, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Made-up voices, sentence after sentence."""
    drawn = spoken(int(seconds / 1.5) + 8, seed)
    return np.concatenate([clip.sound.samples for clip in drawn])[: int(seconds * RATE)]


def offline(transcriber: Transcriber, seconds: float, rounds: int, decoding: Decoding) -> float:
    """Seconds of work for a second of sound: the median round."""
    sound = speech(seconds)
    told = []
    for _ in range(rounds):
        began = time.process_time()
        transcriber.transcribe([(sound, RATE)], decoding)
        told.append((time.process_time() - began) / seconds)
    return float(np.median(told))


def streamed(transcriber: Transcriber, seconds: float) -> dict[str, float]:
    """ms of work for a piece of 20 ms: mean, median, and the worst of a hundred."""
    sound, stream, told = speech(seconds, 1), transcriber.stream(RATE), []
    for begin in range(0, len(sound), PIECE):
        began = time.process_time()
        stream.feed(sound[begin : begin + PIECE])
        told.append(1000 * (time.process_time() - began))
    return {
        "mean_ms": round(float(np.mean(told)), 4),
        "median_ms": round(float(np.median(told)), 4),
        "p99_ms": round(float(np.percentile(told, 99)), 4),
    }


def memory(transcriber: Transcriber, minutes: float) -> dict[str, float]:
    """The process' largest resident memory, in MB, after the first tenth of the time and at its end."""
    sound, stream = speech(60.0, 2), transcriber.stream(RATE)
    marks = []
    for minute in range(round(minutes)):
        for begin in range(0, len(sound), 10 * PIECE):
            stream.feed(sound[begin : begin + 10 * PIECE])
        if minute + 1 in (max(round(minutes / 10), 1), round(minutes)):
            marks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return {"minutes": minutes, "first_tenth_mb": round(marks[0], 1), "end_mb": round(marks[-1], 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="of sound, for each figure")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=60.0, help="of streamed sound, for the memory")
    parser.add_argument("--machine", default="2-core x86-64 (Zen 4)")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    both, one_way = model(), model(bidirectional=False)
    found: dict[str, Any] = {
        "machine": given.machine,
        "versions": {"throughtime": __version__, "python": platform.python_version(), "torch": torch.__version__},
        "asked": "offline 0.02 s a second of sound; 1 ms for 20 ms streamed; constant memory over an hour",
        "parameters": sum(p.numel() for p in both.model_.parameters()),
    }
    for name, decoding in (("likeliest path", Decoding(width=1)), ("beam of 8", Decoding())):
        found[f"offline, both ways, {name}"] = round(offline(both, given.seconds, given.rounds, decoding), 5)
    found["streamed"] = streamed(one_way, given.seconds)
    found["memory"] = memory(one_way, given.minutes)
    print(json.dumps(found, indent=1))
    if given.out is not None:
        given.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
