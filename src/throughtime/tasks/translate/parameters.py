"""A translator's hyper-parameters, checked, and what follows from them and from the data."""

from dataclasses import asdict
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from throughtime.data.text.parallel_units import CASINGS
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.nn.arguments import check_flag, check_size
from throughtime.nn.layers import LAYERS
from throughtime.tasks.translate.network import ATTENTIONS, DECODERS, Design

if TYPE_CHECKING:
    from throughtime.tasks.translate.translator import Translator

_CHOICES = (
    ("casing", CASINGS),
    ("cell", tuple(LAYERS)),
    ("attention", tuple(ATTENTIONS)),
    ("decoder", DECODERS),
)
_COUNTS = (
    "min_count", "hidden_size", "embedding_size", "encoder_layers", "decoder_layers", "members", "longest",
    "batch_size", "beam",
)  # fmt: skip
_SHARES = ("dropout", "embedding_dropout", "word_dropout", "recurrent_dropout", "label_smoothing")


def check(translator: "Translator") -> None:
    """Refuse hyper-parameters out of their range; here, since scikit-learn wants `__init__` to store untouched.

    Raises:
        ArgumentError: a value out of its range, an unknown name, or two that contradict each other.
        ArgumentTypeError: a value of a wrong type.
    """
    who = "Translator"
    for name, among in _CHOICES:
        if getattr(translator, name) not in among:
            raise ArgumentError(
                f"{who}: expected {name} to be one of {', '.join(among)}, got {getattr(translator, name)!r}; "
                "pass one of these"
            )
    for name in _COUNTS:
        check_size(who, name, getattr(translator, name))
    for name in ("vocabulary_size", "epochs"):
        if getattr(translator, name) is not None:
            check_size(who, name, getattr(translator, name))
    for name in _SHARES:
        value: Any = getattr(translator, name)
        if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < 1:
            raise ArgumentError(f"{who}: expected {name} to be a number in [0, 1), got {value!r}; pass 0 for none")
    check_flag(who, "bfloat16", translator.bfloat16)
    if translator.hidden_size % 2:
        raise ArgumentError(
            f"{who}: expected an even hidden_size, half of it for each way of the encoder, got "
            f"{translator.hidden_size}; pass {translator.hidden_size + 1}"
        )
    if translator.decoder == "attention-between" and translator.decoder_layers < 2:
        raise ArgumentError(
            f"{who}: expected decoder_layers of at least 2 with decoder='attention-between', got "
            f"{translator.decoder_layers}; pass decoder='attention-above' for one"
        )
    if isinstance(translator.seed, bool) or not isinstance(translator.seed, int | np.integer) or translator.seed < 0:
        raise ArgumentError(f"{who}: expected seed to be a whole number from 0, got {translator.seed!r}; pass one")
    translator._search()
    translator._training_config(pairs=1, mean=1.0, longest=1)


def check_start(translator: "Translator", start: Any) -> None:
    """Refuse a start whose nets are not those that the hyper-parameters ask for.

    Raises:
        ArgumentTypeError: it is no translator.
        NotFittedError: it was not fitted.
        ArgumentError: its sizes, its subwords or the number of its nets are others.
    """
    who = "Translator.fit"
    if not isinstance(start, type(translator)):
        raise ArgumentTypeError(f"{who}: expected start to be a translator, got {start!r:.60}; pass a fitted one")
    start._check_fitted("start")
    symbols = len(start.units_)
    wanted, got = asdict(design(translator, symbols)), asdict(design(start, symbols))
    for name in ("casing", "members", "min_count", "vocabulary_size"):
        wanted[name], got[name] = getattr(translator, name), getattr(start, name)
    # What is dropped while training is no part of what was learned.
    other = [name for name in wanted if wanted[name] != got[name] and not name.endswith("dropout")]
    if other:
        name = other[0]
        raise ArgumentError(
            f"{who}: expected a start with {name}={wanted[name]!r}, got one with {got[name]!r}; "
            f"pass {name}={got[name]!r}, as it has"
        )


def design(translator: "Translator", symbols: int) -> Design:
    """The net's sizes."""
    t = translator
    return Design(
        symbols=symbols,
        cell=t.cell,
        hidden_size=int(t.hidden_size),
        embedding_size=int(t.embedding_size),
        encoder_layers=int(t.encoder_layers),
        decoder_layers=int(t.decoder_layers),
        attention=t.attention,
        decoder=t.decoder,
        dropout=float(t.dropout),
        embedding_dropout=float(t.embedding_dropout),
        word_dropout=float(t.word_dropout),
        recurrent_dropout=float(t.recurrent_dropout),
    )
