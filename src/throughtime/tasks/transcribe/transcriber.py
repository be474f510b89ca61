"""The transcriber: sound and what is said in it, in; the words of any sound, out."""

import logging
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from throughtime.data.sound.features import LogMel
from throughtime.data.sound.pauses import joined
from throughtime.data.text.units import TextUnits
from throughtime.errors import ArgumentError, ArgumentTypeError, DataError
from throughtime.tasks.calibration import logistic
from throughtime.tasks.estimator import Estimator
from throughtime.tasks.training import check_finite
from throughtime.tasks.transcribe import parameters, stored
from throughtime.tasks.transcribe.alphabet import check_spelled, learn_units, plain
from throughtime.tasks.transcribe.decoding import Decoder, Decoding
from throughtime.tasks.transcribe.evaluation import SpeechEvaluation, error_rates, right_words, score
from throughtime.tasks.transcribe.examples import first_rate, read_examples
from throughtime.tasks.transcribe.fitting import ClipSource, Trainee, check_lengths, ctc_loss, set_scale
from throughtime.tasks.transcribe.hearing import Ear, named_items
from throughtime.tasks.transcribe.network import LOUD, SHAPE, Design, SpeechNet
from throughtime.tasks.transcribe.recognition import Transcript, told, transcribed
from throughtime.tasks.transcribe.streaming import TranscriptStream
from throughtime.training import Callback, RunFolder, TrainingConfig, train

_logger = logging.getLogger("throughtime.tasks")
_STEPS, _LEAST_EPOCHS, _MOST_EPOCHS = 2000, 15, 60  # where `epochs` is None
_HELD_OUT = 10  # one clip of so many
_TAIL = 0.1  # s
_FLAT, _LEAST_FLAT = 0.2, 100  # of the steps, and in steps; never more than half of them


