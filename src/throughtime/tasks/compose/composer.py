"""The composer: music in, music out."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from throughtime.data.music.abc import with_key
from throughtime.data.music.pieces import Metre, Piece
from throughtime.data.music.rolls import piece_from_roll, roll_from_piece
from throughtime.errors import ArgumentError, DataError
from throughtime.nn.arguments import check_size
from throughtime.tasks.compose import fitting, parameters, stored
from throughtime.tasks.compose.copies import Copies
from throughtime.tasks.compose.evaluation import MODEL, ComposeEvaluation, frame_nats, per_window
from throughtime.tasks.compose.events import EventVocabulary
from throughtime.tasks.compose.events_view import class_numbers, encoded, write_events
from throughtime.tasks.compose.frames_view import piece_of_frames, shares, top_voice, write_frames
from throughtime.tasks.compose.histograms import histograms, overlaps
from throughtime.tasks.compose.reading import Given, check_styles, read_given
from throughtime.tasks.compose.wishes import Composition, Wish, read_primer, read_wish
from throughtime.tasks.estimator import Estimator, module_tensors
from throughtime.tasks.language.evaluation import log_probs
from throughtime.training import Callback, RunFolder, TrainingResult

_TRIES, _TRIES_AVOIDING = 20, 5  # pieces drawn for one that copies: where a copy is refused, and where it is not
_AGAIN = 1_000_003  # between the seeds of a piece and of the next try
_AVOIDED = 2.0  # bars of a passage that is avoided without being asked for
_MARGIN = 0.5  # bars: a note that completes a passage may be as long without the passage being too long


class Composer(Estimator):
    """Learns music and writes it.

    Two views of a piece:

    - "events": a row of events (bar, position, pitch, duration), for writing pieces. (1) p(event_{t+1} | events so
      far) = softmax(W h_t + b)
    - "frames": which of 88 keys sound in each frame of a grid, for polyphony. (2) p(keys_{t+1} | frames so far), each
      key by itself or, with ``head="joint"``, each given the keys above it

    Args:
        view: "events" or "frames".
        head: of frames: "independent" or "joint".
        frame: of frames: ticks in one, twelve a quarter note.
        given: of frames: the highest voice is known, and the ones below are learnt: for `harmonise`.
        lags: of frames: how far back those lie that stand in the input beside the last one, such as [48, 64] where
            phrases come again after so many.
        melody: of each piece the highest line alone.
        velocity: of events: loudness is learnt, in eight steps; else every note is as loud.
        cell: a key of `throughtime.nn.layers.LAYERS`.
        hidden_size: units a layer.
        num_layers: layers on top of one another.
        embedding_size: of events: numbers an event.
        dropout: between layers and of the last layer's outputs, while training.
        input_dropout: of inputs: of events their numbers, of frames whole notes.
        weight_dropout: of the recurrent matrices.
        transpose: semitones, up and down, by which pieces are moved at random in training; by how much is told to the
            net, which writes in the keys of the originals. Learning every key takes several times as many passes.
        window: events or frames through which a gradient goes back.
        batch_size: rows of events, or windows of frames, beside one another.
        epochs: passes over the pieces; None: as many as make about 2,400 steps of events or 3,000 of frames.
        learning_rate, schedule, optimizer, weight_decay, clip_norm, ema, patience: see `TrainingConfig`.
        seed: of everything random.

    **Raises** from `fit`: ArgumentError for a value out of its range or of the other view; DataError for pieces that
    cannot be used.

    >>> from throughtime.data.music import piece_from_names
    >>> tune = piece_from_names("C4 D4 E4 C4 E4 F4 G4:2")
    >>> composer = Composer(hidden_size=8, num_layers=1, epochs=1, transpose=0).fit([tune] * 4)
    >>> len(composer.write(bars=2)[0].piece.bars)
    2
    """

    task = "compose"
    model_: Any
    """The net."""
    vocabulary_: EventVocabulary
    """Of events."""
    seen_: NDArray[np.bool_]
    """Of events: which ids the training pieces have."""
    baseline_: Any
    """The counts that stand beside the model."""
    labels_: list[str] | None
    """The styles; None for none."""
    copies_: Copies
    """The notes of the training pieces, by which copies are found."""
    facts_: fitting.Facts
    """What is known of the training pieces."""
    history_: TrainingResult
    metrics_: dict[str, Any]
    origin_: dict[str, str]

    def __init__(
        self,
        *,
        view: str = "events",
        head: str = "independent",
        frame: int = 12,
        given: bool = False,
        lags: Sequence[int] | None = None,
        melody: bool = False,
        velocity: bool = False,
        cell: str = "lstm",
        hidden_size: int = 256,
        num_layers: int = 1,
        embedding_size: int = 64,
        dropout: float = 0.3,
        input_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        transpose: int = 0,
        window: int = 128,
        batch_size: int = 16,
        epochs: int | None = None,
        learning_rate: float = 5e-3,
        schedule: str = "onecycle",
        optimizer: str = "adam",
        weight_decay: float = 0.0,
        clip_norm: float | None = 1.0,
        ema: float | None = None,
        patience: int | None = None,
        seed: int = 0,
    ) -> None:
        self.view = view
        self.head = head
        self.frame = frame
        self.given = given
        self.lags = lags
        self.melody = melody
        self.velocity = velocity
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.embedding_size = embedding_size
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.weight_dropout = weight_dropout
        self.transpose = transpose
        self.window = window
        self.batch_size = batch_size
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.optimizer = optimizer
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.ema = ema
        self.patience = patience
        self.seed = seed

    @classmethod
    def _default(cls, name: str) -> Any:
        return inspect.signature(cls.__init__).parameters[name].default

    def fit(
        self,
        pieces: Any,
        styles: Any = None,
        validation: Any = None,
        validation_styles: Any = None,
        *,
        callbacks: Sequence[Callback] = (),
        run: RunFolder | None = None,
        max_seconds: float | None = None,
    ) -> Self:
        """Train on pieces.

        Args:
            pieces: a folder or a file (.mid, .abc), or a list of `throughtime.data.music.Piece`; of frames also of
                piano rolls (T, 88).
            styles: of each; None: those of the pieces, where they have some: the folder or the book.
            validation: pieces to validate on; None holds out one of twenty, where there are twenty.
            validation_styles: of each of these.
            callbacks: told of every step and epoch.
            run: a folder for checkpoints and a log, from which a training that was killed goes on.
            max_seconds: training ends after the first step that ends later than this; None: never.

        Raises:
            ArgumentError: a hyper-parameter out of its range, or styles that do not fit the pieces.
            DataError: no music, files that cannot be read, or notes that cannot be used.
            MissingExtraError: symusic is not installed, for files.
        """
        who = "Composer.fit"
        parameters.check(self)
        given = self._read(pieces, styles, who)
        later = None if validation is None else self._read(validation, validation_styles, f"{who}: validation")
        fitting.fit(self, given, later, callbacks=callbacks, run=run, max_seconds=max_seconds, who=who)
        return self

    def write(
        self,
        style: Any = None,
        primer: Any = None,
        n: int = 1,
        *,
        bars: int | None = 16,
        metre: str | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        greedy: bool = False,
        most_repeats: int | str | None = "training",
        max_copy: float | str | None = "avoid",
        tempo: float | None = None,
        transpose: int = 0,
        seed: int = 0,
    ) -> list[Composition]:
        """Write n pieces, or n for each of several primers or styles.

        Args:
            style: where the model was trained with styles: one, or a mixture ``{"jigs": 2, "reels": 1}``.
            primer: what a piece begins with: a Piece, the path of a .mid or .abc file, or note names such as
                "G4:0.5 A4:0.5 B4". It stands at the beginning note for note.
            n: how many for each.
            bars: of a piece, the primer's counted; None: as the model ends it (events without a primer).
            metre: such as "6/8"; None: as the model begins, of frames 4/4.
            temperature: below 1 the likely becomes likelier, above 1 the odd does.
            top_k: only the k likeliest events.
            top_p: only the likeliest events that have this probability together.
            greedy: always the likeliest; nothing is drawn.
            most_repeats: notes of one pitch that may follow each other; "training": as many as in the training; None:
                any number. Of events.
            max_copy: no piece shares a passage of so many bars with a training piece: such passages are avoided note by
                note, and a piece with one all the same is written anew; "avoid": of two bars, where five tries do as
                well as they can (of events); None: nothing is done.
            tempo: quarter notes a minute; None: the primer's, or the middle one of the training.
            transpose: semitones by which the piece, primer and all, is moved at the end.
            seed: piece b draws with seed + b: the same piece for the same seed, whatever is written beside it.

        Raises:
            NotFittedError: nothing was fitted.
            ArgumentError: an unknown style (the known are listed), none where one is needed, a primer longer than the
                bars, an option out of its range or of the other view, or no piece without a copy in 20 tries.
            ArgumentTypeError: an argument of a wrong type.
            DataError: a primer that cannot be read, or has notes that the model has not.
        """
        who = "Composer.write"
        self._check_fitted("write")
        if self.given:
            raise ArgumentError(
                f"{who}: expected a model trained with given=False, got given=True, which writes below a voice; "
                "call harmonise"
            )
        repeats: Any = most_repeats
        if most_repeats == "training":
            repeats = self.facts_.most_repeats if self.view == "events" else None
        lenient = max_copy == "avoid"
        copied = (_AVOIDED if self.view == "events" else None) if lenient else max_copy
        wish = read_wish(
            who, labels=self.labels_, style=style, primer=primer, n=n, bars=bars, metre=metre, temperature=temperature,
            top_k=top_k, top_p=top_p, greedy=greedy, most_repeats=repeats, max_copy=copied, tempo=tempo,
            transpose=transpose, seed=seed,
        )  # fmt: skip
        draw = self._write_events if self.view == "events" else self._write_frames
        found = draw(wish, who)
        if wish.max_copy is None:
            return found
        tries = 1 if wish.sampler.greedy else _TRIES_AVOIDING if lenient else _TRIES
        for b, one in enumerate(found):
            for again in range(1, tries):
                if one.shared.bars < wish.max_copy:
                    break
                alone = replace(
                    wish, primers=[wish.primers[b]], names=[wish.names[b]], seed=wish.seed + b + again * _AGAIN,
                    mixtures=None if wish.mixtures is None else [wish.mixtures[b]],
                )  # fmt: skip
                one = min(one, *draw(alone, who), key=lambda drawn: drawn.shared.bars)
            if one.shared.bars >= wish.max_copy and not lenient:
                raise ArgumentError(
                    f"{who}: expected a piece that shares less than max_copy={wish.max_copy:g} bars with a training "
                    f"piece, got {one.shared.bars:.2f} with {one.shared.piece!r} in {tries} tries; raise max_copy "
                    "or the temperature"
                )
            found[b] = one
        return found

    def predict(self, primers: Sequence[Any], **options: Any) -> list[Composition]:
        """Each primer gone on with: `write` with one piece a primer."""
        return self.write(primer=list(primers), **options)

    def _write_events(self, wish: Wish, who: str) -> list[Composition]:
        least = None if wish.max_copy is None else wish.max_copy - _MARGIN

        def barred(onsets: list[int], pitches: list[int], next: int, bar: int) -> list[int]:
            assert least is not None
            return self.copies_.barred(onsets, pitches, next, max(1, round(least * bar)))

        drawn = write_events(
            self.model_, self.vocabulary_, self.seen_, wish, melody=self.facts_.at_once == 1,
            at_once=self.facts_.at_once, barred=None if least is None else barred,
            styles=0 if self.labels_ is None else len(self.labels_), who=who,
        )  # fmt: skip
        pieces = [self.vocabulary_.decode(ids) for ids in drawn.ids]
        return [self._composed(wish, b, piece, drawn.log_probs[b]) for b, piece in enumerate(pieces)]

    def _write_frames(self, wish: Wish, who: str) -> list[Composition]:
        if wish.sampler.top_k is not None or wish.most_repeats is not None or wish.bars is None:
            name = (
                "top_k" if wish.sampler.top_k is not None else "most_repeats" if wish.bars is not None else "bars=None"
            )
            raise ArgumentError(
                f"{who}: expected bars, and neither top_k nor most_repeats, with view='frames', got {name}; "
                "use temperature and top_p"
            )
        metre = Metre(0, *(wish.metre or (4, 4)))
        frames = self._frames(metre, wish.bars, who)
        begun = [
            np.zeros((0, 88), dtype=np.uint8)
            if primer is None
            else roll_from_piece(primer, int(self.frame), who=f"{who}: primer")
            for primer in wish.primers
        ]
        for roll in begun:
            if len(roll) > frames:
                raise ArgumentError(
                    f"{who}: expected a primer of at most the {wish.bars} bars asked for, {frames} frames, got one of "
                    f"{len(roll)}; ask for more bars or cut it"
                )
        drawn = write_frames(
            self.model_, begun, frames, wish.sampler, wish.seed, styles=shares(wish, len(self.labels_ or ())), who=who
        )  # fmt: skip
        pieces = [
            piece_of_frames(roll, int(self.frame), metre, None if primer is None else (primer, len(given)))
            for roll, given, primer in zip(drawn.rolls, begun, wish.primers, strict=True)
        ]
        return [self._composed(wish, b, piece, drawn.log_probs[b]) for b, piece in enumerate(pieces)]

    def _frames(self, metre: Metre, bars: int, who: str) -> int:
        if metre.bar % int(self.frame):
            raise ArgumentError(
                f"{who}: expected a metre whose bar is whole frames of {self.frame} ticks, got {metre}; pass another"
            )
        return metre.bar * bars // int(self.frame)

    def _composed(self, wish: Wish, b: int, piece: Piece, log_prob: float) -> Composition:
        primer, first = wish.primers[b], 0
        if primer is not None:
            first = len(primer)
            notes = piece.notes.copy()
            assert np.array_equal(notes[:first, :3], primer.notes[:, :3])
            notes[:first] = primer.notes
            piece = replace(piece, notes=notes)
        shared = self.copies_.longest(piece, piece.metres[0].bar, first)
        tempo = wish.tempo or (self.facts_.tempo if primer is None else primer.tempo)
        name = f"{wish.names[b] or 'piece'} {wish.seed + b}"
        piece = with_key(replace(piece, tempo=tempo, name=name, style=wish.names[b]).transposed(wish.transpose))
        return Composition(piece, wish.seed + b, wish.names[b], log_prob, len(piece) - first, shared)

    def harmonise(
        self,
        voice: Any,
        n: int = 1,
        *,
        style: Any = None,
        temperature: float | None = None,
        top_p: float | None = None,
        greedy: bool = False,
        tempo: float | None = None,
        seed: int = 0,
    ) -> list[Composition]:
        """Write the voices below a given one, n times, the likeliest first.

        Args:
            voice: the highest voice: a Piece, a path or note names, see `write`; of several notes at once the highest.
            n: how many.
            style: where the model was trained with styles.
            temperature: see `write`; None: 0.5.
            top_p, greedy, tempo, seed: see `write`.

        Raises:
            NotFittedError: nothing was fitted.
            ArgumentError: a model that was not trained with ``given=True``, or an option out of its range.
            DataError: a voice that cannot be read, or notes that no piano has.
        """
        who = "Composer.harmonise"
        self._check_fitted("harmonise")
        if self.view != "frames" or not self.given:
            raise ArgumentError(
                f"{who}: expected a model trained with view='frames' and given=True, got view={self.view!r} and "
                f"given={self.given}; train one so"
            )
        tune = read_primer(voice, who).melody()
        if temperature is None:
            temperature = 1.0 if greedy else 0.5
        wish = read_wish(
            who, labels=self.labels_, style=style, primer=None, n=n, bars=None, metre=None, temperature=temperature,
            top_k=None, top_p=top_p, greedy=greedy, most_repeats=None, max_copy=None, tempo=tempo, transpose=0,
            seed=seed,
        )  # fmt: skip
        roll = top_voice(roll_from_piece(tune, int(self.frame), who=who))
        empty = [np.zeros((0, 88), dtype=np.uint8)] * n
        drawn = write_frames(
            self.model_, empty, len(roll), wish.sampler, wish.seed, styles=shares(wish, len(self.labels_ or ())),
            voice=roll, who=who,
        )  # fmt: skip
        found = []
        for b, (written, log_prob) in enumerate(zip(drawn.rolls, drawn.log_probs, strict=True)):
            below = piece_from_roll(np.where(roll, 0, written).astype(np.uint8), int(self.frame))
            notes = np.concatenate((tune.notes, below.notes))
            notes = notes[np.lexsort((-notes[:, 2], notes[:, 0]))]
            piece = replace(tune, notes=notes, tempo=tempo or tune.tempo, name=f"{tune.name or 'voice'} {seed + b}")
            shared = self.copies_.longest(below, tune.metres[0].bar)
            found.append(Composition(with_key(piece), seed + b, wish.names[b], log_prob, len(below), shared))
        return sorted(found, key=lambda one: -one.log_prob)

    def evaluate(self, pieces: Any, styles: Any = None, *, written: int = 0, **options: Any) -> ComposeEvaluation:
        """How well the model knows pieces that it has not seen, beside simple counts.

        Of events every one is predicted from those before it in its piece, beside how often each occurs (unigram) and
        how often it follows another (bigram). Of frames every one but a piece's first, beside how often each key
        sounds (keys), and how often after it sounded or was silent (last frame).

        Args:
            pieces, styles: as in `fit`.
            written: pieces to write, whose histograms are set beside those of the given ones; styles in turn.
            options: of `write`.

        Raises:
            NotFittedError: nothing was fitted.
            ArgumentError, DataError: pieces that cannot be used, options beside ``written=0``.
        """
        who = "Composer.evaluate"
        self._check_fitted("evaluate")
        if isinstance(written, bool) or not isinstance(written, int) or written < 0:
            raise ArgumentError(f"{who}: expected written to be a whole number from 0, got {written!r}; pass a count")
        if options and not written:
            raise ArgumentError(
                f"{who}: expected options of write beside written, got {', '.join(options)} alone; pass written=20"
            )
        given = self._read(pieces, styles, who)
        check_styles(given, self.labels_, who)
        numbers = class_numbers(given.styles, self.labels_)
        alike = {}
        if written:
            own = [one.piece for one in self.write_many(written, **options)]
            alike = overlaps(histograms(own), histograms(given.pieces))
        if self.view == "events":
            corpus = encoded(given.pieces, self.vocabulary_, numbers, 0, who)
            mine = -float(log_probs(self.model_, corpus, 512).sum())
            unigram, bigram = self.baseline_.nats(corpus)
            nats = {MODEL: mine, "bigram": bigram, "unigram": unigram}
            return ComposeEvaluation(len(given.pieces), len(corpus), given.notes, "event", nats, None, alike)
        rows = None if numbers is None else numbers.tolist()
        steps = sum(len(roll) - 1 for roll in given.rolls)
        if not steps:
            raise DataError(f"{who}: expected pieces of two frames or more, got none; give longer ones")
        found = frame_nats(self.model_, given.rolls, rows)
        after, alone = self.baseline_.nats(given.rolls)
        nats = {MODEL: float(sum(part.sum() for part in found)), "last frame": after, "keys": alone}
        windowed = per_window(self.model_, given.rolls, rows)
        return ComposeEvaluation(len(given.pieces), steps, given.notes, "frame", nats, windowed, alike)

    def write_many(self, n: int, **options: Any) -> list[Composition]:
        """n pieces, the model's styles in turn; options of `write`."""
        self._check_fitted("write_many")
        check_size("Composer.write_many", "n", n)
        if self.labels_ is None or "style" in options:
            return self.write(n=n, **options)
        return self.write(style=[self.labels_[i % len(self.labels_)] for i in range(n)], **options)

    @property
    def n_parameters_(self) -> int:
        """Trained numbers in the net."""
        return sum(p.numel() for p in self.model_.parameters())

    def summary(self) -> str:
        """What was trained on what."""
        self._check_fitted("summary")
        f = self.facts_
        best = f"best epoch {self.metrics_['best_epoch']} of {self.metrics_['epochs']}"
        if self.metrics_["validation_loss"] is not None:
            best += f", validation loss {self.metrics_['validation_loss']:.4f} nats"
        styles = "" if self.labels_ is None else f", {len(self.labels_)} styles"
        return "\n".join(
            (
                f"data        {f.pieces} piece{'s' * (f.pieces > 1)}, {f.notes} notes{styles}",
                f"view        {self.view}" + (f", {self.head} keys" if self.view == "frames" else ""),
                f"validation  {f.validation}",
                f"model       {self.cell}, {self.num_layers} x {self.hidden_size}, {self.n_parameters_} parameters",
                f"training    {best}",
            )
        )

    def _read(self, pieces: Any, styles: Any, who: str) -> Given:
        return read_given(pieces, styles, view=self.view, melody=self.melody, frame=int(self.frame), who=who)

    def _to_folder(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        return module_tensors(self.model_) | stored.tensors(self), stored.sections(self)

    def _from_folder(self, tensors: Mapping[str, np.ndarray], extra: Mapping[str, Any]) -> None:
        parameters.check(self)
        stored.read_sections(self, tensors, extra)
