"""A language model's hyper-parameters: checked, and what follows from them and from the data."""

from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from throughtime.data.text.units import UNITS
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.nn.layers import LAYERS
from throughtime.tasks.language.corpus import Corpus, Source
from throughtime.tasks.language.net import Dropouts
from throughtime.training import OPTIMIZERS, SCHEDULES

if TYPE_CHECKING:
    from throughtime.tasks.language.language_model import LanguageModel

SOFTMAXES = ("full", "adaptive", "auto")
CONDITIONS = ("every", "first")
_ADAPTIVE_FROM = 20_000  # symbols; below it the full softmax is as fast on a CPU
_HELD_OUT = 20  # one text of so many, or one part of the text, is validated on
_LEAST_SYMBOLS, _LEAST_TEXTS = 200, 10  # for a validation

_CHOICES = (
    ("unit", UNITS),
    ("cell", tuple(LAYERS)),
    ("softmax", SOFTMAXES),
    ("condition", CONDITIONS),
    ("schedule", SCHEDULES),
    ("optimizer", OPTIMIZERS),
)
_COUNTS = (
    ("vocabulary_size", True),
    ("min_count", False),
    ("hidden_size", False),
    ("num_layers", False),
    ("embedding_size", True),
    ("bptt", False),
    ("batch_size", False),
    ("epochs", True),
)
_DROPOUTS = (
    ("dropout", False),
    ("input_dropout", True),
    ("output_dropout", True),
    ("embedding_dropout", False),
    ("weight_dropout", False),
    ("recurrent_dropout", False),
)


def check(model: "LanguageModel") -> None:
    """Refuse hyper-parameters out of their range; here, since scikit-learn wants `__init__` to store untouched.

    Raises:
        ArgumentError: a value out of its range, an unknown name, or two that contradict each other.
        ArgumentTypeError: a value of a wrong type.
    """
    who = type(model).__name__
    for name, among in _CHOICES:
        if getattr(model, name) not in among:
            raise ArgumentError(
                f"{who}: expected {name} to be one of {', '.join(among)}, got {getattr(model, name)!r}; "
                "pass one of these"
            )
    for name, optional in _COUNTS:
        if getattr(model, name) is not None or not optional:
            positive(who, name, getattr(model, name))
    for name, optional in _DROPOUTS:
        _number(who, name, getattr(model, name), below=1.0, optional=optional)
    for name in ("activation_penalty", "change_penalty"):
        _number(who, name, getattr(model, name))
    for name in ("tie_weights", "variational", "vary_bptt", "bfloat16"):
        if not isinstance(getattr(model, name), bool):
            raise ArgumentTypeError(
                f"{who}: expected {name} to be True or False, got {getattr(model, name)!r}; pass one of these"
            )
    if model.unit == "subword" and model.min_count != 1:
        raise ArgumentError(
            f"{who}: expected min_count=1 with unit='subword', which has no rare symbols, got {model.min_count}; "
            "pass vocabulary_size"
        )
    if model.tie_weights and model.softmax == "adaptive":
        raise ArgumentError(
            f"{who}: expected tie_weights=False with softmax='adaptive', whose clusters have matrices of their own, "
            "got True; pass softmax='full' to tie them"
        )
    if isinstance(model.seed, bool) or not isinstance(model.seed, int | np.integer) or not 0 <= model.seed < 2**63:
        raise ArgumentError(f"{who}: expected seed to be a whole number from 0, got {model.seed!r}; pass one")
    model._training_config(1)


def positive(who: str, name: str, value: Any) -> int:
    """A positive whole number.

    Raises:
        ArgumentTypeError: no whole number.
        ArgumentError: not positive.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ArgumentTypeError(f"{who}: expected {name} to be a whole number, got {value!r}; pass an int")
    if value <= 0:
        raise ArgumentError(f"{who}: expected {name} > 0, got {value}; pass a positive number")
    return int(value)


def _number(who: str, name: str, value: Any, *, below: float = float("inf"), optional: bool = False) -> None:
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, Real) or not 0.0 <= float(value) < below:
        bound = f"a number in [0, {below:g})" if below < float("inf") else "a number from 0"
        raise ArgumentError(f"{who}: expected {name} to be {bound}, got {value!r}; pass one, 0 for none")


def widths(model: "LanguageModel") -> list[int]:
    """The embedding's numbers and the units of each layer."""
    H, E = model.hidden_size, model.embedding_size
    if E is None:
        E = H if model.tie_weights else min(H, 128)
    return [E, *[H] * (model.num_layers - 1), E if model.tie_weights else H]


def dropouts(model: "LanguageModel") -> Dropouts:
    """What is dropped where."""
    return Dropouts(
        embedding=model.embedding_dropout,
        input=model.dropout / 2 if model.input_dropout is None else model.input_dropout,
        between=model.dropout,
        output=model.dropout if model.output_dropout is None else model.output_dropout,
        weight=model.weight_dropout,
        recurrent=model.recurrent_dropout,
        variational=model.variational,
    )


def cutoffs(model: "LanguageModel", symbols: int) -> list[int] | None:
    """Where an adaptive softmax cuts the vocabulary; None for a full one."""
    wanted = model.softmax == "adaptive" or (
        model.softmax == "auto" and symbols >= _ADAPTIVE_FROM and not model.tie_weights
    )
    if not wanted:
        return None
    if symbols < 12 or model.hidden_size < 16:
        raise ArgumentError(
            f"LanguageModel: expected 12 symbols and hidden_size=16 or more for softmax='adaptive', got {symbols} and "
            f"{model.hidden_size}; pass softmax='full'"
        )
    return [symbols // 12, symbols // 3]


def split(corpus: Corpus, seed: int) -> tuple[Corpus, Corpus | None, str]:
    """What is trained on, what is validated on, and how they were parted, in words."""
    if corpus.texts < _LEAST_TEXTS:
        if len(corpus) < _LEAST_SYMBOLS:
            return corpus, None, f"none: there are fewer than {_LEAST_SYMBOLS} symbols and {_LEAST_TEXTS} texts"
        symbols = len(corpus) // _HELD_OUT  # less than half of the longest of so few texts
        return *corpus.cut(symbols), f"the last {symbols} symbols" + " of the longest text" * (corpus.texts > 1)
    drawn = np.random.Generator(np.random.PCG64(seed)).permutation(corpus.texts)
    held = np.sort(drawn[: -(-corpus.texts // _HELD_OUT)])
    rest = np.setdiff1d(np.arange(corpus.texts), held)
    return corpus.select(rest), corpus.select(held), f"{len(held)} texts of {corpus.texts}"


def classes(labels: list[str] | None, source: Source, who: str) -> dict[str, int] | None:
    """The number of each label; a label for each text where the model has labels, none where it has none.

    Raises:
        ArgumentError: otherwise.
    """
    if source.labelled and labels is None:
        raise ArgumentError(
            f"{who}: expected no labels, since the model was trained without labels, got some; leave them out"
        )
    if not source.labelled and labels is not None:
        raise ArgumentError(
            f"{who}: expected a label for each text, since the model was trained with labels, got none; pass labels"
        )
    return None if labels is None else {name: i for i, name in enumerate(labels)}