class Transcriber(Estimator):
    """Writes down what is said.

    (1) x = log-mel energies, see `LogMel`; a clip is cut at its pauses into utterances, see `Pauses`
    (2) p = recurrent layers over convolutions, see `SpeechNet`: the probability of each symbol at every step
    (3) the text is the likeliest sequence of symbols under CTC, see `throughtime.models.ctc`

    Args:
        unit: what a symbol is: "word", "character", "subword", or "auto": words where there are few and each is
            frequent, else characters.
        alphabet: the characters that transcripts may have, besides blanks; None: those that they have.
        vocabulary_size: symbols, at most.
        lower: read capitals in transcripts as small letters.
        rate: samples a second that the model hears; others are resampled. None: that of the first training clip, but
            not above 16000.
        mels: features of a frame. None: 40.
        frame_rate: the clips are matrices (frames, features) of so many frames a second, in place of sound.
        cell: of the recurrent layers, one of `throughtime.nn.layers.LAYERS`.
        hidden_size: units of a layer and direction.
        num_layers: layers on top of one another.
        bidirectional: both ways: the speaker must have finished. False: the model can stream.
        lookahead_ms: so much of the future a one-way model waits for.
        subsampling: frames that make a step. None: 3 where symbols are words, else 2.
        normalise: what is taken off the features beside the training data's mean: the clip's own, "utterance" (the
            whole of it) or "running" (of what has been heard so far), or nothing, "global"; "auto": the first of these
            that the model can have.
        dropout: share of numbers dropped before, between and after the recurrent layers, while training. None: 0.4, of
            a one-way model 0.2.
        speed: share by which clips are played faster or slower while training. None: 0.15.
        warp: share by which frequencies are stretched, as by another vocal tract. None: 0.15.
        gain: dB by which level and response over frequency vary, as of another microphone. None: 6.
        noise: share of clips that get noise of a random colour, from 5 to 35 dB below them. None: 0.5.
        masks: largest share of a clip's time, and of its features, that a mask of SpecAugment hides. None: 0.2, of a
            one-way model 0.05.
        epochs: passes over the clips; None: as many as make about 2,000 steps, at least 15 and at most 60.
        batch_size: clips a step, on average; clips of like length are learned from together.
        learning_rate: the peak of a one-cycle schedule of Adam.
        patience: epochs without a lower validation loss before training stops; None: never early.
        seed: of everything random.

    **Raises** from `fit`: ArgumentError for a value out of its range; DataError for clips that cannot be used.

    **Source** [Graves2006] for CTC, [Park2019] for the masks.
    """

    task = "transcribe"

    def __init__(
        self,
        *,
        unit: str = "auto",
        alphabet: str | None = None,
        vocabulary_size: int | None = None,
        lower: bool = True,
        rate: int | None = None,
        mels: int | None = None,
        frame_rate: float | None = None,
        cell: str = "gru",
        hidden_size: int = 96,
        num_layers: int = 2,
        bidirectional: bool = True,
        lookahead_ms: float = 0.0,
        subsampling: int | None = None,
        normalise: str = "auto",
        dropout: float | None = None,
        speed: float | None = None,
        warp: float | None = None,
        gain: float | None = None,
        noise: float | None = None,
        masks: float | None = None,
        epochs: int | None = None,
        batch_size: int = 16,
        learning_rate: float = 4e-3,
        patience: int | None = None,
        seed: int = 0,
    ) -> None:
        self.unit = unit
        self.alphabet = alphabet
        self.vocabulary_size = vocabulary_size
        self.lower = lower
        self.rate = rate
        self.mels = mels
        self.frame_rate = frame_rate
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.lookahead_ms = lookahead_ms
        self.subsampling = subsampling
        self.normalise = normalise
        self.dropout = dropout
        self.speed = speed
        self.warp = warp
        self.gain = gain
        self.noise = noise
        self.masks = masks
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.patience = patience
        self.seed = seed

    def fit(
        self,
        audio: Any,
        transcripts: Any = None,
        validation: Any = None,
        *,
        pattern: str | None = None,
        callbacks: Sequence[Callback] = (),
        run: RunFolder | None = None,
        max_seconds: float | None = None,
    ) -> Self:
        """Train on clips.

        Args:
            audio: a list of files or of pairs (samples, rate); a table of paths and texts; a folder, with `pattern`.
                With `frame_rate`: matrices (frames, features), .npy files, or a Kaldi list (.scp).
            transcripts: what is said in each; of a .scp list by name, or a file of names and texts. A table and a
                folder bring their own.
            validation: a pair (audio, transcripts), a table or a folder, to choose the epoch and the calibration by;
                None holds out a tenth of the clips.
            pattern: of the file names in a folder, see `read_manifest`.
            callbacks: told of every step and epoch.
            run: a folder for checkpoints, from which a training that was killed goes on.
            max_seconds: training ends after the first step that ends later than this.

        Raises:
            ArgumentError: a hyper-parameter out of its range.
            ArgumentTypeError: something that is no sound or no text.
            DataError: clips or transcripts that cannot be used; the message names the first.
        """
        parameters.check(self)
        who = "Transcriber.fit"
        given = read_examples(audio, transcripts, pattern, who)
        held = None if validation is None else read_examples(*_pair(validation), pattern, f"{who}: validation")
        ear = self._ear(given.items, who)
        clips = [ear.whole(item, name, who) for name, item in zip(given.names, given.items, strict=True)]
        if ear.mel is None:
            ear = replace(ear, features=clips[0].frames.shape[1])
            clips = [ear.whole(clip.frames, clip.name, who) for clip in clips]
        texts = [plain(text, lower=self.lower) for text in given.texts]
        silent = [clip.name for clip, text in zip(clips, texts, strict=True) if clip.silent and text]
        if silent:
            _logger.warning(
                "%s: %d of %d clips are silent and yet have a text, the first is %s", who, len(silent), len(clips),
                silent[0],
            )  # fmt: skip
        rows = np.arange(len(clips))
        out = rows[:0]
        if held is None:
            if len(clips) < 2:
                raise DataError(f"{who}: expected at least 2 clips, one to validate on, got {len(clips)}; give more")
            out = np.random.default_rng(self.seed).permutation(rows)[: max(len(clips) // _HELD_OUT, 1)]
        units = learn_units(
            self.unit, texts, alphabet=self.alphabet, size=self.vocabulary_size, who=who,
        )  # fmt: skip
        targets = []
        for name, text in zip(given.names, texts, strict=True):
            check_spelled(units, text, f"{who}: {name}", self.alphabet)
            targets.append(units.encode(text))
        if held is not None:
            later = [ear.whole(item, name, who) for name, item in zip(held.names, held.items, strict=True)]
            later_texts = [plain(text, lower=self.lower) for text in held.texts]
            for name, text in zip(held.names, later_texts, strict=True):
                check_spelled(units, text, f"{who}: validation: {name}", self.alphabet)
            test = ClipSource(later, [units.encode(text) for text in later_texts])
        else:
            later_texts = [texts[i] for i in out]
            test = ClipSource([clips[i] for i in out], [targets[i] for i in out])
        own = np.setdiff1d(rows, out)
        source = ClipSource([clips[i] for i in own], [targets[i] for i in own])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            net = SpeechNet(self._design(ear, units))
        set_scale(net, source.clips)
        check_lengths(net, source, [texts[i] for i in own], ear.frame_rate, who)
        check_lengths(net, test, later_texts, ear.frame_rate, who)
        config = self._training_config(
            clips=len(source), mean=float(source.lengths.double().mean()), longest=int(source.lengths.max()),
            max_seconds=max_seconds,
        )  # fmt: skip
        if run is not None:
            about = {f"{self.task} {name}": value for name, value in self.get_params().items()}
            run = replace(run, about={**run.about, **about})
        steps = config.epochs * -(-int(source.lengths.sum()) // max(config.max_tokens or 1, 1))
        trainee = Trainee(
            net, ear, parameters.perturbation(self), flat=int(min(max(_FLAT * steps, _LEAST_FLAT), steps / 2))
        )
        history = train(trainee, ctc_loss, source, test, config, callbacks, run=run)
        check_finite(history, who)
        self.units_, self.ear_, self.model_, self.history_ = units, ear, net.eval(), history
        self.sure_ = (1.0, 0.0)
        self.frequent_ = Counter(texts[i] for i in own).most_common(1)[0][0]
        self.n_clips_, self.seconds_ = len(clips), sum(len(clip.frames) for clip in clips) / ear.frame_rate
        self.validation_ = f"{len(test)} of the clips" if held is None else f"the given {len(test)} clips"
        self.origin_: dict[str, str] = {}
        self._calibrate(test, later_texts)
        return self

    def predict(self, audio: Any, decoding: Decoding | None = None) -> list[str]:
        """The text of each clip.

        Args:
            audio: as `fit` has it, without transcripts; one clip alone may stand without a list.
            decoding: how words are found.

        Raises:
            NotFittedError: nothing was fitted.
            ArgumentTypeError, DataError: something that is no sound.
        """
        return [one.text for one in self.transcribe(audio, decoding)]

    def transcribe(self, audio: Any, decoding: Decoding | None = None) -> list[Transcript]:
        """What was heard in each clip: words with their times and how sure they are, and alternatives.

        Raises:
            As `predict`.
        """
        self._check_fitted("transcribe")
        who = "Transcriber.transcribe"
        return list(self._transcribed(named_items(audio, who), decoding or Decoding(), who))

    def log_probs(self, audio: Any) -> list[list[NDArray[np.float32]]]:
        """(S, V) the log-probability of each symbol at every step, of each utterance of each clip.

        Raises:
            As `predict`.
        """
        self._check_fitted("log_probs")
        found = []
        for name, item in named_items(audio, "Transcriber.log_probs"):
            pieces = joined(list(self.ear_.utterances(item, name, "Transcriber.log_probs")))
            found.append(told(self.model_, [piece.frames for piece in pieces]))
        return found

    def picture(self, clip: Any) -> dict[str, Any]:
        """The first utterance of a clip, for `throughtime.report.speech_plot`.

        Raises:
            As `predict`; DataError: nothing was heard in it.
        """
        self._check_fitted("picture")
        who = "Transcriber.picture"
        name, item = next(iter(named_items([clip], who)))
        pieces = joined(list(self.ear_.utterances(item, name, who)))
        if not pieces:
            raise DataError(f"{who}: {name}: expected sound in which somebody speaks, got silence; give another clip")
        first = pieces[0]
        (told_SV,) = told(self.model_, [first.frames])
        rate = self.ear_.frame_rate
        start, end = first.first / rate, (first.first + len(first.frames)) / rate
        decoder = self._decoder(Decoding())
        decoder.feed(told_SV)
        return {
            "features": first.frames,
            "probabilities": np.exp(told_SV),
            "symbols": [self.units_.decode([i]) for i in range(len(self.units_))],
            "words": [tuple(word) for word in decoder.result(start, end).words],
            "start": start,
            "seconds": end,
            "step": self.model_.design.subsampling / rate,
        }

    def stream(self, rate: int | None = None, decoding: Decoding | None = None) -> TranscriptStream:
        """Words while somebody speaks: ``stream.feed(samples)``.

        Args:
            rate: samples a second of what is fed; None: those that the model hears.
            decoding: how words are found.

        Raises:
            NotFittedError: nothing was fitted.
            ArgumentError: the model is bidirectional; a rate for features.
        """
        self._check_fitted("stream")
        if self.model_.design.bidirectional:
            raise ArgumentError(
                "Transcriber.stream: expected a one-way model, got bidirectional=True, which needs the end of the "
                "sound; train with bidirectional=False (--one-way), and with a lookahead_ms for some of what that costs"
            )
        if self.ear_.mel is None:
            if rate is not None:
                raise ArgumentError(f"Transcriber.stream: expected no rate for features, got {rate}; leave it out")
            rate = 0
        return TranscriptStream(self, self.ear_.rate if rate is None else rate, decoding or Decoding())

    def evaluate(
        self, audio: Any, transcripts: Any = None, *, pattern: str | None = None, decoding: Decoding | None = None
    ) -> SpeechEvaluation:
        """Error rates on clips that the model has not seen, beside the commonest transcript of the training.

        Args:
            audio: as `fit` has it, and so are `transcripts` and `pattern`.

        Raises:
            NotFittedError: nothing was fitted.
            As `fit`.
        """
        self._check_fitted("evaluate")
        who = "Transcriber.evaluate"
        given = read_examples(audio, transcripts, pattern, who)
        began = time.perf_counter()
        heard = list(self._transcribed(zip(given.names, given.items, strict=True), decoding or Decoding(), who))
        return score(
            given.names,
            [plain(text, lower=self.lower) for text in given.texts],
            [one.text for one in heard],
            [[word.confidence for u in one.utterances for word in u.words] for one in heard],
            self.frequent_,
            seconds=sum(one.seconds for one in heard),
            took=time.perf_counter() - began,
        )

    def score(self, audio: Any, transcripts: Any = None) -> float:
        """The share of words that is right, 1 − WER: what scikit-learn maximises."""
        return 1 - self.evaluate(audio, transcripts).model.wer / 100

    def summary(self) -> str:
        """What was trained on what."""
        self._check_fitted("summary")
        d, m = self.model_.design, self.metrics_
        ways = "both ways" if d.bidirectional else "one way"
        if d.lookahead:
            ways += f", {d.lookahead * d.subsampling * 1000 / self.ear_.frame_rate:g} ms ahead"
        heard = f"{self.ear_.mel.rate} Hz, {d.features} mel bins" if self.ear_.mel else f"{d.features} features"
        size = sum(p.numel() for p in self.model_.parameters())
        return "\n".join(
            (
                f"data        {self.n_clips_} clips, {self.seconds_ / 60:.1f} minutes",
                f"hears       {heard}, {self.ear_.frame_rate / d.subsampling:g} steps a second",
                f"tells       {len(self.units_) - 2} {self.units_.name}s",
                f"validation  {self.validation_}",
                f"model       {d.cell}, {d.num_layers} x {d.hidden_size}, {ways}, {size} parameters",
                f"training    best epoch {m['best_epoch']} of {m['epochs']}, "
                f"validation WER {m['validation_wer']:.2f} %",
            )
        )

    def _ear(self, items: Sequence[Any], who: str) -> Ear:
        if self.frame_rate is not None:
            return Ear(None, 0, float(self.frame_rate))
        rate = self.rate
        if rate is None:
            rate = min(first_rate(items[0], who), 16_000)
        mel = LogMel(int(rate), int(parameters.default("mels") if self.mels is None else self.mels))
        return Ear(mel, mel.mels, mel.rate / mel.step)

    def _design(self, ear: Ear, units: TextUnits) -> Design:
        normalise = self.normalise
        if normalise == "auto":
            normalise = "utterance" if self.bidirectional else "running"
        frames = (3 if units.name == "word" else 2) if self.subsampling is None else int(self.subsampling)
        return Design(
            features=ear.features,
            symbols=len(units),
            mel=ear.mel is not None,
            cell=self.cell,
            hidden_size=int(self.hidden_size),
            num_layers=int(self.num_layers),
            bidirectional=self.bidirectional,
            subsampling=frames,
            tail=round(_TAIL * ear.frame_rate),
            lookahead=round(self.lookahead_ms / 1000 * ear.frame_rate / frames),
            normalise=normalise,
            dropout=parameters.dropout(self),
            loud=LOUD,
            shape=SHAPE,
        )

    def _training_config(self, *, clips: int, mean: float, longest: int, max_seconds: float | None) -> TrainingConfig:
        epochs = self.epochs
        if epochs is None:
            epochs = min(max(_STEPS * self.batch_size // max(clips, 1), _LEAST_EPOCHS), _MOST_EPOCHS)
        return TrainingConfig(
            epochs=epochs,
            batch_size=64,
            max_tokens=max(round(self.batch_size * mean), longest, 1),
            learning_rate=self.learning_rate,
            schedule="onecycle",
            clip_norm=5.0,
            patience=self.patience,
            seed=self.seed,
            max_seconds=max_seconds,
        )

    def _calibrate(self, test: ClipSource, texts: Sequence[str]) -> None:
        """Find how sure words are, on clips that were not learned from."""
        decoding, heard, sure, right = Decoding(), [], [], []
        for text, told_SV in zip(texts, told(self.model_, [clip.frames for clip in test.clips]), strict=True):
            decoder = self._decoder(decoding)
            decoder.feed(told_SV)
            found = decoder.result(0.0, np.inf)
            heard.append(found.text)
            sure += [word.confidence for word in found.words]
            right += right_words(text, found.text)
        self.sure_ = logistic(sure, right)
        rates = error_rates(texts, heard)
        self.metrics_: dict[str, Any] = {
            "validation_wer": rates.wer,
            "validation_cer": rates.cer,
            "best_epoch": self.history_.best_epoch,
            "epochs": len(self.history_.history),
        }

    def _decoder(self, decoding: Decoding) -> Decoder:
        seconds = self.model_.design.subsampling / self.ear_.frame_rate
        return Decoder(self.units_, decoding, seconds, self.sure_)

    def _transcribed(self, clips: Iterable[tuple[str, Any]], decoding: Decoding, who: str) -> Iterator[Transcript]:
        return transcribed(self.model_, self.ear_, lambda: self._decoder(decoding), clips, who)

    def _to_folder(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        return stored.tensors(self), stored.sections(self)

    def _from_folder(self, tensors: Mapping[str, np.ndarray], extra: Mapping[str, Any]) -> None:
        parameters.check(self)
        stored.read_sections(self, tensors, extra)


def _pair(validation: Any) -> tuple[Any, Any]:
    """Audio and transcripts of what is validated on."""
    if isinstance(validation, str | os.PathLike):
        return validation, None
    if not isinstance(validation, tuple | list) or len(validation) != 2:
        raise ArgumentTypeError(
            f"Transcriber.fit: expected validation as a pair (audio, transcripts), a table or a folder, got "
            f"{validation!r:.60}; pass one"
        )
    return validation[0], validation[1]
