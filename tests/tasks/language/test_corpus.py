"""Texts as ids, in memory and on disk; and how often one follows another."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from throughtime.data import TextFiles, Texts
from throughtime.data.text.units import build_units
from throughtime.tasks.language import baseline
from throughtime.tasks.language.baseline import Bigram
from throughtime.tasks.language.corpus import Corpus, build_corpus


def corpus_of(texts: list[str], **options) -> tuple[Corpus, int]:
    units = build_units("character", Texts(texts))
    return build_corpus(Texts(texts), units, end=None, classes=None, who="test", **options), len(units)


def test_texts_of_many_are_ended_and_one_is_not() -> None:
    one, _ = corpus_of(["abca"])
    assert (one.texts, len(one), one.characters) == (1, 4, 4)
    many, _ = corpus_of(["abc", "", "a"])
    assert many.lengths.tolist() == [4, 1, 2]
    assert many.ids[many.begins + many.lengths - 1].tolist() == [0, 0, 0]  # END
    assert many.characters == 7


def test_ids_of_files_lie_on_disk_and_parts_share_them(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("abc\nabd\n\nba\n" * 50)
    files = TextFiles(tmp_path / "a.txt", lines=True)
    units = build_units("character", files)
    corpus = build_corpus(files, units, end=True, classes=None, who="test")
    assert isinstance(corpus.ids, np.memmap)
    assert corpus.ids.dtype == np.uint8
    part = corpus.select(np.array([2, 0]))
    assert part.ids is corpus.ids
    text, places, first = part.locate(np.arange(len(part)))
    assert units.decode(corpus.ids[places]).split("<end of text>") == ["ba", "abc", ""]
    assert text.tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert np.flatnonzero(first).tolist() == [0, 3]
    whole = build_corpus(TextFiles(tmp_path / "a.txt"), units, end=False, classes=None, who="test")
    head, tail = whole.cut(len(whole) - 7)
    halves = [part.ids[part.locate(np.arange(len(part)))[1]].tolist() for part in (head, tail)]
    assert (len(head), [*halves[0], *halves[1]]) == (7, whole.ids.tolist())


def test_of_several_texts_the_longest_loses_its_end() -> None:
    corpus, _ = corpus_of(["ab", "abcabd", "c"])
    training, held = corpus.cut(2)
    assert training.lengths.tolist() == [3, 5, 2]
    assert [training.texts, held.texts, len(held)] == [3, 1, 2]
    assert held.ids[held.begins[0] :][:2].tolist() == corpus.ids[8:10].tolist()


@pytest.mark.parametrize("at_once", [3, 2**20])
def test_the_counts_are_those_of_the_formula(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(baseline, "_AT_ONCE", at_once)
    corpus, V = corpus_of(["abcabd", "cab", "bb"])
    ids = [corpus.ids[b : b + n].tolist() for b, n in zip(corpus.begins, corpus.lengths, strict=True)]
    single = Counter(i for row in ids for i in row)
    pair = Counter(p for row in ids for p in zip([V, *row], row, strict=False))
    N = sum(single.values())

    def p1(b: int) -> float:
        return (single[b] + 1) / (N + V)

    def p2(b: int, a: int) -> float:
        after = {y: n for (x, y), n in pair.items() if x == a}
        d, n = len(after), sum(after.values())
        return (after.get(b, 0) + d * p1(b)) / (n + d) if n else p1(b)

    for a in range(V + 1):
        assert sum(p2(b, a) for b in range(V)) == pytest.approx(1)
    later, _ = corpus_of(["abcabd", "cab", "bb"])
    unseen = Corpus(np.array([2, 5, 5, 3, 1, 4]), np.array([0, 4]), np.array([4, 2]), None)
    counts = Bigram.count(corpus, V)
    for given, rows in ((later, ids), (unseen, [[2, 5, 5, 3], [1, 4]])):
        wanted_1 = -sum(math.log(p1(b)) for row in rows for b in row)
        wanted_2 = -sum(math.log(p2(b, a)) for row in rows for a, b in zip([V, *row], row, strict=False))
        assert counts.nats(given) == pytest.approx((wanted_1, wanted_2))
    again = Bigram.from_tensors(counts.tensors(), V)
    assert again.nats(unseen) == counts.nats(unseen)


def test_the_rarest_pairs_go_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baseline, "_MOST_PAIRS", 2)
    corpus, V = corpus_of(["ababababac"])
    counts = Bigram.count(corpus, V)
    assert counts.pair_counts_P.tolist() == [4, 4]
    before, after = np.divmod(counts.pairs_P, V)
    assert after.tolist() == before[::-1].tolist()

    def p(*ids: int) -> float:
        return math.exp(-counts.nats(Corpus(np.array(ids), np.array([0]), np.array([len(ids)]), None))[1])

    a = int(before[0])
    assert sum(p(a, b) for b in range(V)) == pytest.approx(p(a))
