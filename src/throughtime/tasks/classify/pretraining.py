"""Language models that learn from a classifier's texts before it learns labels; they are tasks/language's own."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from throughtime.data.text.files import TextFiles, TextPiece
from throughtime.data.text.units import TextUnits
from throughtime.errors import ArgumentError
from throughtime.tasks.classify.texts import TextReader, check_texts
from throughtime.tasks.language import LanguageModel, TextEncoder
from throughtime.training import Callback, RunFolder

if TYPE_CHECKING:
    from throughtime.tasks.classify.classifier import Classifier

_BPTT, _ROWS = 70, 32
_TIME = 0.6  # of all the time that there is
_ADAPTIVE_FROM = 5000  # symbols: what counts here is what reads, not how well rare words are told apart


class Languages:
    """One language model, or two: of the texts, and of the texts backwards.

    Args:
        models: fitted, of one vocabulary.
        how: what they learned from, in words.
    """

    def __init__(self, models: Sequence[LanguageModel], how: str) -> None:
        self.models = list(models)
        self.how = how

    @property
    def units(self) -> TextUnits:
        """The vocabulary, which they share."""
        return self.models[0].units_

    @property
    def sizes(self) -> dict[str, Any]:
        """Of their encoders, as `ClassDesign` names them."""
        one = self.models[0]
        return {
            "cell": one.cell,
            "hidden_size": one.hidden_size,
            "num_layers": one.num_layers,
            "embedding_size": one.model_.encoder.embedding.embedding_dim,
            "bidirectional": len(self.models) > 1,
        }

    def encoders(self) -> list[TextEncoder]:
        """Copies of what reads in each."""
        return [model.encoder_part().encoder for model in self.models]

    @classmethod
    def learn(
        cls,
        classifier: "Classifier",
        reader: TextReader,
        prepared: Sequence[str],
        *,
        further: int,
        callbacks: Sequence[Callback],
        run: RunFolder | None,
        max_seconds: float | None,
    ) -> "Languages":
        """Train on prepared texts.

        Args:
            further: how many of them came beside the labelled ones.
            max_seconds: of the whole training; six tenths of it are for this.

        Raises:
            KeyboardInterrupt: Ctrl-C ended the training of a language model.
        """
        c = classifier
        ways = 2 if c.bidirectional else 1
        models = []
        if run is not None:
            Path(run.path).mkdir(parents=True, exist_ok=True)
        for way in range(ways):
            texts = [backwards(text, c.unit) for text in prepared] if way else list(prepared)
            model = LanguageModel(**_options(c, texts))
            own = None if run is None else replace(run, path=Path(run.path) / ("backwards" if way else "language"))
            share = None if max_seconds is None else _TIME * max_seconds / ways
            models.append(model.fit(texts, callbacks=callbacks, run=own, max_seconds=share))
            if model.history_.stopped == "interrupted":
                raise KeyboardInterrupt  # there is no classifier yet that could be kept
        beside = f", {further} of them without labels" if further else ""
        losses = " and ".join(
            f"{model.metrics_['validation_loss']:.3f}" for model in models if model.metrics_["validation_loss"]
        )
        how = f"on {len(prepared)} texts{beside}, {'both ways' if ways == 2 else 'one way'}"
        return cls(models, f"{how}, {losses} nats a {c.unit}" if losses else how)


def backwards(text: str, unit: str) -> str:
    """A prepared text from its end to its beginning."""
    return " ".join(reversed(text.split(" "))) if unit == "word" else text[::-1]


def check_pretraining(classifier: "Classifier") -> None:
    """Refuse what language models cannot do.

    Raises:
        ArgumentError: subwords both ways, since those of a text backwards are others.
    """
    if classifier.unit == "subword" and classifier.bidirectional:
        raise ArgumentError(
            "Classifier: expected bidirectional=False to pretrain on subwords, which differ in a text read backwards, "
            "got True; pass it, or another unit"
        )


def read_texts(texts: Any, who: str) -> Iterator[str]:
    """Texts to learn language from: a list, files (each line of plain text one), or a path of one.

    Raises:
        ArgumentTypeError, DataError: what `check_texts` and `TextFiles` say.
    """
    if isinstance(texts, Path):
        texts = TextFiles(texts, lines=True)
    return _whole(texts) if isinstance(texts, TextFiles) else iter(check_texts(texts, who))


def _whole(pieces: Iterable[TextPiece]) -> Iterator[str]:
    parts: list[str] = []
    for piece in pieces:
        parts.append(piece.text)
        if piece.ends:
            yield "".join(parts)
            parts = []


def _options(c: "Classifier", texts: Sequence[str]) -> dict[str, Any]:
    """Of the language model."""
    size, min_count, symbols = TextReader.sizes(c.unit, texts, c.vocabulary_size, c.min_count)
    return {
        "unit": c.unit,
        "vocabulary_size": size,
        "min_count": min_count,
        "softmax": "adaptive" if symbols >= _ADAPTIVE_FROM and c.hidden_size >= 16 else "full",
        "cell": c.cell,
        "hidden_size": c.hidden_size,
        "num_layers": c.num_layers,
        "embedding_size": c.embedding_size,
        "dropout": c.dropout / 2,
        "weight_dropout": c.weight_dropout,
        "bptt": _BPTT,
        "batch_size": _ROWS,
        "epochs": c.pretrain_epochs,
        "bfloat16": c.bfloat16,
        "seed": c.seed,
    }
