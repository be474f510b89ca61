"""Recognising activity: our figures beside baselines, on recordings that nobody has trained on.

    fingers   finger_gestures: recordings held out, the author's random hold-out beside it, which leaks
    har       sp_sw_har: leave subjects out, 5 folds, beside windowed statistics and gradient boosting
    depth     the same with 1 to 4 layers, residual and plain
    motions   clips made here whose class is visible only in the motion, beside single frames and shuffled ones
    falls     fall_adl_video: leave one person out, beside single frames; it is small

A run that was stopped goes on: what --out holds with the same settings is kept.

    python benchmarks/quality/recognize.py fingers --seeds 0 1 2 --out benchmarks/results/recognize.json
"""

import argparse
import json
import logging
import os
import re
import statistics
import tarfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from benchmarks.quality.common import DEFAULT_MACHINE, write
from throughtime import Recognizer, __version__
from throughtime.data.sensors import Columns, Recording, chains, read_recordings
from throughtime.data.video import read_frames
from throughtime.datasets import MOTIONS, motions
from throughtime.report.style import COLOURS, INK, QUIET_INK, dress, new_figure, save
from throughtime.tasks.recognize import grouped_folds
from throughtime.tasks.recognize.baseline import figures
from throughtime.tasks.recognize.segments import matched

PUBLISHED = {
    "fingers": {"the author's MLP, random hold-out of 25 %, which leaks": 97},
    "har": {"UCI HAR, another data set: LSTM": 91.65, "UCI HAR: residual BiLSTM": 94},
    "depth": {"UCI HAR: plain 3-layer BiLSTM": 78, "UCI HAR: residual BiLSTM": 94},
    "motions": {},
    "falls": {"UCF101, LRCN: single frame": 67.4, "UCF101, LRCN: LSTM": 68.2},
}
ASKED = {
    "fingers": ">= 97 on recordings held out", "har": "above gradient boosting", "depth": "the curve",
    "motions": ">= 98; single and shuffled frames at chance", "falls": "above single frames",
}  # fmt: skip
# What is not said follows from the data. Said are sizes of what has to be trained often (depth), how long to train, and
# what of few videos may be changed.
OPTIONS: dict[str, dict[str, Any]] = {
    "fingers": {},
    "har": {},
    "depth": {"rate": 12.5, "hidden_size": 24, "epochs": 12, "learning_rate": 6e-3, "around": 0.0},
    "motions": {},
    "falls": {"rate": 5.0, "size": (48, 36), "crop": 0.1, "flip": True, "colour": 0.2, "epochs": 30, "batch_size": 8},
}


