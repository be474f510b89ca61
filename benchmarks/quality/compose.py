"""How well composers know and write music: piano rolls, folk tunes by style, chorales under a given soprano.

    python benchmarks/quality/compose.py --data ../shared/data --parts frames --sets JSB_Chorales \
        --out benchmarks/results/compose.json

    frames   NLL per time step of piano rolls, splits of Boulanger-Lewandowski: (a) averaged over the steps of whole
             pieces, (b) over windows of 200 steps of equal weight without silent frames; independent keys, joint keys
    styles   Nottingham tunes, the books as styles: whether a classifier of this project knows what was written for
             a style, histograms, copies, repetition
    chorales sopranos of the validation set harmonised: parallel fifths and octaves and notes out of range, beside Bach

A run that stands in --out with the same settings is not made again.
"""

import argparse
import json
import os
import statistics
import tarfile
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import DEFAULT_MACHINE, write

from throughtime import Classifier, Composer, __version__
from throughtime.data.music import Piece, piece_from_roll, read_music, read_rolls, roll_from_piece
from throughtime.tasks.compose import histograms, overlaps
from throughtime.tasks.compose.evaluation import per_window
from throughtime.tasks.compose.events_view import most_repeats
from throughtime.tasks.compose.frames import LOWEST

PUBLISHED = {
    "a, whole pieces": {"JSB_Chorales": {"LSTM": 8.45, "TCN": 8.10}, "Nottingham": {"LSTM": 3.29, "TCN": 3.07}},
    "b, windows of 200": {
        "JSB_Chorales": {"LSTM": 8.33, "RRU": 7.72}, "Nottingham": {"LSTM": 3.25, "RRU": 2.92},
        "MuseData": {"LSTM": 7.24, "RRU": 7.03}, "Piano_midi": {"LSTM": 7.54, "RRU": 7.38},
    },
    "joint": {"Nottingham": {"RNN-NADE": 2.31}, "JSB_Chorales": {"RNN-NADE": 5.56}},
}  # fmt: skip
ASKED = {
    "a": {"JSB_Chorales": 8.10, "Nottingham": 3.07},
    "b": {"JSB_Chorales": 7.72, "Nottingham": 2.92, "MuseData": 7.03, "Piano_midi": 7.38},
    "styles": "recognised at 0.8 of the accuracy on real tunes, overlaps 0.85, copies of 2 bars in under 5 % of pieces",
}
SETS = ("JSB_Chorales", "Nottingham", "MuseData", "Piano_midi")
FRAMES: dict[str, Any] = {
    "view": "frames", "num_layers": 1, "window": 200, "batch_size": 8, "transpose": 0, "optimizer": "adamw",
    "ema": 0.99, "hidden_size": 300,
}  # fmt: skip
PHRASES, BEATS = [24, 32, 48, 64, 96], [2, 4, 8, 16, 32]  # frames back: of dances, and of what has no such phrases
RECIPES: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("JSB_Chorales", "independent"): [
        {"dropout": 0.75, "input_dropout": 0.2, "weight_dropout": 0.4, "epochs": 80, "learning_rate": 1.5e-2},
        {"hidden_size": 500, "dropout": 0.8, "input_dropout": 0.2, "epochs": 60, "learning_rate": 1.2e-2},
    ],
    ("JSB_Chorales", "joint"): [{"dropout": 0.7, "input_dropout": 0.2, "epochs": 60, "learning_rate": 8e-3}],
    ("Nottingham", "independent"): [
        {"dropout": 0.3, "epochs": 24, "learning_rate": 1e-2},
        {"dropout": 0.4, "epochs": 12, "learning_rate": 1e-2, "lags": PHRASES},
    ],
    ("Nottingham", "joint"): [{"dropout": 0.4, "epochs": 8, "learning_rate": 1e-2, "lags": PHRASES}],
    ("MuseData", "independent"): [{"dropout": 0.4, "epochs": 6, "learning_rate": 8e-3, "lags": BEATS}],
    ("MuseData", "joint"): [{"dropout": 0.4, "epochs": 6, "learning_rate": 8e-3, "lags": BEATS}],
    ("Piano_midi", "independent"): [
        {"dropout": 0.5, "input_dropout": 0.1, "epochs": 8, "learning_rate": 8e-3, "lags": BEATS},
    ],
    ("Piano_midi", "joint"): [
        {"dropout": 0.5, "input_dropout": 0.1, "epochs": 12, "learning_rate": 8e-3, "lags": BEATS, "transpose": 5},
    ],
}
STYLES: dict[str, Any] = {
    "melody": True, "hidden_size": 256, "num_layers": 1, "embedding_size": 64, "dropout": 0.3, "transpose": 0,
    "window": 96, "batch_size": 16, "epochs": 12, "ema": 0.99, "learning_rate": 5e-3,
}  # fmt: skip
CHORALES: dict[str, Any] = {
    "view": "frames", "head": "joint", "frame": 6, "given": True, "hidden_size": 256, "num_layers": 1, "dropout": 0.5,
    "input_dropout": 0.1, "transpose": 3, "batch_size": 8, "window": 200, "ema": 0.99, "learning_rate": 5e-3,
    "optimizer": "adamw", "epochs": 30,
}  # fmt: skip
RANGES = ((60, 81), (53, 76), (48, 69), (40, 64))  # soprano, alto, tenor, bass


