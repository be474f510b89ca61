"""A tagger's hyper-parameters, checked."""

from numbers import Real
from typing import TYPE_CHECKING, Any

from throughtime.errors import ArgumentError
from throughtime.nn.arguments import check_flag, check_size
from throughtime.nn.layers import LAYERS
from throughtime.tasks.tag.network import CHARACTERS
from throughtime.tasks.tag.schemes import SCHEMES

if TYPE_CHECKING:
    from throughtime.tasks.tag.tagger import Tagger

_CHOICES = (("cell", tuple(LAYERS)), ("characters", ("auto", *CHARACTERS)), ("scheme", ("auto", *SCHEMES)))
_COUNTS = ("hidden_size", "num_layers", "character_size", "batch_tokens")


def check(tagger: "Tagger") -> None:
    """Refuse hyper-parameters out of their range; here, since scikit-learn wants `__init__` to store untouched.

    Raises:
        ArgumentError: a value out of its range, an unknown name, or two that contradict each other.
        ArgumentTypeError: a value of a wrong type.
    """
    for name, among in _CHOICES:
        if getattr(tagger, name) not in among:
            raise ArgumentError(
                f"Tagger: expected {name} to be one of {', '.join(among)}, got {getattr(tagger, name)!r}; "
                "pass one of these"
            )
    for name in _COUNTS:
        check_size("Tagger", name, getattr(tagger, name))
    if tagger.word_size is not None:
        check_size("Tagger", "word_size", tagger.word_size)
    for name in ("bidirectional", "crf"):
        check_flag("Tagger", name, getattr(tagger, name))
    dropout: Any = tagger.dropout
    if isinstance(dropout, bool) or not isinstance(dropout, Real) or not 0 <= float(dropout) < 1:
        raise ArgumentError(f"Tagger: expected dropout to be a number in [0, 1), got {dropout!r}; pass 0 for none")
    if tagger.characters in ("auto", "lstm") and tagger.character_size % 2:
        raise ArgumentError(
            f"Tagger: expected an even character_size, half for each direction over a word's characters, got "
            f"{tagger.character_size}; pass an even one or characters='cnn'"
        )
    tagger._training_config(tokens=1, longest=1, max_seconds=None)
