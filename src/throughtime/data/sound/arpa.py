"""N-gram language models in the ARPA format."""

import gzip
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from throughtime.errors import DataError

__all__ = ["NGrams", "read_arpa", "write_arpa"]

_LN10 = math.log(10)
_BEGIN, _END, _UNKNOWN = "<s>", "</s>", "<unk>"
_NOTHING = -99.0  # log10, what ARPA files write for 0


class NGrams(NamedTuple):
    """Probabilities of words after the words before them.

    (1) log p(w | h) = that of the n-gram (h, w) where it is listed, else b(h) + log p(w | h without its first word)
    """

    order: int
    """Words of the longest n-gram."""
    log_probs: dict[tuple[str, ...], float]
    """Natural logarithms."""
    backoffs: dict[tuple[str, ...], float]

    def start(self) -> tuple[str, ...]:
        """What stands before the first word."""
        return (_BEGIN,)

    def score(self, before: tuple[str, ...], word: str) -> tuple[tuple[str, ...], float]:
        """What stands before the next word, and log p of this one; an unknown word is `<unk>`, or as rare as can be."""
        word = word if (word,) in self.log_probs else _UNKNOWN
        after = (*before, word)[-max(self.order - 1, 1) :] if self.order > 1 else ()
        history = before[len(before) - self.order + 1 :] if self.order > 1 and len(before) >= self.order else before
        total = 0.0
        while True:
            found = self.log_probs.get((*history, word))
            if found is not None:
                return after, total + found
            if not history:
                return after, total + _NOTHING * _LN10
            total += self.backoffs.get(history, 0.0)
            history = history[1:]

    def finish(self, before: tuple[str, ...]) -> float:
        """log p of the end."""
        return self.score(before, _END)[1] if (_END,) in self.log_probs else 0.0


def read_arpa(path: str | os.PathLike[str]) -> NGrams:
    """The model of a file, also compressed (.gz).

    Raises:
        DataError: no file, or a line that ARPA does not have; the message names it.
    """
    file = Path(path)
    if not file.is_file():
        raise DataError(f"{file}: expected an ARPA file, got {'a folder' if file.is_dir() else 'none'}; check the path")
    log_probs: dict[tuple[str, ...], float] = {}
    backoffs: dict[tuple[str, ...], float] = {}
    told: dict[int, int] = {}
    found: dict[int, int] = {}
    order, ended = -1, False
    for number, line in enumerate(_lines(file), start=1):
        text = line.strip()
        if order < 0:
            order = 0 if text == "\\data\\" else -1
        elif text == "\\end\\":
            ended = True
            break
        elif text.startswith("\\"):
            order = _order(text, file, number)
        elif order == 0 and text.startswith("ngram "):
            size, _, count = text.removeprefix("ngram ").partition("=")
            if not (size.strip().isdigit() and count.strip().isdigit()):
                raise _wrong(file, number, "ngram N=COUNT", text)
            told[int(size)] = int(count)
        elif text and order > 0:
            fields = text.split()
            if not order + 1 <= len(fields) <= order + 2:
                raise _wrong(file, number, f"a logarithm and {order} words", text)
            words = tuple(fields[1 : order + 1])
            try:
                log_probs[words] = float(fields[0]) * _LN10
                if len(fields) > order + 1:
                    backoffs[words] = float(fields[-1]) * _LN10
            except ValueError as error:
                raise _wrong(file, number, "a number", text) from error
            found[order] = found.get(order, 0) + 1
    if not ended or found != {size: count for size, count in told.items() if count} or not found:
        raise DataError(
            f"{file}: expected \\data\\, the n-grams that it counts, and \\end\\, got {found or 'none'} of "
            f"{told or 'none'}; it is no ARPA file, or cut off"
        )
    return NGrams(max(found), log_probs, backoffs)


def write_arpa(path: str | os.PathLike[str], sentences: Iterator[str] | list[str], order: int = 3) -> None:
    """Count the n-grams of sentences and write a model of them, with Witten and Bell's discount.

    (1) p(w | h) = (c(h w) + t(h) p(w | h')) / (c(h) + t(h)), t(h) the different words after h, h' without its first;
        after nothing h' gives 1/V to each of V words

    **Source** [Witten1991].

    Raises:
        DataError: no sentence.
    """
    counts: list[dict[tuple[str, ...], dict[str, int]]] = [{} for _ in range(order)]
    for sentence in sentences:
        words = (_BEGIN, *sentence.split(), _END)
        for at in range(1, len(words)):
            for n in range(min(order, at + 1)):
                after = counts[n].setdefault(words[at - n : at], {})
                after[words[at]] = after.get(words[at], 0) + 1
    if not counts[0]:
        raise DataError(f"{path}: expected sentences to count, got none; give some")
    vocabulary = sorted(counts[0][()])
    p: dict[tuple[str, ...], float] = {}

    def share(history: tuple[str, ...]) -> tuple[int, int]:
        after = counts[len(history)].get(history, {})
        return sum(after.values()), len(after)

    for n in range(order):
        for history, after in counts[n].items():
            total, kinds = share(history)
            for word, count in after.items():
                lower = p[(*history[1:], word)] if n else 1 / len(vocabulary)
                p[(*history, word)] = (count + kinds * lower) / (total + kinds)
    lines = ["\\data\\"]
    grams = [sorted(words for words in p if len(words) == n + 1) for n in range(order)]
    grams[0] = sorted([*grams[0], (_BEGIN,)])
    lines += [f"ngram {n + 1}={len(each)}" for n, each in enumerate(grams)]
    for n, each in enumerate(grams):
        lines += ["", f"\\{n + 1}-grams:"]
        for words in each:
            total, kinds = share(words) if n + 1 < order else (0, 0)
            backoff = f"\t{math.log10(kinds / (total + kinds)):.6f}" if total else ""
            lines.append(f"{math.log10(p[words]) if words in p else _NOTHING:.6f}\t{' '.join(words)}{backoff}")
    Path(path).write_text("\n".join([*lines, "", "\\end\\", ""]), encoding="utf-8")


def _lines(file: Path) -> Iterator[str]:
    try:
        with gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else file.open(encoding="utf-8") as opened:
            yield from opened
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile) as error:
        raise DataError(f"{file}: expected text in UTF-8, got other bytes ({error}); convert it") from error


def _order(text: str, file: Path, number: int) -> int:
    size = text.removeprefix("\\").removesuffix("-grams:")
    if not size.isdigit():
        raise _wrong(file, number, "\\N-grams:", text)
    return int(size)


def _wrong(file: Path, number: int, expected: str, text: str) -> DataError:
    return DataError(f"{file}: line {number}: expected {expected}, got {text[:60]!r}; repair the file")