def frames(name: str, head: str, seed: int, data: Path, recipe: dict[str, Any]) -> dict[str, Any]:
    rolls = read_rolls(data / "music/polyphonic-icml2012" / f"{name}.mat")
    composer = Composer(head=head, seed=seed, **recipe)
    began = time.process_time()
    composer.fit(rolls["train"], validation=rolls["valid"])
    minutes = (time.process_time() - began) / 60
    found = {part: composer.evaluate(rolls[part]) for part in ("valid", "test")}
    return {
        "part": "frames", "set": name, "head": head, "seed": seed, "recipe": recipe,
        "parameters": composer.n_parameters_, "epochs": len(composer.history_.history),
        "best_epoch": composer.history_.best_epoch, "cpu_minutes": round(minutes, 2),
        "a": {part: round(one.metrics["model"]["nats_per_step"], 4) for part, one in found.items()},
        "b": {part: round(per_window(composer.model_, rolls[part]), 4) for part in found},
        "baselines": {n: round(m["nats_per_step"], 3) for n, m in found["test"].metrics.items() if n != "model"},
    }  # fmt: skip


def tunes(data: Path) -> list[Piece]:
    """The tunes as written, melody alone; the six books of reels are one style."""
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(data / "music/nottingham/nottingham-abc-midi.tar.gz") as archive:
            archive.extractall(folder, filter="data")
        found = []
        for book in sorted(Path(folder).rglob("ABC_cleaned/*.abc")):
            style = "reels" if book.stem.startswith("reels") else book.stem
            found += [replace(piece.melody(), style=style) for piece in read_music(book)]
    return found


def words(piece: Piece) -> str:
    """A tune as a text of steps and lengths, in no key, for a classifier."""
    notes = piece.notes.tolist()
    said = [f"metre{piece.metres[0]}"]
    bars = {bar.begin for bar in piece.bars}
    for before, (onset, duration, pitch, _) in zip([None, *notes], notes, strict=False):
        if onset in bars:
            said.append("bar")
        said.append(f"{0 if before is None else pitch - before[2]}:{duration}")
    return " ".join(said)


