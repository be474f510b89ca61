"""One translator that has learned, for all tests that only ask it."""

import pytest

from tests.tasks.translate.small import LEARNS, phrases
from throughtime.tasks.translate import Translator


@pytest.fixture(scope="session")
def translator() -> Translator:
    return Translator(**LEARNS).fit(*phrases(120))
