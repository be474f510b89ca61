"""The recognizer: recordings of sensors or of a camera in, what is happening out.

Axes in names: N recordings, T samples of a recording, S steps of the net, K labels.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from throughtime.data.recording import Recording, check_times
from throughtime.data.sensors.columns import Columns
from throughtime.errors import ArgumentError
from throughtime.nn.arguments import check_size
from throughtime.tasks.estimator import Estimator
from throughtime.tasks.recognize import fitting, judging, parameters, stored
from throughtime.tasks.recognize.evaluation import ActivityEvaluation
from throughtime.tasks.recognize.inputs import check_labelled, distinct_labels, label_numbers, read_sequences
from throughtime.tasks.recognize.labels import UNSEEN, ActivityLabels
from throughtime.tasks.recognize.moments import Moments, matter
from throughtime.tasks.recognize.reading import Prepared
from throughtime.tasks.recognize.segments import Segment, find_segments, smoothed, stretch_lengths
from throughtime.tasks.recognize.splits import groups_of
from throughtime.tasks.recognize.stream import ActivityStream, check_delay, window_of
from throughtime.training import Callback, RunFolder

_logger = logging.getLogger("throughtime.tasks")


class Recognizer(Estimator):
    """Says what is happening: one label a recording, or one at every sample, of sensors, key points or a camera.

    (1) e = the samples, scaled, or an encoder's vector of each frame
    (2) h = a residual stack of recurrent layers over e, see `throughtime.models.ResidualStack`
    (3) p_t = softmax(W h_t + b), or with h pooled over the steps where a recording has one label; calibrated

    Args:
        rate: steps a second that recordings are read at; None: their own, but at most 25, and 10 of frames. Samples
            without times are a step each.
        window: seconds of a training clip (steps, where there are no times); None: whole recordings, of long ones 600
            steps at a time.
        around: seconds before and after each step: mean, deviation, extremes and change of the samples there are read
            beside them, in all of it, its half and its sixth. None: 1.5 where every sample has a label and the model
            reads both ways, else 0, for none.
        clips: of a recording that is longer than `window` and has one label: clips whose probabilities are averaged.
        size: (width, height) that frames are read at; None: 64 x 48 of videos, arrays as they are.
        grey: read frames without colours.
        features: numbers that a frame becomes.
        cell: of the recurrent layers, one of `throughtime.nn.layers.LAYERS`.
        hidden_size: units of a layer and direction.
        num_layers: layers on top of one another.
        bidirectional: both ways; a model that is to answer while it goes on needs False.
        residual: False: the plain stack.
        pooling: of h: "mean", "max", "last", "attention", or "concat" (last, mean and max side by side).
        dropout: of the inputs of the stack, of what each layer adds, and of h, while training.
        jitter, scaling, warp, rotation: of samples while training, see `Augmentation`. Rotation None: 20 degrees where
            channels are x, y and z of a sensor, which people wear in their own ways, else 0.
        crop, flip, colour: of frames while training; flip only where left and right mean the same.
        class_weight: None, or "balanced": rare labels count as much as frequent ones.
        smoothing: seconds over which probabilities are averaged before labels are read off samples; None: half of what
            nine in ten stretches of one label last in training, `smoothing_`.
        shortest: seconds that a label lasts, at least; None: as `smoothing`, `shortest_`.
        epochs: passes over the recordings; None: as many as make about 1,500 steps, or 750 where every sample has a
            label, from 8 to 300.
        batch_size: clips a step; None: 16, or 32 of frames, or 8 where every sample has a label.
        learning_rate: the peak of a one-cycle schedule of Adam; None: 0.003, or 0.002 of frames.
        patience: epochs without a lower validation loss before training stops; None: never early.
        seed: of everything random.

    **Raises** from `fit`: ArgumentError for a value out of its range; DataError for recordings that cannot be used.

    >>> t = np.arange(20)[:, None] / 3
    >>> waves = [np.sin(t + i) for i in range(12)] + [np.sin(2 * t + i) for i in range(12)]
    >>> model = Recognizer(hidden_size=8, epochs=10).fit(waves, ["slow"] * 12 + ["fast"] * 12)
    >>> model.predict([np.sin(2 * t + 0.5)])
    ['fast']
    """

    task = "recognize"

    def __init__(
        self,
        *,
        rate: float | None = None,
        window: float | None = None,
        around: float | None = None,
        clips: int = 3,
        size: tuple[int, int] | None = None,
        grey: bool = False,
        features: int = 64,
        cell: str = "gru",
        hidden_size: int = 64,
        num_layers: int = 2,
        bidirectional: bool = True,
        residual: bool = True,
        pooling: str = "mean",
        dropout: float = 0.2,
        jitter: float = 0.05,
        scaling: float = 0.1,
        warp: float = 0.1,
        rotation: float | None = None,
        crop: float = 0.0,
        flip: bool = False,
        colour: float = 0.0,
        class_weight: str | None = None,
        smoothing: float | None = None,
        shortest: float | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        patience: int | None = None,
        seed: int = 0,
    ) -> None:
        self.rate = rate
        self.window = window
        self.around = around
        self.clips = clips
        self.size = size
        self.grey = grey
        self.features = features
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.residual = residual
        self.pooling = pooling
        self.dropout = dropout
        self.jitter = jitter
        self.scaling = scaling
        self.warp = warp
        self.rotation = rotation
        self.crop = crop
        self.flip = flip
        self.colour = colour
        self.class_weight = class_weight
        self.smoothing = smoothing
        self.shortest = shortest
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.patience = patience
        self.seed = seed

    def configuration(self) -> dict[str, Any]:
        """The constructor's arguments, ready for JSON."""
        return {**self.get_params(), "size": None if self.size is None else list(self.size)}

    def fit(
        self,
        sequences: Any,
        labels: Any = None,
        groups: Any = None,
        validation: Any = None,
        *,
        columns: Columns | None = None,
        callbacks: Sequence[Callback] = (),
        run: RunFolder | None = None,
        max_seconds: float | None = None,
    ) -> Self:
        """Train on labelled recordings.

        Args:
            sequences: a list of arrays, (T, C) samples or (T, H, W) or (T, H, W, 3) frames of uint8, of paths and of
                `throughtime.data.sensors.Recording`; or the path of a file or folder, see `read_recordings`.
            labels: of each recording one, or a sequence of one of each sample; None: the recordings bring theirs.
            groups: who or what each recording is of; None: theirs. Recordings of one group are never parted between
                training and validation. Where there are none, sequences that are overlapping windows of one recording
                are found and kept together.
            validation: a pair (sequences, labels) or a path, to choose the epoch and the calibration by; None holds out
                an eighth of the groups.
            columns: what the columns of tables hold.
            callbacks: told of every step and epoch.
            run: a folder for checkpoints, from which a training that was killed goes on.
            max_seconds: training ends after the first step that ends later than this.

        Raises:
            ArgumentError: a hyper-parameter out of its range, no labels.
            ArgumentTypeError: something that is no sequence or no label.
            DataError: recordings that cannot be used; the message names the first.
        """
        parameters.check(self)
        who = "Recognizer.fit"
        recordings = check_labelled(self._read(sequences, labels, groups, who, columns), who)
        aligned = recordings[0].labels is not None
        found = ActivityLabels.find(distinct_labels(recordings), who)
        held: list[Recording] | None = None
        if validation is not None:
            pair = validation if isinstance(validation, tuple | list) and len(validation) == 2 else (validation, None)
            held = check_labelled(
                self._read(pair[0], pair[1], None, f"{who}: validation", columns), f"{who}: validation", aligned
            )
            strange = found.unseen(distinct_labels(held))
            if strange:
                raise ArgumentError(
                    f"{who}: validation: expected labels among {found.listed()}, got {next(iter(strange))!r}; train "
                    "with it or leave it out"
                )
        values = [one.values for one in recordings]
        groups_how = groups_of(values, [one.group for one in recordings])
        if "windows" in groups_how[1]:
            _logger.warning(
                "%s: the sequences are %s; they are held out together. Hold out whole recordings when you test, too: a "
                "random hold-out would leak", who, groups_how[1],
            )  # fmt: skip
        own, other = (
            None if some is None else fitting.Given(some, [label_numbers(one, found) for one in some])
            for some in (recordings, held)
        )
        assert own is not None
        fitted = fitting.fit(
            self, own, other, groups_how, found, callbacks=callbacks, run=run, max_seconds=max_seconds,
        )  # fmt: skip
        self.labels_, self.reader_, self.model_ = found, fitted.reader, fitted.net
        self.baseline_, self.history_, self.validation_ = fitted.baseline, fitted.history, fitted.how
        self.metrics_, self.n_recordings_ = fitted.metrics, len(recordings)
        self.typical_ = fitted.typical
        lasts = self._lasting(own) if aligned else 0.0
        self.smoothing_, self.shortest_ = (
            lasts if given is None else float(given) for given in (self.smoothing, self.shortest)
        )
        self.seconds_ = sum(self._duration(one) for one in recordings)
        self.groups_ = {str(one.group) for one in recordings if one.group is not None}
        self.stretches_: set[str] = set()
        for one in recordings:
            self.stretches_ |= judging.own_stretches(self, one, every=False)
        self.columns_ = columns or Columns()
        self.origin_: dict[str, str] = {}
        if held is not None:
            for leak in judging.leaks(self, held):
                _logger.warning("%s: validation leaks: %s", who, leak)
        return self

    @property
    def classes_(self) -> NDArray[Any]:
        """The labels in the order of `predict_proba`'s columns."""
        self._check_fitted("classes_")
        return np.array(self.labels_.names)

    @property
    def aligned_(self) -> bool:
        """Whether every sample gets a label, not the recording as a whole."""
        self._check_fitted("aligned_")
        return self.model_.design.aligned

    def predict(self, sequences: Any, *, columns: Columns | None = None) -> list[Any]:
        """The label of each recording, or an array with the label of each of its samples.

        Raises:
            NotFittedError: nothing was fitted.
            ArgumentTypeError, DataError: as `fit`.
        """
        self._check_fitted("predict")
        names = np.array(self.labels_.names, dtype=object)
        recordings = self._read(sequences, None, None, "Recognizer.predict", columns)
        probabilities = self._probabilities(recordings, "Recognizer.predict")
        if not self.aligned_:
            return [names[p.argmax()] for p in probabilities]
        return [
            names[smoothed(p, self._times(one), self.smoothing_).argmax(1)]
            for one, p in zip(recordings, probabilities, strict=True)
        ]

    def predict_proba(self, sequences: Any, *, columns: Columns | None = None) -> Any:
        """(N, K) the probability of each label, or of each recording (T, K) of its samples, calibrated, not smoothed.

        Raises:
            As `predict`.
        """
        self._check_fitted("predict_proba")
        recordings = self._read(sequences, None, None, "Recognizer.predict_proba", columns)
        found = self._probabilities(recordings, "Recognizer.predict_proba")
        if self.aligned_:
            return found
        return np.stack(found) if found else np.zeros((0, len(self.labels_)))

    def segments(self, sequence: Any, *, columns: Columns | None = None) -> list[Segment]:
        """The stretches of one label in a recording, smoothed both ways by `smoothing` and at least `shortest` long.

        Raises:
            ArgumentError: a model of whole recordings, or several recordings.
            NotFittedError, ArgumentTypeError, DataError: as `predict`.
        """
        self._check_fitted("segments")
        who = "Recognizer.segments"
        if not self.aligned_:
            raise ArgumentError(
                f"{who}: expected a model of samples, got one of whole recordings; train with a label for each sample"
            )
        recordings = self._read([sequence], None, None, who, columns)
        if len(recordings) != 1:
            raise ArgumentError(f"{who}: expected one recording, got {len(recordings)}; pass them one by one")
        (p_TK,) = self._probabilities(recordings, who)
        return find_segments(p_TK, self._times(recordings[0]), self.labels_.names, self.smoothing_, self.shortest_)

    def evaluate(
        self, sequences: Any, labels: Any = None, groups: Any = None, *, columns: Columns | None = None
    ) -> ActivityEvaluation:
        """Accuracy, F1, segments, confusion and calibration, beside the baselines; and whether the split leaks.

        Args:
            sequences, labels, groups: as `fit` has them; the model should have seen neither recordings nor groups. A
                label that training never had counts as missed.

        Raises:
            NotFittedError: nothing was fitted.
            ArgumentError: no labels, or labels of another kind than in training.
            ArgumentTypeError, DataError: as `fit`.
        """
        self._check_fitted("evaluate")
        who = "Recognizer.evaluate"
        recordings = check_labelled(self._read(sequences, labels, groups, who, columns), who, self.aligned_)
        return judging.evaluate(self, recordings, who)

    def stream(self, *, delay: float | None = None) -> ActivityStream:
        """Labels while samples or frames come: ``stream.feed(sample)``.

        A one-way model of samples answers at once; a model of whole recordings for the window (as long as in training)
        that ends now; a model of samples that reads both ways after a delay.

        Args:
            delay: seconds, for the last of these.

        Raises:
            NotFittedError: nothing was fitted.
            ArgumentError: no delay where one is needed, or one where none is.
        """
        self._check_fitted("stream")
        d = self.model_.design
        check_delay(delay, aligned=d.aligned, bidirectional=d.bidirectional)
        window = None if self.window is None else max(2, round(self.window * self.reader_.rate))
        held = window_of([self.typical_], window)
        if delay is not None:
            held = max(held, 3 * round(delay * self.reader_.rate))
        return ActivityStream(self, delay, held)

    def moments(self, sequence: Any, label: Any = None, *, steps: int = 32, columns: Columns | None = None) -> Moments:
        """Which moments of a recording speak for a label, and which against it, by integrated gradients.

        Args:
            label: None: the one that is predicted.
            steps: points on the path of the gradients.

        Raises:
            ArgumentError: a label that is not there, or several recordings.
            NotFittedError, ArgumentTypeError, DataError: as `predict`.
        """
        self._check_fitted("moments")
        who = "Recognizer.moments"
        check_size(who, "steps", steps)
        recordings = self._read([sequence], None, None, who, columns)
        if len(recordings) != 1:
            raise ArgumentError(f"{who}: expected one recording, got {len(recordings)}; pass them one by one")
        number: int | None = None
        if label is not None:
            number = int(self.labels_.numbers([label])[0])
            if number == UNSEEN:
                raise ArgumentError(f"{who}: expected a label among {self.labels_.listed()}, got {label!r}; pass one")
        prepared = self.reader_.read(recordings[0], who)
        values_S, first, other, score = matter(self.model_, prepared.x, number, steps)
        names = self.labels_.names
        start = 0.0 if recordings[0].times is None else float(recordings[0].times[0])
        times = start + np.arange(len(values_S)) / self.reader_.rate
        return Moments(times, values_S, names[first], names[other], score)

    def score(self, sequences: Any, labels: Any = None) -> float:
        """The share of recordings, or of samples, with the right label, as scikit-learn wants it."""
        self._check_fitted("score")
        return self.evaluate(sequences, labels).model.accuracy / 100

    def summary(self) -> str:
        """What was trained on what."""
        self._check_fitted("summary")
        d, reader = self.model_.design, self.reader_
        long = f"{self.seconds_:.0f} s at {reader.rate:g} steps a second"
        what = f"frames of {d.image[1]} x {d.image[0]}" if d.image else f"{d.channels} channels"
        stack = "residual" if d.residual else "plain"
        size = sum(p.numel() for p in self.model_.parameters())
        best = f"best epoch {self.metrics_['best_epoch']} of {self.metrics_['epochs']}"
        best += f", validation accuracy {self.metrics_['validation_accuracy']:.2f} %"
        return "\n".join(
            (
                f"data        {self.n_recordings_} recordings, {what}, {long}",
                f"labels      {len(self.labels_)}, {'of every sample' if d.aligned else 'of each recording'}: "
                f"{self.labels_.listed()}",
                f"validation  {self.validation_}",
                f"model       {d.cell}, {d.num_layers} x {d.hidden_size}, {stack}, "
                f"{'both ways' if d.bidirectional else 'one way'}, {size} parameters",
                f"training    {best}",
            )
        )

    def _read(self, sequences: Any, labels: Any, groups: Any, who: str, columns: Columns | None) -> list[Recording]:
        rate, size, grey = self.rate, self.size, self.grey
        if self._fitted and not who.startswith("Recognizer.fit"):
            rate = self.reader_.rate
            columns = self._columns(columns, labelled=who == "Recognizer.evaluate")
            if self.reader_.size is not None:
                height, width, colours = self.reader_.size
                size, grey = (width, height), colours == 1
        recordings = read_sequences(sequences, labels, groups, who, rate=rate, size=size, grey=grey, columns=columns)
        for one in recordings:
            if one.times is not None:
                check_times(one.times, one.name or who, lambda row: f"sample {row}")
        return recordings

    def _columns(self, given: Columns | None, *, labelled: bool) -> Columns:
        """Columns as training had them; labels and groups are asked for where they are wanted alone."""
        known = self.columns_ if given is None else given
        if not labelled:
            known = replace(known, label=None, group=None)
        if self.columns_.per_step is not None:
            return replace(known, per_step=self.columns_.per_step)
        return known if self.reader_.is_frames else replace(known, channels=self.reader_.channels)

    def recordings(self, sequences: Any, *, columns: Columns | None = None) -> list[Recording]:
        """What a path or list holds, read as the other methods read it, with labels and groups where they are there.

        Raises:
            As `predict`.
        """
        self._check_fitted("recordings")
        return self._read(sequences, None, None, "Recognizer.recordings", columns)

    def times_of(self, recording: Recording) -> NDArray[np.float64]:
        """(T,) seconds of a recording's samples; by the model's rate where it brings none."""
        self._check_fitted("times_of")
        return self._times(recording)

    def numbers_of(self, recording: Recording, probability: Any) -> NDArray[np.int64]:
        """(T,) the label of each sample by its number, smoothed as `predict` has it.

        Args:
            probability: (T, K).
        """
        self._check_fitted("numbers_of")
        return np.asarray(smoothed(probability, self._times(recording), self.smoothing_).argmax(1))

    def _times(self, recording: Recording) -> NDArray[np.float64]:
        if recording.times is not None:
            return recording.times
        return np.arange(len(recording)) / self.reader_.rate

    def _lasting(self, given: fitting.Given) -> float:
        """Half of what nine in ten stretches of one label last, in seconds."""
        pairs = zip(given.recordings, given.targets, strict=True)
        lasts = [last for one, numbers in pairs for last in stretch_lengths(numbers, self._times(one))]
        return float(np.quantile(lasts, 0.1)) / 2 if lasts else 0.0

    def _duration(self, recording: Recording) -> float:
        times = self._times(recording)
        return float(times[-1] - times[0])

    def _probabilities(self, recordings: Sequence[Recording], who: str) -> list[NDArray[np.float64]]:
        return [self._probability(self.reader_.read(one, who)) for one in recordings]

    @torch.inference_mode()
    def _probability(self, prepared: Prepared) -> NDArray[np.float64]:
        """(T, K), or (K,)."""
        net, x = self.model_, prepared.x
        if self.aligned_:
            z_SK = net(x[:, None], torch.tensor([len(x)])).squeeze(1)
            return self._spread(prepared, net.probability(z_SK).double().numpy())
        window = fitting.LONGEST if self.window is None else max(2, round(self.window * self.reader_.rate))
        spare = len(x) - window
        if spare <= 0:
            clips = [x]
        else:
            firsts = (
                np.unique(np.linspace(0, spare, self.clips).round().astype(int)) if self.clips > 1 else [spare // 2]
            )
            clips = [x[first : first + window] for first in firsts]
        length = torch.tensor([len(clips[0])] * len(clips))
        p_BK = net.probability(net(torch.stack(clips, 1), length))
        return np.asarray(p_BK.double().mean(0).numpy())

    def _spread(self, prepared: Prepared, p: NDArray[np.float64]) -> NDArray[np.float64]:
        """From steps to samples; of a whole recording as it is."""
        return p[prepared.places] if self.aligned_ else p.reshape(-1)

    def _to_folder(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        return stored.tensors(self), stored.sections(self)

    def _from_folder(self, tensors: Mapping[str, np.ndarray], extra: Mapping[str, Any]) -> None:
        parameters.check(self)
        stored.read_sections(self, tensors, extra)
