"""How a text is read: tokens of mixed scripts, ids, their places, and what is left out of a long one."""

import numpy as np
import pytest

from throughtime.tasks.classify.texts import TextReader

TEXT = "It's <BR />7/10, 我很喜欢 well-made ดี 3.5€ don't\r\nÉTÉ"


def read(unit: str, longest: int = 400) -> TextReader:
    reader = TextReader(True, longest)
    prepared = [reader.prepared(TEXT, unit), reader.prepared("it is", unit)]
    reader.learn(unit, prepared, size=300 if unit == "subword" else 50, min_count=1, who="test")
    return reader


def test_tokens_of_mixed_scripts() -> None:
    assert read("word").tokens(TEXT) == [
        "it", "'s", "<br>", "7/10", ",", "我", "很", "喜", "欢", "well-made", "ดี", "3.5", "€", "don", "'t", "été",
    ]  # fmt: skip


@pytest.mark.parametrize("unit", ["word", "character", "subword"])
def test_each_id_has_its_place_in_the_text(unit: str) -> None:
    reader = read(unit)
    ids, spans = reader.read(TEXT).ids, reader.spans(TEXT)
    assert len(ids) == len(spans)
    assert all(0 <= start <= end <= len(TEXT) for start, end in spans)
    if unit != "word":
        assert "".join(TEXT[start:end] for start, end in spans) == TEXT
    assert np.array_equal(ids, reader.ids(reader.prepared(TEXT, unit)))


def test_of_a_long_text_the_beginning_and_the_end_are_read() -> None:
    reader = read("word", longest=5)
    whole = read("word").read(TEXT)
    cut = reader.read(TEXT)
    assert cut.ids.tolist() == [*whole.ids[:3].tolist(), *whole.ids[-2:].tolist()]
    assert cut.tokens == whole.tokens  # n-grams are those of the whole
    assert [TEXT[a:b] for a, b in reader.spans(TEXT)] == ["It", "'s", "<BR />", "'t", "ÉTÉ"]


def test_it_comes_back_as_it_was() -> None:
    for unit in ("word", "character", "subword"):
        reader = read(unit)
        again = TextReader.from_json(reader.to_json())
        assert np.array_equal(again.read(TEXT).ids, reader.read(TEXT).ids)
