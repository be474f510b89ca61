"""Transcribers of spoken digits: the Free Spoken Digit Dataset, five speakers, ten digits, thirty recordings of each.

digits      trained on recordings 5 to 29 of all speakers, tested on 0 to 4: the share of clips that is right
speakers    trained on four speakers, tested on the fifth, each in turn
connected   three to seven clips joined with random gaps: WER of a model that reads both ways, and of one that streams
lookahead   the same of models that wait for 0, 100 and 300 ms of the future, and of the one that reads both ways;
            drawn beside --out

Clips of the training recordings are joined to train on, those of the test recordings to test on. Each row of --out that
stands there already is not measured again.

    python benchmarks/quality/transcribe.py digits --data ../shared/data --out benchmarks/results/transcribe.json
"""

import argparse
import json
import os
import re
import statistics
import tarfile
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from common import DEFAULT_MACHINE

from throughtime import Transcriber, __version__
from throughtime._atomic import replacing
from throughtime.data.sound import Sound, read_sound
from throughtime.datasets import joined_clips
from throughtime.report.style import COLOURS, INK, QUIET_INK, dress, new_figure, save

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TEST = range(5)  # recordings
ASKED = {
    "digits": "accuracy >= 98 (3 seeds)",
    "speakers": "mean accuracy >= 90",
    "connected": "WER <= 3 both ways, <= 5 streaming",
}
# One way alone, CTC takes longer to leave the state in which nothing is said.
ONE_WAY: dict[str, Any] = {"bidirectional": False, "epochs": 40}
# Joined clips are longer, so that fewer of them, heard less often, make as much sound.
CONNECTED: dict[str, Any] = {"batch_size": 12, "epochs": 20}
TRAIN_JOINED, TEST_JOINED = 700, 150
KINDS: dict[str, dict[str, Any]] = {
    "both ways": {},
    "one way, 0 ms": ONE_WAY,
    "one way, 100 ms": {**ONE_WAY, "lookahead_ms": 100},
    "one way, 300 ms": {**ONE_WAY, "lookahead_ms": 300},
}


class Recording:
    """One clip: what is said, by whom, which time."""

    def __init__(self, path: Path) -> None:
        digit, self.speaker, index = path.stem.split("_")
        self.path, self.word, self.index = path, WORDS[int(digit)], int(index)


def read(data: Path, folder: Path) -> list[Recording]:
    """All clips of the tar file, unpacked."""
    archive = data / "speech/fsdd/fsdd.tar"
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    return [Recording(path) for path in sorted(folder.rglob("*.flac")) if re.match(r"\d_\w+_\d+$", path.stem)]


def fitted(options: dict[str, Any], clips: list[Any], texts: list[str], seed: int) -> tuple[Transcriber, float]:
    """A model, and the processor seconds that its training took."""
    began = time.process_time()
    model = Transcriber(**options, seed=seed).fit(clips, texts)
    return model, time.process_time() - began


def measured(options: dict[str, Any], train: list[Recording], test: list[Recording], seed: int) -> dict[str, Any]:
    """Accuracy in percent of clips, and what was taken for what."""
    model, seconds = fitted(options, [r.path for r in train], [r.word for r in train], seed)
    found = model.evaluate([r.path for r in test], [r.word for r in test])
    return {
        "accuracy": found.model.clips,
        "wer": found.model.wer,
        "calibration_error": found.reliability.error,
        "training_seconds": round(seconds, 1),
        "real_time_factor": round(found.real_time_factor, 5),
        "parameters": sum(p.numel() for p in model.model_.parameters()),
        "wrong": [f"{c.said} heard as {c.heard or 'nothing'}" for c in found.clips if c.errors],
    }


def joined_up(recordings: list[Recording], n: int, seed: int) -> tuple[list[Any], list[str]]:
    """Joined clips as pairs (samples, rate), and their texts."""
    sounds = [Sound(*read_sound(r.path)) for r in recordings]
    made = joined_clips(sounds, [r.word for r in recordings], n, seed)
    return [(sound.samples, sound.rate) for sound, _ in made], [text for _, text in made]


