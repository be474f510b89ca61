"""Progress: a bar on a terminal, lines elsewhere, nothing when quiet."""

import io
from collections.abc import Sequence

import pytest
import torch
from rich.console import Console

from throughtime.cli import progress
from throughtime.training import Callback, TensorSource, TrainingConfig, train

COUNT = 3


def learn(callbacks: Sequence[Callback], validate: bool = True) -> None:
    x = torch.linspace(-1, 1, 12)[:, None]
    data = TensorSource(x, 2 * x)

    def loss(model: torch.nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        return torch.nn.functional.mse_loss(model(batch[0]), batch[1])

    config = TrainingConfig(epochs=COUNT, batch_size=4)
    train(torch.nn.Linear(1, 1), loss, data, data if validate else None, config, callbacks)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal of 80 columns would be sent."""
    screen = io.StringIO()

    def console(*, stderr: bool) -> Console:
        assert stderr, "stdout is for results"
        return Console(file=screen, force_terminal=True, width=80, color_system=None)

    monkeypatch.setattr(progress, "Console", console)
    return screen


def test_bar(terminal: io.StringIO):
    with progress.progress("direct") as callbacks:
        learn(callbacks)
    seen = terminal.getvalue()
    for part in ("direct", "epoch 3/3", "loss ", "val ", "rate 0.001", "left"):
        assert part in seen, part
    assert "direct: 3 epochs in 0 s, best loss " in seen.rstrip().splitlines()[-1]
    assert seen.count("\x1b[?25l") == seen.count("\x1b[?25h") == 1, "the cursor comes back"


def test_bar_is_put_away_when_training_fails(terminal: io.StringIO):
    class Fails(Callback):
        def on_step(self, record: object) -> None:
            raise RuntimeError("out of luck")

    with pytest.raises(RuntimeError, match="out of luck"), progress.progress("direct") as callbacks:
        learn([*callbacks, Fails()])
    seen = terminal.getvalue()
    assert seen.count("\x1b[?25l") == seen.count("\x1b[?25h") == 1


def test_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
    with progress.progress("direct   ") as callbacks:
        learn(callbacks)
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == COUNT + 1
    assert lines[0].startswith("direct: epoch 1/3, loss ")
    assert ", validation " in lines[0]
    assert lines[0].endswith(" left")
    assert lines[-1].startswith("direct: 3 epochs in ")


def test_lines_come_seconds_apart(capsys: pytest.CaptureFixture[str]):
    with progress.progress("direct") as callbacks:
        learn(callbacks, validate=False)
    first, last = capsys.readouterr().err.splitlines()
    assert "epoch 1/3" in first
    assert "validation" not in first
    assert "3 epochs" in last


def test_quiet(capsys: pytest.CaptureFixture[str], terminal: io.StringIO):
    with progress.progress("direct", quiet=True) as callbacks:
        assert callbacks == ()
    assert terminal.getvalue() == ""


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (3599, "59 min 59 s"), (7500, "2 h 5 min")],
)
def test_durations(seconds: float, said: str):
    assert progress._duration(seconds) == said