def fingers(folder: Path, seed: int, options: dict[str, Any], given: argparse.Namespace) -> dict[str, Any]:
    """Each recording held out once: a row that is the one before, shifted by a point, is of one recording."""
    rows = read_recordings(folder / "finger_gestures" / "point_history.csv.gz", Columns(per_step=2))
    labels = [row.label for row in rows]
    groups = _shifted_by_one([row.values for row in rows])
    sessions = chains([row.values for row in rows])
    found: dict[str, Any] = {"rows": len(rows), "recordings": int(groups[-1]) + 1, "sessions": int(sessions[-1]) + 1}
    random = np.random.Generator(np.random.PCG64(seed)).permutation(len(rows))
    splits = {
        "recordings held out, 4 folds": grouped_folds(groups, labels, 4, seed),
        "random hold-out, which leaks": [np.sort(random[: len(rows) // 4])],
    }
    for name, parts in splits.items():
        right, leaks = dict.fromkeys(("model", "without order", "most frequent"), 0), []
        chosen = parts if given.folds is None else [parts[i] for i in given.folds if i < len(parts)]
        for out in chosen:
            kept = np.setdiff1d(np.arange(len(rows)), out)
            own = None if "random" in name else groups[kept].tolist()
            model = Recognizer(**options, seed=seed).fit([rows[i] for i in kept], groups=own)
            evaluation = model.evaluate([rows[i] for i in out])
            for other, scores in evaluation.scores.items():
                right[other] += round(scores.accuracy * len(out) / 100)
            leaks += evaluation.leaks
            print(name, len(out), json.dumps(evaluation.model.confusion.tolist()), flush=True)
        total = sum(map(len, chosen))
        found[name] = {
            "tested": total,
            **{other: round(100 * count / total, 2) for other, count in right.items()},
            "leaks": leaks,
        }
    return found


def _shifted_by_one(sequences: Sequence[np.ndarray]) -> np.ndarray:
    """The recordings as the issue has them; `chains` finds those that lost a row, too, and joins them to sessions."""
    steps = np.diff(np.stack(sequences), axis=1)
    joined = np.abs(steps[1:, :-1] - steps[:-1, 1:]).max((1, 2)) < 1e-6
    return np.concatenate(([0], np.cumsum(~joined)))


@cache
def _subjects(folder: Path) -> list[Recording]:
    with TemporaryDirectory() as temporary, tarfile.open(folder / "sp_sw_har" / "sp_sw_har_phone.tar.xz") as archive:
        archive.extractall(temporary, filter="data")
        return read_recordings(Path(temporary) / "DATA")


def har(folder: Path, seed: int, options: dict[str, Any], given: argparse.Namespace) -> dict[str, Any]:
    """Each subject held out once."""
    recordings = _subjects(folder)
    subjects = [one.group for one in recordings]
    parts = grouped_folds(subjects, [0] * len(subjects), 5, 0)
    found = []
    for fold in range(len(parts)) if given.folds is None else given.folds:
        key = json.loads(json.dumps({"part": given.part, "fold": fold, "seed": seed, "options": options}))
        before = _kept(given.keep, key)
        if before is not None:
            found.append(before)
            continue
        out = parts[fold]
        held, kept = (
            [recordings[i] for i in out],
            [recordings[i] for i in np.setdiff1d(np.arange(len(recordings)), out)],
        )
        began = time.perf_counter()
        model = Recognizer(**options, seed=seed).fit(kept)
        minutes = (time.perf_counter() - began) / 60
        evaluation = model.evaluate(held)
        assert not evaluation.leaks
        row = {
            "subjects": sorted({one.group for one in held}),
            "samples": evaluation.samples,
            "accuracy": {name: scores.accuracy for name, scores in evaluation.scores.items()},
            "segment_f1": {name: scores.segment_f1 for name, scores in evaluation.scores.items()},
            "minutes": round(minutes, 2),
        }
        if given.part == "har":
            row["accuracy"]["gradient boosting"], row["segment_f1"]["gradient boosting"] = _boosting(
                model, kept, held, seed
            )
        found.append(row)
        print(json.dumps(row), flush=True)
        if given.keep is not None:
            with given.keep.open("a") as file:
                file.write(json.dumps({"key": key, "row": row}) + "\n")
    whole = {"folds": found}
    for measure in ("accuracy", "segment_f1"):
        # Of accuracy the mean over samples, of segments that over folds.
        weights = [row["samples"] if measure == "accuracy" else 1 for row in found]
        whole[measure] = {
            name: round(float(np.average([row[measure][name] for row in found], weights=weights)), 2)
            for name in found[0][measure]
        }
    return whole


def _kept(path: Path | None, key: dict[str, Any]) -> dict[str, Any] | None:
    """A fold that was measured before with these very settings."""
    lines = path.read_text().splitlines() if path is not None and path.exists() else []
    return next((line["row"] for line in map(json.loads, lines) if line["key"] == key), None)


def _boosting(model: Recognizer, kept: list[Recording], held: list[Recording], seed: int) -> tuple[float, float]:
    """Gradient boosting on statistics of windows around each step, at the model's rate, with the same smoothing."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    def rows(recordings: list[Recording]) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
        features, labels, places = [], [], []
        for one in recordings:
            prepared = model.reader_.read(one, "boosting")
            windows = [figures(prepared.x, max(1, round(radius * model.reader_.rate))) for radius in (0.25, 0.75, 1.5)]
            features.append(torch.cat([prepared.x, *windows], 1).numpy())
            places.append(prepared.places)
            assert one.labels is not None
            labels.append(one.labels)
        return features, labels, places

    features, labels, places = rows(kept)
    at_steps = []
    for label, place, feature in zip(labels, places, features, strict=True):
        last = np.zeros(len(feature), np.int64)
        last[place] = np.arange(len(label))
        at_steps.append(label[np.maximum.accumulate(last)])
    booster = HistGradientBoostingClassifier(random_state=seed, max_iter=200)
    booster.fit(np.concatenate(features), np.concatenate(at_steps).astype(str))
    right, total, segments = 0, 0, np.zeros(3)
    names = {str(name): i for i, name in enumerate(booster.classes_)}
    held_features, held_labels, held_places = rows(held)
    for one, feature, label, place in zip(held, held_features, held_labels, held_places, strict=True):
        from throughtime.tasks.recognize.segments import find_segments, smoothed

        assert one.times is not None
        p_TK = smoothed(booster.predict_proba(feature)[place], one.times, model.smoothing_)
        true = np.array([names[str(x)] for x in label])
        right += int((p_TK.argmax(1) == true).sum())
        total += len(true)
        found = np.zeros(len(true), np.int64)
        for segment in find_segments(p_TK, one.times, list(names), 0.0, model.shortest_):
            found[one.times >= segment.start] = names[segment.label]
        segments += matched(true, found)
    return 100 * right / total, 200 * segments[0] / (segments[1] + segments[2])


def depth(folder: Path, seed: int, options: dict[str, Any], given: argparse.Namespace) -> dict[str, Any]:
    """Layers on top of one another, with and without the way past them."""
    curve = {}
    for residual in (True, False):
        for layers in LAYERS:
            name = f"{'residual' if residual else 'plain'} {layers}"
            found = har(folder, seed, options | {"num_layers": layers, "residual": residual}, given)
            curve[name] = {"accuracy": found["accuracy"]["model"], "segment_f1": found["segment_f1"]["model"]}
            print(name, curve[name], flush=True)
    if given.out is not None:
        draw(curve, given.out.with_name("recognize_depth.png"))
    return {"curve": curve}


def draw(curve: dict[str, dict[str, float]], path: Path) -> None:
    """Accuracy and segments over the layers, residual and plain."""
    figure = new_figure(8.0, 3.6)
    titles = {"accuracy": "samples right, %", "segment_f1": "segments found (F1@50), %"}
    for axes, (measure, title) in zip(figure.subplots(1, 2), titles.items(), strict=True):
        for (colour, _), name, style in zip(COLOURS, ("residual", "plain"), ("-", (0, (4, 2))), strict=False):
            values = [curve[f"{name} {layers}"][measure] for layers in LAYERS]
            axes.plot(LAYERS, values, color=colour, linestyle=style, linewidth=1.5, marker="o", label=name)
        axes.set_xticks(LAYERS)
        axes.set_xlim(LAYERS[0] - 0.2, LAYERS[-1] + 0.2)
        dress(axes)
        axes.set_title(title, fontsize=9, color=QUIET_INK, loc="left")
        axes.set_xlabel("layers", fontsize=9, color=QUIET_INK)
        axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    figure.suptitle("Activity of people nobody has trained on", x=0.01, ha="left", fontsize=12, fontweight="bold")
    print(f"drawn in {save(figure, path)}")


def motion_clips(folder: Path, seed: int, options: dict[str, Any], given: argparse.Namespace) -> dict[str, Any]:
    """Order decides: of single frames and of shuffled ones nothing can be said."""
    count = given.clips
    clips, test = motions(count, 2 * seed), motions(900, 2 * seed + 1)
    labels, true = [MOTIONS[i] for i in clips.labels], [MOTIONS[i] for i in test.labels]
    rng = np.random.Generator(np.random.PCG64(seed))
    shuffled = np.stack([clip[rng.permutation(len(clip))] for clip in test.frames])
    model = Recognizer(**options, seed=seed).fit(list(clips.frames), labels)
    found = {
        "training": count,
        "test": len(true),
        "chance": round(100 / len(MOTIONS), 2),
        "model": round(model.evaluate(list(test.frames), true).model.accuracy, 2),
        "shuffled frames": round(model.evaluate(list(shuffled), true).model.accuracy, 2),
    }
    single = Recognizer(**options | {"epochs": 5}, seed=seed)
    middle = clips.frames.shape[1] // 2
    single.fit(list(clips.frames[:, middle : middle + 1]), labels)
    found["single frame"] = round(single.evaluate(list(test.frames[:, middle : middle + 1]), true).model.accuracy, 2)
    return found


def falls(folder: Path, seed: int, options: dict[str, Any], given: argparse.Namespace) -> dict[str, Any]:
    """Pieces of clips by what is done in them: falling or one of daily life; one person left out at a time."""
    pieces = _pieces(folder / "fall_adl_video", options)
    people = [piece.group for piece in pieces]
    right = {"model": 0, "single frame": 0, "without order": 0, "most frequent": 0}
    total = 0
    for person in sorted({*people}):
        held = [piece for piece in pieces if piece.group == person]
        kept = [piece for piece in pieces if piece.group != person]
        evaluation = Recognizer(**options, seed=seed).fit(kept).evaluate(held)
        stills = [
            [replace(one, values=one.values[len(one) // 2 :][:1], times=None) for one in part] for part in (kept, held)
        ]
        still = Recognizer(**options, seed=seed).fit(stills[0]).evaluate(stills[1])
        total += len(held)
        for name in right:
            scores = still.model if name == "single frame" else evaluation.scores[name]
            right[name] += round(scores.accuracy * len(held) / 100)
        print(person, len(held), right, flush=True)
    return {
        "pieces": total,
        "people": len({*people}),
        "labels": sorted({piece.label for piece in pieces}),
        "accuracy": {name: round(100 * count / total, 2) for name, count in right.items()},
        "right": right,
    }


_SPAN = r"([A-Za-z]+)[^;\[\]]*\[ *([\d.]+) to ([\d.]+) *\]"  # Falling (SW) [1.8 to 6]


def _pieces(folder: Path, options: dict[str, Any]) -> list[Recording]:
    """The stretches that the tables name, of a second or more: falling, or something of daily life."""
    found = []
    for video in sorted((folder / "clips-160p").glob("*.mp4")):
        subject, kind, number = video.stem.split("_")
        lines = (folder / f"{subject}_{kind}.csv").read_text(encoding="utf-8-sig").splitlines()
        line = next(line for line in lines if line.startswith(f"{number}.mp4"))
        for name, first, last in re.findall(_SPAN, line.rpartition(",")[2]):
            start, end = float(first), float(last)
            if end - start < 1:
                continue
            piece = read_frames(video, rate=options["rate"], size=options["size"], start=start, end=end)
            found.append(replace(piece, label="falling" if name == "Falling" else "daily life", group=subject))
    return found


LAYERS = (1, 2, 3, 4)
PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "fingers": fingers, "har": har, "depth": depth, "motions": motion_clips, "falls": falls,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--data", type=Path, help="folder of the data; THROUGHTIME_DATA or ../shared/data")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--folds", type=int, nargs="+", help="of har and depth: some of 0 to 4")
    parser.add_argument("--keep", type=Path, help="of har and depth: JSON lines of folds, each measured once")
    parser.add_argument("--clips", type=int, default=2700, help="of motions: to train on")
    parser.add_argument("--option", nargs=2, action="append", default=[], metavar=("NAME", "JSON"))
    parser.add_argument("--machine", default=DEFAULT_MACHINE)
    parser.add_argument("--out", type=Path, help="JSON; parts that are not measured again stay")
    given = parser.parse_args()
    logging.getLogger("throughtime").setLevel(logging.ERROR)
    folder = (given.data or Path(os.environ.get("THROUGHTIME_DATA", "../shared/data"))) / "activity"
    options = OPTIONS[given.part] | {name: json.loads(value) for name, value in given.option}
    drawn = {"clips": given.clips} if given.part == "motions" else {}
    settings = json.loads(json.dumps({"options": options, "folds": given.folds, **drawn}))
    for seed in given.seeds:
        whole = json.loads(given.out.read_text()) if given.out is not None and given.out.exists() else {}
        before = whole.get(given.part, {})
        runs = [run for run in before.get("runs", []) if before["settings"] == settings]
        if any(run["seed"] == seed for run in runs):
            continue
        began, cpu = time.perf_counter(), time.process_time()
        run = {"seed": seed, **PARTS[given.part](folder, seed, dict(options), given)}
        run["minutes"] = round((time.perf_counter() - began) / 60, 2)
        run["cpu_minutes"] = round((time.process_time() - cpu) / 60, 2)
        runs.append(run)
        print(json.dumps(run), flush=True)
        packages = {name: version(name) for name in ("torch", "numpy", "scikit-learn", "av")}
        whole[given.part] = {
            "command": f"python benchmarks/quality/recognize.py {given.part}",
            "machine": given.machine,
            "threads": torch.get_num_threads(),
            "versions": {"throughtime": __version__, **packages},
            "settings": settings,
            "asked": ASKED[given.part],
            "published": PUBLISHED[given.part],
            "mean": _means(runs),
            "runs": runs,
        }
        write(whole, given.out)


def _means(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Of every number that all runs have, by its path."""
    found: dict[str, list[float]] = {}

    def walk(value: Any, path: str) -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                walk(inner, f"{path}: {name}" if path else name)
        elif isinstance(value, float):
            found.setdefault(path, []).append(value)

    for run in runs:
        walk(run, "")
    return {path: round(statistics.fmean(values), 3) for path, values in found.items() if len(values) == len(runs)}


if __name__ == "__main__":
    main()