def connected(options: dict[str, Any], train: list[Recording], test: list[Recording], seed: int) -> dict[str, Any]:
    """WER of joined clips; of a model that streams, of what it hears in pieces of 20 ms."""
    model, seconds = fitted({**CONNECTED, **options}, *joined_up(train, TRAIN_JOINED, seed), seed)
    clips, texts = joined_up(test, TEST_JOINED, seed + 1)
    found = model.evaluate(clips, texts)
    row = {
        "wer": found.model.wer,
        "words": found.words,
        "calibration_error": found.reliability.error,
        "training_seconds": round(seconds, 1),
        "real_time_factor": round(found.real_time_factor, 5),
    }
    if not model.bidirectional:
        heard = []
        for samples, rate in clips[:50]:
            stream, said = model.stream(rate), []
            for begin in range(0, len(samples), rate // 50):
                said += stream.feed(samples[begin : begin + rate // 50])
            heard.append(" ".join(one.text for one in said + stream.finish()))
        row["streamed as offline"] = heard == model.predict(clips[:50])
    return row


def rows_of(given: argparse.Namespace, recordings: list[Recording]) -> dict[str, Any]:
    """What is measured, by name of the row: a function without arguments."""
    train = [r for r in recordings if r.index not in TEST]
    test = [r for r in recordings if r.index in TEST]
    found: dict[str, Any] = {}
    for seed in given.seeds:
        if given.what == "digits":
            found[f"seed {seed}"] = lambda s=seed: measured(given.options, train, test, s)
        elif given.what == "speakers":
            for speaker in given.speakers or sorted({r.speaker for r in recordings}):
                others = [r for r in recordings if r.speaker != speaker]
                own = [r for r in recordings if r.speaker == speaker]
                found[f"{speaker}, seed {seed}"] = lambda o=others, w=own, s=seed: measured(given.options, o, w, s)
        else:
            kinds = ("both ways", "one way, 0 ms") if given.what == "connected" else tuple(KINDS)
            for kind in kinds:
                options = {**KINDS[kind], **given.options}
                found[f"{kind}, seed {seed}"] = lambda o=options, s=seed: connected(o, train, test, s)
    return found


def draw(section: dict[str, Any], path: Path) -> None:
    """WER over what a one-way model waits for, and that of one that waits for the end."""
    found: dict[str, list[float]] = {}
    for name, row in section.items():
        if "{" not in name:  # with the options of `KINDS` alone
            found.setdefault(name.split(", seed")[0], []).append(row["wer"])
    means = {name: statistics.fmean(found[name]) for name in KINDS}
    delays = {int(name.split()[-2]): means[name] for name in KINDS if name != "both ways"}
    figure = new_figure(6.0, 3.4)
    axes = figure.subplots()
    (colour, _), (other, _) = COLOURS[:2]
    axes.plot(list(delays), list(delays.values()), color=colour, linewidth=1.5, marker="o", label="one way")
    axes.axhline(means["both ways"], color=other, linestyle=(0, (4, 2)), linewidth=1.5, label="both ways")
    axes.set_xticks(list(delays))
    axes.set_ylim(bottom=0)
    dress(axes)
    axes.set_xlabel("look-ahead, ms", fontsize=9, color=QUIET_INK)
    axes.set_title("words wrong, %", fontsize=9, color=QUIET_INK, loc="left")
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    figure.suptitle("Connected digits: accuracy against delay", x=0.01, ha="left", fontsize=12, fontweight="bold")
    print(f"drawn in {save(figure, path)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("digits", "speakers", "connected", "lookahead"))
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("THROUGHTIME_DATA", "../shared/data")))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--speakers", nargs="+", help="to leave out, instead of each")
    parser.add_argument("--options", type=json.loads, default={}, help="of the transcriber, as JSON")
    parser.add_argument("--share", type=int, default=1, help="every so many clips alone, for a quick look")
    parser.add_argument("--machine", default=DEFAULT_MACHINE)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    content = json.loads(given.out.read_text()) if given.out is not None and given.out.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        recordings = read(given.data, Path(folder))[:: given.share]
        # lookahead's models are connected's, and two more.
        section = content.setdefault("connected" if given.what == "lookahead" else given.what, {})
        for name, measure in rows_of(given, recordings).items():
            key = name if not given.options else f"{name}, {json.dumps(given.options)}"
            if key in section:
                continue
            section[key] = measure()
            print(key, {k: v for k, v in section[key].items() if k != "wrong"}, flush=True)
            if given.out is not None:
                content["asked"] = ASKED
                content["machine"] = given.machine
                packages = ("torch", "numpy", "kaldi-native-fbank", "soxr", "jiwer")
                content["versions"] = {"throughtime": __version__, **{p: version(p) for p in packages}}
                with replacing(given.out) as temporary:
                    temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
        if given.what == "lookahead" and given.out is not None:
            draw(section, given.out.with_name("transcribe_lookahead.png"))
    figures = [row["accuracy"] if "accuracy" in row else row["wer"] for row in section.values()]
    print(f"{given.what}: mean {statistics.fmean(figures):.2f} of {len(figures)} rows")


if __name__ == "__main__":
    main()
