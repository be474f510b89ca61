"""What is the same for the training of every task."""

import pytest

from throughtime.errors import ArgumentError, ArgumentTypeError, DataError
from throughtime.tasks import LanguageModel, Recognizer
from throughtime.tasks.recognize import parameters


def test_a_training_that_diverges_at_once_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"^LanguageModel\.fit: expected a finite loss, got none \(.*smaller learning_rate"
    ):
        LanguageModel(hidden_size=8, num_layers=1, epochs=1, learning_rate=3e38).fit(["the cat sat on the mat. " * 40])


@pytest.mark.parametrize(
    ("name", "value"), [("seed", -3), ("seed", "x"), ("patience", 0), ("learning_rate", -1.5), ("epochs", 0)]
)
def test_a_recognizer_s_options_are_checked_before_files_are_read(name: str, value: object) -> None:
    with pytest.raises((ArgumentError, ArgumentTypeError), match=rf"expected .*{name}.*got {value!r}"):
        parameters.check(Recognizer(**{name: value}))
