"""A transcriber of a home's commands: sentences of a small grammar, spoken by espeak-ng, that it has not heard.

Voices, pitch, rate and noise are drawn for each sentence; sentences of the test are none of the training. Measured are
the word error rate with and without an n-gram language model, which `write_arpa` counts on the training sentences.
Without espeak-ng on the path it says so, and does nothing.

    python benchmarks/quality/transcribe_sentences.py --out benchmarks/results/transcribe.json
"""

import argparse
import json
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import DEFAULT_MACHINE

from throughtime import Transcriber
from throughtime._atomic import replacing
from throughtime.data.sound import read_sound, write_arpa
from throughtime.tasks.transcribe import Decoding

RATE = 8000
ROOMS = ("kitchen", "bedroom", "bathroom", "garage", "hall", "office")
THINGS = ("light", "fan", "radio", "heating", "television")
NUMBERS = ("two", "five", "eight", "ten", "twelve", "fifteen", "twenty", "thirty")
SHAPES = (
    "please? turn on/off the {thing} in the {room}",
    "please? set the {thing} in the {room} to {number}",
    "wake me in {number} minutes/hours please?",
    "is the {thing} in the {room} on/off",
    "open/close the door/window of the {room} after {number} minutes/hours",
    "play song {number} in the {room} and the {room}",
)
VOICES = ("en-gb", "en-us", "en-gb-scotland", "en-gb-x-rp", "en-029")
VARIANTS = ("", "+m1", "+m3", "+m5", "+m7", "+f1", "+f2", "+f3", "+f4")
NOISE = (10.0, 40.0)  # dB of a sentence above it


def sentence(rng: np.random.Generator) -> str:
    """One of the grammar: `a/b` is either, `a?` is there or not, `{room}` is a word of that kind."""
    words = []
    for part in str(rng.choice(SHAPES)).split():
        if part.endswith("?"):
            words += [part[:-1]] if rng.random() < 0.5 else []
        elif part.startswith("{"):
            words.append(str(rng.choice({"{room}": ROOMS, "{thing}": THINGS, "{number}": NUMBERS}[part])))
        else:
            words.append(str(rng.choice(part.split("/"))))
    return " ".join(words)


def sentences(n: int, rng: np.random.Generator, without: set[str]) -> list[str]:
    """As many, each once, none of those."""
    found: dict[str, None] = {}
    while len(found) < n:
        text = sentence(rng)
        if text not in without:
            found[text] = None
    return list(found)


def spoken(texts: list[str], rng: np.random.Generator, folder: Path) -> list[tuple[Any, int]]:
    """Sound of each, in some noise."""

    def say(order: tuple[int, str, list[str]]) -> Path:
        number, text, options = order
        path = folder / f"{number}.wav"
        subprocess.run(["espeak-ng", *options, "-w", str(path), text], check=True, capture_output=True)
        return path

    orders = [
        (i, text, ["-v", str(rng.choice(VOICES)) + str(rng.choice(VARIANTS)), "-s", str(rng.integers(120, 200)),
                   "-p", str(rng.integers(20, 80))])
        for i, text in enumerate(texts)
    ]  # fmt: skip
    made = []
    with ThreadPoolExecutor(2) as pool:
        for path in pool.map(say, orders):
            samples = read_sound(path, RATE).samples
            level = float(np.sqrt(np.square(samples).mean())) * 10 ** (-rng.uniform(*NOISE) / 20)
            made.append((samples + (level * rng.standard_normal(len(samples))).astype(np.float32), RATE))
    return made


def measured(options: dict[str, Any], n_train: int, n_test: int, seed: int) -> dict[str, Any]:
    """WER in percent of sentences that were not trained on."""
    rng = np.random.default_rng(seed)
    train = sentences(n_train, rng, set())
    test = sentences(n_test, rng, {*train})
    with tempfile.TemporaryDirectory() as folder:
        clips, later = spoken(train, rng, Path(folder)), spoken(test, rng, Path(folder))
        began = time.process_time()
        model = Transcriber(**options, seed=seed).fit(clips, train)
        seconds = time.process_time() - began
        write_arpa(Path(folder) / "phrases.arpa", train, order=3)
        known = Decoding(ngrams=Path(folder) / "phrases.arpa")
        alone, helped = model.evaluate(later, test), model.evaluate(later, test, decoding=known)
    return {
        "wer": alone.model.wer,
        "wer with language model": helped.model.wer,
        "sentences right": alone.model.clips,
        "sentences right with language model": helped.model.clips,
        "words": alone.words,
        "vocabulary": len({word for text in train for word in text.split()}),
        "training sentences": n_train,
        "unit": model.units_.name,
        "calibration_error": alone.reliability.error,
        "training_seconds": round(seconds, 1),
        "real_time_factor": round(alone.real_time_factor, 5),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, nargs=2, default=[600, 150], help="to train on, to test on")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--options", type=json.loads, default={}, help="of the transcriber, as JSON")
    parser.add_argument("--machine", default=DEFAULT_MACHINE)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if shutil.which("espeak-ng") is None:
        print("espeak-ng is not installed (apt-get install espeak-ng): the sentences are left out")
        return
    torch.set_num_threads(1)
    for seed in given.seeds:
        row = measured(given.options, *given.sentences, seed)
        print(seed, row, flush=True)
        if given.out is not None:
            content = json.loads(given.out.read_text()) if given.out.exists() else {}
            key = f"seed {seed}" if not given.options else f"seed {seed}, {json.dumps(given.options)}"
            content.setdefault("sentences", {})[key] = row
            content.setdefault("asked", {})["sentences"] = "WER <= 5"
            content["machine"] = given.machine
            with replacing(given.out) as temporary:
                temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
