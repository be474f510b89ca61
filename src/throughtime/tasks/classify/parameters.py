"""A classifier's hyper-parameters, checked."""

from numbers import Real
from typing import TYPE_CHECKING, Any

from throughtime.data.text.units import UNITS
from throughtime.errors import ArgumentError
from throughtime.models.pooling import POOLING_NAMES
from throughtime.nn.arguments import check_flag, check_size
from throughtime.nn.layers import LAYERS
from throughtime.tasks.classify.labels import KINDS

if TYPE_CHECKING:
    from throughtime.tasks.classify.classifier import Classifier

_CHOICES = (
    ("labels", ("auto", *KINDS)),
    ("unit", UNITS),
    ("cell", tuple(LAYERS)),
    ("pooling", ("auto", *POOLING_NAMES)),
)
_COUNTS = (
    "vocabulary_size", "min_count", "longest", "hidden_size", "num_layers", "embedding_size", "ngrams", "batch_size",
)  # fmt: skip
_FLAGS = ("lower", "bidirectional", "wide", "pretrain", "bfloat16")
_DROPOUTS = ("dropout", "embedding_dropout", "weight_dropout")
MOST_NGRAMS, MOST_SPELLING = 4, 8


def check(classifier: "Classifier") -> None:
    """Refuse hyper-parameters out of their range; here, since scikit-learn wants `__init__` to store untouched.

    Raises:
        ArgumentError: a value out of its range, an unknown name, or two that contradict each other.
        ArgumentTypeError: a value of a wrong type.
    """
    who = "Classifier"
    for name, among in _CHOICES:
        if getattr(classifier, name) not in among:
            raise ArgumentError(
                f"{who}: expected {name} to be one of {', '.join(among)}, got {getattr(classifier, name)!r}; "
                "pass one of these"
            )
    for name in _COUNTS:
        check_size(who, name, getattr(classifier, name))
    for name in ("epochs", "pretrain_epochs", "members"):
        if getattr(classifier, name) is not None:
            check_size(who, name, getattr(classifier, name))
    if isinstance(classifier.spelling, bool) or classifier.spelling not in (0, *range(2, MOST_SPELLING + 1)):
        raise ArgumentError(
            f"{who}: expected spelling to be 0 or from 2 to {MOST_SPELLING} characters, got {classifier.spelling!r}; "
            "pass 0 for none"
        )
    for name in _FLAGS:
        check_flag(who, name, getattr(classifier, name))
    for name in _DROPOUTS:
        value: Any = getattr(classifier, name)
        if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < 1:
            raise ArgumentError(f"{who}: expected {name} to be a number in [0, 1), got {value!r}; pass 0 for none")
    if classifier.ngrams > MOST_NGRAMS:
        raise ArgumentError(
            f"{who}: expected ngrams of at most {MOST_NGRAMS} tokens, got {classifier.ngrams}; longer ones are too rare"
        )
    if classifier.longest < 2:
        raise ArgumentError(f"{who}: expected longest of at least 2, a text's beginning and end, got 1; give more")
    given = classifier.class_weight
    if not (given is None or given == "balanced" or isinstance(given, dict)):
        raise ArgumentError(
            f"{who}: expected class_weight to be None, 'balanced' or a number by label, got {given!r:.60}; pass one"
        )
    classifier._training_config(texts=1, mean=1.0, longest=1, max_seconds=None)
