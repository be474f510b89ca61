"""A transcriber's hyper-parameters, checked."""

from numbers import Real
from typing import TYPE_CHECKING, Any

from throughtime.data.text.units import UNITS
from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.nn.arguments import check_flag, check_size
from throughtime.nn.layers import LAYERS
from throughtime.tasks.transcribe.network import NORMALISATIONS
from throughtime.tasks.transcribe.perturb import Perturbation

if TYPE_CHECKING:
    from throughtime.tasks.transcribe.transcriber import Transcriber

_CHOICES = (
    ("unit", ("auto", *UNITS)),
    ("cell", tuple(LAYERS)),
    ("normalise", ("auto", *NORMALISATIONS)),
)
_COUNTS = ("hidden_size", "num_layers", "batch_size")
_FOR_SOUND: dict[str, Any] = {"rate": None, "mels": 40, "speed": 0.15, "warp": 0.15, "gain": 6.0, "noise": 0.5}
"""What has a meaning for sound alone, and its value where it is None."""
_SHARES = (("dropout", 1.0), ("speed", 0.5), ("warp", 0.5), ("masks", 0.5), ("gain", 40.0), ("noise", 1.001))
_BOTH_WAYS, _ONE_WAY = (0.4, 0.2), (0.2, 0.05)
"""dropout and masks where they are None: what one direction alone hears is less, and can spare less."""
LEAST_RATE, MOST_RATE = 4000, 48000


def check(transcriber: "Transcriber") -> None:
    """Refuse hyper-parameters out of their range; here, since scikit-learn wants `__init__` to store untouched.

    Raises:
        ArgumentError: a value out of its range, an unknown name, or two that contradict each other.
        ArgumentTypeError: a value of a wrong type.
    """
    t, who = transcriber, "Transcriber"
    for name, among in _CHOICES:
        if getattr(t, name) not in among:
            raise ArgumentError(
                f"{who}: expected {name} to be one of {', '.join(among)}, got {getattr(t, name)!r}; pass one of these"
            )
    for name in _COUNTS:
        check_size(who, name, getattr(t, name))
    for name in ("epochs", "vocabulary_size", "rate", "mels", "subsampling"):
        if getattr(t, name) is not None:
            check_size(who, name, getattr(t, name))
    for name in ("lower", "bidirectional"):
        check_flag(who, name, getattr(t, name))
    if t.alphabet is not None and (not isinstance(t.alphabet, str) or len({*t.alphabet} - {" "}) < 2):
        raise ArgumentError(
            f"{who}: expected alphabet to be the characters that transcripts may have, got {t.alphabet!r}; pass them "
            "in one string"
        )
    if t.alphabet is not None and t.unit == "subword":
        raise ArgumentError(f"{who}: expected no alphabet beside subwords of bytes, got {t.alphabet!r}; leave it out")
    for name, most in (
        ("dropout", 1.0),
        ("speed", 0.5),
        ("warp", 0.5),
        ("masks", 0.5),
        ("gain", 40.0),
        ("noise", 1.001),
    ):
        if getattr(t, name) is not None:
            _share(t, name, most=most)
    _number(t, "lookahead_ms", 0.0, 10_000.0)
    if t.rate is not None and not LEAST_RATE <= t.rate <= MOST_RATE:
        raise ArgumentError(f"{who}: expected rate from {LEAST_RATE} to {MOST_RATE} Hz, got {t.rate}; 16000 is common")
    if t.mels is not None and not 8 <= t.mels <= 128:
        raise ArgumentError(f"{who}: expected mels from 8 to 128, got {t.mels}; 40 is common")
    if t.bidirectional and t.lookahead_ms:
        raise ArgumentError(
            f"{who}: expected lookahead_ms=0 beside bidirectional=True, which sees all of the future, got "
            f"{t.lookahead_ms:g}; pass bidirectional=False"
        )
    if not t.bidirectional and t.normalise == "utterance":
        raise ArgumentError(
            f"{who}: expected normalise 'running' or 'global' beside bidirectional=False, got 'utterance', which needs "
            "the end of the sound; pass one of these"
        )
    if t.frame_rate is not None:
        _number(t, "frame_rate", 1.0, 10_000.0)
        for name in _FOR_SOUND:
            if getattr(t, name) is not None:
                raise ArgumentError(
                    f"{who}: expected no {name} beside frame_rate, since the features are given, got "
                    f"{getattr(t, name)!r}; leave one of them out"
                )
    t._training_config(clips=1, mean=1.0, longest=1, max_seconds=None)


def perturbation(transcriber: "Transcriber") -> Perturbation:
    """How clips are perturbed."""
    t = transcriber
    if t.frame_rate is not None:
        return Perturbation(0.0, 0.0, 0.0, 0.0, masks(t))
    speed, warp, gain, noise = (
        float(default(name) if getattr(t, name) is None else getattr(t, name))
        for name in ("speed", "warp", "gain", "noise")
    )
    return Perturbation(speed, warp, gain, noise, masks(t))


def dropout(transcriber: "Transcriber") -> float:
    """The share that is dropped."""
    return float(_regularised(transcriber)[0] if transcriber.dropout is None else transcriber.dropout)


def masks(transcriber: "Transcriber") -> float:
    """The largest share that a mask hides."""
    return float(_regularised(transcriber)[1] if transcriber.masks is None else transcriber.masks)


def _regularised(transcriber: "Transcriber") -> tuple[float, float]:
    return _BOTH_WAYS if transcriber.bidirectional else _ONE_WAY


def default(name: str) -> Any:
    """What an option of sound is where it is None."""
    return _FOR_SOUND[name]


def _share(t: "Transcriber", name: str, *, most: float) -> None:
    value: Any = getattr(t, name)
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < most:
        raise ArgumentError(f"Transcriber: expected {name} in [0, {most:g}), got {value!r}; pass 0 for none")


def _number(t: "Transcriber", name: str, least: float, most: float) -> None:
    value: Any = getattr(t, name)
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ArgumentTypeError(f"Transcriber: expected {name} to be a number, got {value!r}; pass one")
    if not least <= float(value) <= most:
        raise ArgumentError(f"Transcriber: expected {name} from {least:g} to {most:g}, got {value}; pass one between")
