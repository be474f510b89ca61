"""N-gram models: a file worked out by hand, and one of our own counted again."""

import gzip
import math

import pytest

from throughtime.data.sound import read_arpa, write_arpa
from throughtime.errors import DataError

FILE = """
\\data\\
ngram 1=4
ngram 2=2

\\1-grams:
-99 <s> -0.5
-0.4 </s>
-0.3 yes -0.2
-0.7 no

\\2-grams:
-0.1 <s> yes
-0.6 yes no

\\end\\
"""


def log10(*parts):
    return math.log(10) * sum(parts)


def test_back_off_by_hand(tmp_path):
    (tmp_path / "a.arpa").write_text(FILE)
    with gzip.open(tmp_path / "b.arpa.gz", "wt") as file:
        file.write(FILE)
    for name in ("a.arpa", "b.arpa.gz"):
        model = read_arpa(tmp_path / name)
        state, first = model.score(model.start(), "yes")
        assert first == pytest.approx(log10(-0.1))
        state, second = model.score(state, "no")
        assert second == pytest.approx(log10(-0.6))
        assert model.finish(state) == pytest.approx(log10(-0.4)), "no has no weight of its own"
        assert model.score(("yes",), "yes")[1] == pytest.approx(log10(-0.2, -0.3))
        assert model.score(model.start(), "maybe")[1] == pytest.approx(log10(-0.5, -99))


@pytest.mark.parametrize("order", [1, 2, 3])
def test_what_is_counted_sums_to_one_after_every_history(tmp_path, order):
    sentences = ["go left", "go right now", "stop", "go left now", "left left"]
    write_arpa(tmp_path / "a.arpa", sentences, order)
    model = read_arpa(tmp_path / "a.arpa")
    assert model.order == order
    words = ("go", "left", "right", "now", "stop", "</s>")
    for history in (("<s>",), ("<s>", "go"), ("go", "left"), ("left", "left"), ("now", "stop")):
        before = history[-(order - 1) :] if order > 1 else ()
        assert sum(math.exp(model.score(before, word)[1]) for word in words) == pytest.approx(1, abs=1e-4), history
    if order > 1:
        assert model.score(("<s>",), "go")[1] > model.score(("<s>",), "now")[1] + 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("hello", r"expected \\data\\, the n-grams that it counts, and \\end\\, got none of none"),
        (
            FILE.replace("ngram 2=2", "ngram 2=5"),
            r"got \{1: 4, 2: 2\} of \{1: 4, 2: 5\}; it is no ARPA",
        ),
        (FILE.replace("\\end\\", ""), "cut off"),
        (FILE.replace("-0.7 no", "-0.7 no b c"), "line 10: expected a logarithm and 1 words, got '-0.7 no b c'"),
        (FILE.replace("-0.7 no", "x no"), "line 10: expected a number, got 'x no'"),
        (FILE.replace("ngram 1=4", "ngram one"), "line 3: expected ngram N=COUNT, got 'ngram one'"),
        (None, "expected an ARPA file, got none"),
    ],
)
def test_damaged_files(tmp_path, content, message):
    if content is not None:
        (tmp_path / "a.arpa").write_text(content)
    with pytest.raises(DataError, match=message):
        read_arpa(tmp_path / "a.arpa")
