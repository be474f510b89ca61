"""What `throughtime predict` says of recordings, and of samples as they come."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from throughtime.errors import ArgumentError, DataError

if TYPE_CHECKING:
    from throughtime.data.sensors import Columns
    from throughtime.tasks import Recognizer
    from throughtime.tasks.recognize import Moment

__all__ = ["draw_timeline", "say", "stream"]

_MOST_MATTERED = 5


def say(
    recognizer: "Recognizer", data: Path, plot: Path | None, video: Path | None, *, mattered: bool, as_json: bool
) -> Iterator[str]:
    """A line for each recording, or for each stretch of one label."""
    recordings = recognizer.recordings(data)
    for number, one in enumerate(recordings):
        row: dict[str, Any] = {"recording": one.name}
        lines = []
        if recognizer.aligned_:
            segments = recognizer.segments(one)
            row["segments"] = [segment._asdict() for segment in segments]
            lines += [f"{one.name}\t{s.start:.2f}\t{s.end:.2f}\t{s.label}\t{s.confidence:.2f}" for s in segments]
        else:
            p_K = recognizer.predict_proba([one])[0]
            best = int(p_K.argmax())
            row |= {
                "label": recognizer.labels_.names[best],
                "probability": {str(k): float(p) for k, p in zip(recognizer.labels_.names, p_K, strict=True)},
            }
            lines.append(f"{one.name}\t{recognizer.labels_.names[best]}\t{p_K[best]:.2f}")
        if mattered:
            why = recognizer.moments(one)
            row["moments"] = {"against": why.against, "times": why.times.tolist(), "values": why.values.tolist()}
            top = np.argsort(-why.values)[:_MOST_MATTERED]
            told = ", ".join(f"{why.times[k]:.2f} s {why.values[k]:+.2f}" for k in sorted(top.tolist()))
            lines.append(f"  for {why.label} and against {why.against}: {told}")
        if as_json:
            yield json.dumps(row, ensure_ascii=False, allow_nan=False)
        else:
            yield from lines
        if number == 0 and plot is not None:
            draw_timeline(recognizer, one, plot, None)
        if number == 0 and video is not None:
            write_annotated(recognizer, data, one, video)
    if not as_json:
        for path in (plot, video):
            if path is not None:
                yield f"Wrote {path}."


def draw_timeline(recognizer: "Recognizer", data: Any, path: Path, columns: "Columns | None") -> None:
    """The first recording along time: found, true where that is known, how sure, and what mattered."""
    from throughtime.report import timeline_plot

    one = recognizer.recordings(data, columns=columns)[0] if isinstance(data, Path) else data
    (p,) = recognizer.predict_proba([one])
    times = recognizer.times_of(one)
    p_TK = np.broadcast_to(p, (len(one), p.shape[-1]))
    found_T = recognizer.numbers_of(one, p_TK)
    labels = recognizer.labels_
    true = None
    if one.labels is not None or one.label is not None:
        true = labels.numbers(one.labels if one.labels is not None else [one.label] * len(one))
    values = None
    if not recognizer.aligned_:
        why = recognizer.moments(one)
        values = np.interp(times, why.times, why.values)
    timeline_plot(
        path, times, found_T, [str(name) for name in labels.names], true=true,
        probability=p_TK[np.arange(len(one)), found_T], values=values, title=Path(one.name).name,
    )  # fmt: skip


def write_annotated(recognizer: "Recognizer", data: Path, one: Any, path: Path) -> None:
    """The frames as they are in the file, each with what is found there."""
    from throughtime.data.video import is_frame_folder, is_video, read_frames, write_video

    if not one.is_frames:
        raise ArgumentError(f"--video: expected frames to write, got samples in {one.name}; leave --video out")
    source = Path(one.name)
    shown = read_frames(source) if is_video(source) or is_frame_folder(source) else one
    (p,) = recognizer.predict_proba([one])
    p_TK = np.broadcast_to(p, (len(one), p.shape[-1]))
    found_T = recognizer.numbers_of(one, p_TK)
    times, shown_times = recognizer.times_of(one), recognizer.times_of(shown)
    texts = []
    for time in shown_times:
        at = max(int(np.searchsorted(times, time + 1e-6)) - 1, 0)
        texts.append(f"{recognizer.labels_.names[found_T[at]]}  {p_TK[at, found_T[at]]:.2f}")
    write_video(path, shown.values, shown_times.tolist(), texts)


def stream(recognizer: "Recognizer", source: BinaryIO, delay: float | None, *, as_json: bool) -> Iterator[str]:
    """A line for each moment, as samples come: CSV with or without a header, or a video.

    Raises:
        DataError: a line that cannot be read; columns that the model does not know.
    """
    answers = recognizer.stream(delay=delay)
    if recognizer.reader_.is_frames:
        from throughtime.data.video import frames_of

        height, width, colours = recognizer.reader_.size or (1, 1, 1)
        for frame in frames_of(source, size=(width, height), grey=colours == 1):
            yield from _told(answers.feed(frame.image, frame.time), as_json)
    else:
        for values, time in _samples(recognizer, source):
            yield from _told(answers.feed(values, None if time is None else [time]), as_json)
    yield from _told(answers.close(), as_json)


def _samples(recognizer: "Recognizer", source: BinaryIO) -> Iterator[tuple[Any, float | None]]:
    channels = recognizer.reader_.channels
    places, time_at, count, unit = list(range(len(channels))), None, len(channels), 1.0
    for number, raw in enumerate(source, start=1):
        line = raw.decode("utf-8-sig", "replace").strip()
        if not line:
            continue
        fields = next(csv.reader(io.StringIO(line), delimiter=max(",;\t", key=line.count)))
        where = f"standard input: line {number}"
        if number == 1 and any(_number(field) is None for field in fields):
            from throughtime.data.sensors.columns import Columns, Found

            found = Found.among(fields, Columns(channels=channels, time=recognizer.columns_.time), where)
            places, count = [fields.index(name) for name in channels], len(fields)
            time_at = None if found.time is None else fields.index(found.time)
            continue
        numbers = [_number(field) for field in fields]
        wrong = next(
            (i for i in (*places, *([] if time_at is None else [time_at])) if i >= len(fields) or numbers[i] is None),
            None,
        )
        if len(fields) != count or wrong is not None:
            shown = f"{len(fields)} fields" if len(fields) != count or wrong is None else repr(fields[wrong])
            raise DataError(f"{where}: expected {count} numbers, got {shown}; a header names the columns")
        time: float | None = None
        if time_at is not None:
            from throughtime.data.sensors.tables import unit_of

            time = float(numbers[time_at])  # type: ignore[arg-type]
            unit = unit_of(time) if number <= 2 else unit
            time *= unit
        yield np.array([numbers[i] for i in places], np.float32), time


def _number(field: str) -> float | None:
    """NaN of an empty field; None of what is no number."""
    text = field.strip().lower()
    if text in ("", "nan", "na", "null", "none"):
        return float("nan")
    try:
        return float(text)
    except ValueError:
        return None


def _told(moments: "list[Moment]", as_json: bool) -> Iterator[str]:
    for moment in moments:
        if as_json:
            yield json.dumps(moment._asdict(), ensure_ascii=False, allow_nan=False)
        else:
            yield f"{moment.time:.3f}\t{moment.label}\t{moment.probability:.2f}"
