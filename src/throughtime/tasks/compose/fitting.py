"""How a composer is trained.

Axes in names: K pieces.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from throughtime.data.music.pieces import Piece
from throughtime.tasks.compose import parameters
from throughtime.tasks.compose.copies import Copies
from throughtime.tasks.compose.evaluation import KeyCounts
from throughtime.tasks.compose.events_view import (
    TransposedSource,
    build_net,
    class_numbers,
    encoded,
    most_at_once,
    most_repeats,
    vocabulary_of,
)
from throughtime.tasks.compose.frames import FramesNet, FrameSource, Roll, frames_loss
from throughtime.tasks.compose.reading import Given, check_styles, style_names
from throughtime.tasks.language.baseline import Bigram
from throughtime.tasks.language.chunks import ChunkSource
from throughtime.tasks.language.trainee import Trainee, chunk_loss
from throughtime.tasks.training import check_finite
from throughtime.training import Callback, RunFolder, TrainingResult, train

if TYPE_CHECKING:
    from throughtime.tasks.compose.composer import Composer

_HELD_OUT = 20  # one piece of so many is validated on


@dataclass(frozen=True)
class Facts:
    """What is known of the training pieces.

    Attributes:
        pieces: how many, those validated on counted.
        notes: in them.
        tempo: the middle one.
        most_repeats: notes of one pitch that follow each other in a piece.
        at_once: notes that begin together.
        validation: what was validated on, in words.
    """

    pieces: int
    notes: int
    tempo: float
    most_repeats: int
    at_once: int
    validation: str


def fit(
    composer: "Composer", given: Given, later: Given | None, *, callbacks: Sequence[Callback], run: RunFolder | None,
    max_seconds: float | None, who: str,
) -> None:  # fmt: skip
    """Set a composer's fitted attributes.

    Raises:
        ArgumentError, DataError: as `Composer.fit`.
    """
    labels = style_names(given)
    if later is not None:
        check_styles(later, labels, f"{who}: validation")
    training, held, how = _split(given, later, int(composer.seed))
    if run is not None:
        about = {f"{composer.task} {k}": v for k, v in composer.get_params().items()}
        run = replace(run, about={**run.about, **about})
    learn = _fit_events if composer.view == "events" else _fit_frames
    net, history = learn(composer, training, held, labels, callbacks, run, max_seconds, who)
    check_finite(history, who)
    composer.labels_ = labels
    composer.copies_ = Copies.of(given.pieces)
    composer.facts_ = Facts(
        pieces=len(given.pieces),
        notes=given.notes,
        tempo=float(np.median([piece.tempo for piece in given.pieces])),
        most_repeats=most_repeats(given.pieces),
        at_once=most_at_once(given.pieces),
        validation=how,
    )
    composer.history_ = history
    composer.metrics_ = {
        "validation_loss": history.best_loss if held is not None else None,
        "best_epoch": history.best_epoch,
        "epochs": len(history.history),
    }
    composer.origin_ = {}
    composer.model_ = net.eval()


def _split(given: Given, later: Given | None, seed: int) -> tuple[Given, Given | None, str]:
    if later is not None:
        return given, later, f"the given {len(later.pieces)} pieces"
    K = len(given.pieces)
    if K < _HELD_OUT:
        return given, None, f"none: there are fewer than {_HELD_OUT} pieces"
    drawn = np.random.Generator(np.random.PCG64(seed)).permutation(K)
    held = np.sort(drawn[: -(-K // _HELD_OUT)])
    rest = np.setdiff1d(np.arange(K), held)
    return _picked(given, rest), _picked(given, held), f"{len(held)} pieces of {K}"


def _picked(given: Given, which: Any) -> Given:
    return Given(
        [given.pieces[i] for i in which], [given.rolls[i] for i in which] if given.rolls else [],
        [given.styles[i] for i in which],
    )  # fmt: skip


def _fit_events(
    composer: "Composer", training: Given, held: Given | None, labels: list[str] | None, callbacks: Sequence[Callback],
    run: RunFolder | None, max_seconds: float | None, who: str,
) -> tuple[nn.Module, TrainingResult]:  # fmt: skip
    everything: list[Piece] = training.pieces + ([] if held is None else held.pieces)
    shifts = int(composer.transpose)
    vocabulary = vocabulary_of(everything, shifts=shifts, velocities=composer.velocity)
    numbers = class_numbers(training.styles, labels)
    # As they are first: that is what the others are drawn beside, and what is written.
    order = sorted(range(-shifts, shifts + 1), key=abs)
    corpora = [encoded(training.pieces, vocabulary, numbers, shift, who) for shift in order]
    source = TransposedSource(corpora, int(composer.batch_size), int(composer.window), vary=True)
    held_source = None
    if held is not None:
        corpus = encoded(held.pieces, vocabulary, class_numbers(held.styles, labels), 0, who)
        held_source = ChunkSource(corpus, int(composer.batch_size), int(composer.window))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(composer.seed))
        net = build_net(composer, vocabulary, labels)
    config = parameters.training_config(composer, len(source), max_seconds)
    history = train(Trainee(net, source.rows), chunk_loss, source, held_source, config, callbacks, run=run)
    seen = np.zeros(len(vocabulary), dtype=bool)
    seen[corpora[0].ids] = True
    if held is not None:
        seen[corpus.ids] = True
    composer.vocabulary_, composer.seen_ = vocabulary, seen
    composer.baseline_ = Bigram.count(corpora[0], len(vocabulary))
    return net, history


def _fit_frames(
    composer: "Composer", training: Given, held: Given | None, labels: list[str] | None, callbacks: Sequence[Callback],
    run: RunFolder | None, max_seconds: float | None, who: str,
) -> tuple[nn.Module, TrainingResult]:  # fmt: skip
    size = {"window": int(composer.window), "batch_size": int(composer.batch_size)}
    source = FrameSource(training.rolls, _numbers(training, labels), **size, transpose=int(composer.transpose))
    held_source = None if held is None else FrameSource(held.rolls, _numbers(held, labels), **size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(composer.seed))
        net = FramesNet(parameters.design(composer, 0 if labels is None else len(labels)))
    start_from(net, training.rolls)
    config = parameters.training_config(composer, -(-len(source) // int(composer.batch_size)), max_seconds)
    history = train(net, frames_loss, source, held_source, config, callbacks, run=run)
    composer.baseline_ = KeyCounts.count(training.rolls)
    return net, history


def _numbers(given: Given, labels: list[str] | None) -> list[int] | None:
    found = class_numbers(given.styles, labels)
    return None if found is None else [int(number) for number in found]


@torch.no_grad()
def start_from(net: FramesNet, rolls: Sequence[Roll]) -> None:
    """The head begins with how often each key sounds, which hundreds of steps would go to otherwise."""
    share = (np.concatenate(rolls).sum(0) + 0.5) / (sum(map(len, rolls)) + 1)
    net.head.linear.bias.copy_(torch.from_numpy(np.log(share / (1 - share))))