def styles(seed: int, data: Path, minutes: float, model: Path | None) -> dict[str, Any]:
    pieces = tunes(data)
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(pieces))
    names = sorted({str(piece.style) for piece in pieces})
    test: list[int] = []
    for name in names:
        own = [int(i) for i in order if pieces[i].style == name]
        test += own[: max(1, len(own) // 10)]
    held = [pieces[i] for i in test]
    rest = [piece for i, piece in enumerate(pieces) if i not in set(test)]
    composer = Composer(seed=seed, **STYLES)
    if model is not None and (model / "model.json").exists():
        composer = Composer.load(model)
    else:
        composer.fit(rest, max_seconds=60 * minutes)
        if model is not None:
            composer.save(model)
    # A metre that no training tune is in cannot be said.
    held = [piece for piece in held if all(metre[1:] in composer.vocabulary_.metres for metre in piece.metres)]
    nll = composer.evaluate(held).metrics
    judge = Classifier(seed=seed, members=1, hidden_size=64, embedding_size=48)
    judge.fit([words(piece) for piece in rest], [str(piece.style) for piece in rest])
    wanted = [str(piece.style) for piece in held] * 2
    found: dict[str, Any] = {}
    for name, options in WRITINGS.items():
        began = time.process_time()
        pairs = [(i, style) for i, style in enumerate(wanted)]
        own = composer.write(style=[style for _, style in pairs], bars=None, seed=1, **options)
        spent = time.process_time() - began
        written = [one.piece for one in own]
        found[name] = {
            "options": options,
            "recognised": accuracy(judge, written, wanted),
            "overlaps": overlaps(histograms(written), histograms(pieces)),
            "copies of 2 bars": statistics.fmean(one.shared.bars >= 2 for one in own),
            "longest copy, bars": max(one.shared.bars for one in own),
            "longest copy, median bars": statistics.median(one.shared.bars for one in own),
            "most of one note": most_repeats(written),
            "bars that do not add up": sum(len(piece.notes) and piece.end > piece.length for piece in written),
            "cpu_seconds": round(spent, 1),
        }
    return {
        "part": "styles", "seed": seed, "recipe": STYLES, "minutes": minutes, "styles": names,
        "tunes": {"training": len(rest), "test": len(held), "written": len(wanted)},
        "nats": nll, "epochs": len(composer.history_.history),
        "real": {
            "recognised": accuracy(judge, held, [str(piece.style) for piece in held]),
            "overlaps": overlaps(histograms(held), histograms(rest)),
            "most of one note": most_repeats(pieces),
            "copies of 2 bars": statistics.fmean(
                composer.copies_.longest(piece, piece.metres[0].bar).bars >= 2 for piece in held
            ),
        },
        "written": found,
    }  # fmt: skip


WRITINGS: dict[str, dict[str, Any]] = {
    "by default": {},
    "temperature 0.9": {"temperature": 0.9},
    "copies not avoided": {"max_copy": None},
}


def accuracy(judge: Classifier, pieces: list[Piece], wanted: list[str]) -> float:
    found = judge.predict([words(piece) for piece in pieces])
    return statistics.fmean(str(a) == b for a, b in zip(found, wanted, strict=True))


def chorales(seed: int, data: Path, minutes: float, model: Path | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(data / "music/jsb-chorales/jsb-chorales-json.tar.gz") as archive:
            archive.extractall(folder, filter="data")
        sixteenths = read_rolls(next(Path(folder).rglob("Jsb16thSeparated.json")))
    frame = CHORALES["frame"]
    rolls = {part: [roll[:: frame // 3] for roll in found] for part, found in sixteenths.items()}
    composer = Composer(seed=seed, **CHORALES)
    if model is not None and (model / "model.json").exists():
        composer = Composer.load(model)
    else:
        composer.fit(rolls["train"], validation=rolls["valid"], max_seconds=60 * minutes)
        if model is not None:
            composer.save(model)
    real = [piece_from_roll(roll, frame) for roll in rolls["valid"]]
    written = {
        name: [composer.harmonise(piece, seed=seed, **options)[0].piece for piece in real]
        for name, options in HARMONIES.items()
    }
    return {
        "part": "chorales", "seed": seed, "recipe": CHORALES, "minutes": minutes, "sopranos": len(real),
        "epochs": len(composer.history_.history),
        "nats per frame below the soprano": composer.evaluate(rolls["valid"]).metrics["model"]["nats_per_step"],
        "per bar": {name: faults(pieces, frame) for name, pieces in (written | {"Bach": real}).items()},
    }  # fmt: skip


HARMONIES: dict[str, dict[str, Any]] = {
    "by default": {},
    "temperature 1": {"temperature": 1.0},
    "greedy": {"greedy": True},
}


def faults(pieces: list[Piece], frame: int) -> dict[str, float]:
    """Parallel fifths and octaves, and notes outside their voice's range, a bar of four quarters.

    Voices are the four notes of a frame from the highest down; frames of other numbers of notes end a row of voices.
    """
    fifths = octaves = outside = full = frames = 0
    for piece in pieces:
        before: list[int] | None = None
        roll = roll_from_piece(piece, frame)
        frames += len(roll)
        for sounding in roll:
            now = (np.flatnonzero(sounding)[::-1] + LOWEST).tolist()
            if len(now) != 4:
                before = None
                continue
            full += 1
            outside += sum(not low <= pitch <= high for pitch, (low, high) in zip(now, RANGES, strict=True))
            if before is not None:
                for a in range(4):
                    for b in range(a + 1, 4):
                        same = (now[a] - now[b]) % 12 == (before[a] - before[b]) % 12
                        if same and (now[a] - before[a]) * (now[b] - before[b]) > 0:
                            fifths += (now[a] - now[b]) % 12 == 7
                            octaves += (now[a] - now[b]) % 12 == 0
            before = now
    bars = frames * frame / 48
    return {
        "parallel fifths": round(fifths / bars, 4), "parallel octaves": round(octaves / bars, 4),
        "out of range": round(outside / bars, 4), "frames of four notes": round(full / frames, 4),
    }  # fmt: skip


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The least figures on the test parts, chosen by the validation parts."""
    found: dict[str, Any] = {}
    for head in ("independent", "joint"):
        for name in SETS:
            own = [run for run in runs if run["part"] == "frames" and (run["set"], run["head"]) == (name, head)]
            for column in ("a", "b"):
                if own:
                    best = min(own, key=lambda run: run[column]["valid"])
                    found.setdefault(f"{head}, {column}", {})[name] = best[column]["test"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("THROUGHTIME_DATA", "../shared/data")))
    parser.add_argument("--parts", default="frames,styles,chorales")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--heads", default="independent,joint")
    parser.add_argument("--epochs", type=int, help="of frames, in place of the recipe's")
    parser.add_argument("--minutes", type=float, default=12.0, help="of training for styles and chorales")
    parser.add_argument("--model", type=Path, help="folder that keeps the models of styles and chorales")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--machine", default=DEFAULT_MACHINE)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    about: dict[str, Any] = {
        "machine": given.machine,
        "versions": {"throughtime": __version__, "torch": torch.__version__},
        "threads": given.threads,
        "published": PUBLISHED,
        "asked_for": ASKED,
    }

    def kept(part: str) -> Path | None:
        return None if given.model is None else given.model / part

    jobs: list[tuple[dict[str, Any], Any]] = []
    for part in given.parts.split(","):
        if part == "frames":
            for head in given.heads.split(","):
                for name in given.sets.split(","):
                    for recipe in RECIPES[name, head]:
                        own = FRAMES | recipe | ({} if given.epochs is None else {"epochs": given.epochs})
                        key = {"part": part, "set": name, "head": head, "seed": given.seed, "recipe": own}
                        jobs.append((key, lambda n=name, h=head, r=own: frames(n, h, given.seed, given.data, r)))
        elif part == "styles":
            key = {"part": part, "seed": given.seed, "recipe": STYLES, "minutes": given.minutes}
            jobs.append((key, lambda: styles(given.seed, given.data, given.minutes, kept("styles"))))
        else:
            key = {"part": part, "seed": given.seed, "recipe": CHORALES, "minutes": given.minutes}
            jobs.append((key, lambda: chorales(given.seed, given.data, given.minutes, kept("chorales"))))
    for key, job in jobs:
        runs = json.loads(given.out.read_text())["runs"] if given.out is not None and given.out.exists() else []
        if any(all(run.get(name) == value for name, value in key.items()) for run in runs):
            continue
        found = job()
        print(json.dumps({name: value for name, value in found.items() if name != "recipe"}), flush=True)
        runs = json.loads(given.out.read_text())["runs"] if given.out is not None and given.out.exists() else []
        runs.append(found)
        write(about | {"summary": summary(runs), "runs": runs}, given.out)


if __name__ == "__main__":
    main()
