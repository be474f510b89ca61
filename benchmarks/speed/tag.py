"""Words a second and milliseconds a sentence of the default tagger, beside spaCy's blank NER trained on the same file.

    python -m benchmarks.speed.tag --data ../shared/data --peer PYTHON --out benchmarks/results/tag_speed.json

PYTHON is an interpreter with spaCy (3.8) in it; without one, ours is timed alone. Both learn from the same WikiGold
sentences (four of five) and read the same raw texts, the fifth, many times over: raw text in, entities with their
places out, on one thread. A word is a token of the file. Turns alternate within the run, and the clock is the
processor's own time, so that other work on the machine counts less; figures are medians. The F1 of both on the fifth
stands beside, since speed without it says nothing; the time that training takes is that of `Tagger().fit`.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import torch

from benchmarks.speed import machine, store
from throughtime import Tagger, __version__
from throughtime.data.text.conll import TaggedSentence, read_conll
from throughtime.tasks.tag.schemes import spans
from throughtime.tasks.tag.scores import Score

TRAINED = 14_000  # sentences of which the training is timed
ASKED = {"words_per_second": 10_000, "milliseconds_per_sentence": 5, "training_minutes": 20}
Places = set[tuple[int, int, str]]


class Peer:
    """The other program, in an interpreter of its own: a line of JSON asks, a line of JSON answers."""

    def __init__(self, python: str, job: Path) -> None:
        script = Path(__file__).with_name("tag_spacy.py")
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        command = [python, str(script), str(job)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.about = self.ask("train")

    def ask(self, what: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)


def text_of(sentence: TaggedSentence) -> tuple[str, Places]:
    """The tokens with blanks between, and the places of their pieces."""
    starts, at = [], 0
    for token in sentence.tokens:
        starts.append(at)
        at += len(token) + 1
    tokens = sentence.tokens
    places = {(starts[p.start], starts[p.end - 1] + len(tokens[p.end - 1]), p.label) for p in spans(sentence.tags)}
    return " ".join(tokens), places


def f1(true: list[Places], found: list[Places]) -> float:
    right = sum(len(t & f) for t, f in zip(true, found, strict=True))
    return Score(sum(map(len, true)), sum(map(len, found)), right).f1


class Ours:
    """The tagger's own turns."""

    def __init__(self, tagger: Tagger, texts: list[str]) -> None:
        self.tagger, self.texts = tagger, texts

    def find(self) -> list[Places]:
        return [{(e.start, e.end, e.label) for e in row} for row in self.tagger.predict(self.texts)]

    def many(self) -> float:
        began = time.process_time()
        self.tagger.predict(self.texts)
        return time.process_time() - began

    def single(self) -> list[float]:
        seconds = []
        for text in self.texts[:100]:
            began = time.process_time()
            self.tagger.predict(text)
            seconds.append(time.process_time() - began)
        return seconds


def race(data: Path, peer: str | None, rounds: int, seed: int) -> dict[str, Any]:
    sentences = list(read_conll(data / "text/wikigold/wikigold.conll.txt.gz"))
    training = [sentence for i, sentence in enumerate(sentences) if i % 5 != 4]
    texts, true = map(list, zip(*map(text_of, sentences[4::5]), strict=True))
    words = sum(len(sentence.tokens) for sentence in sentences[4::5])
    began = time.process_time()
    ours = Ours(Tagger(seed=seed).fit(training), texts)
    row: dict[str, Any] = {"sentences": len(texts), "words": words, "rounds": rounds}
    row["ours"] = {"f1": f1(true, ours.find()), "training_cpu_seconds": time.process_time() - began}
    if peer is None:
        return _timed(row, [ours.many() for _ in range(rounds)], [ours.single() for _ in range(rounds)], "ours", words)
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / "job.json"
        pairs = [text_of(sentence) for sentence in training]
        content = {"training": [[t, sorted(p)] for t, p in pairs], "texts": texts, "seed": seed}
        job.write_text(json.dumps(content))
        with Peer(peer, job) as other:
            found = [{(start, end, label) for start, end, label in one} for one in other.ask("find")]
            row["spacy"] = {**other.about, "f1": f1(true, found)}
            many: dict[str, list[float]] = {"ours": [], "spacy": []}
            single: dict[str, list[list[float]]] = {"ours": [], "spacy": []}
            for _ in range(rounds):
                many["ours"].append(ours.many())
                many["spacy"].append(other.ask("many"))
                single["ours"].append(ours.single())
                single["spacy"].append(other.ask("single"))
    for name in many:
        _timed(row, many[name], single[name], name, words)
    row["times_as_fast"] = row["ours"]["words_per_second"] / row["spacy"]["words_per_second"]
    return row


def _timed(row: dict[str, Any], many: list[float], single: list[list[float]], name: str, words: int) -> dict[str, Any]:
    row[name] |= {
        "words_per_second": words / statistics.median(many),
        "words_per_second_by_round": [words / seconds for seconds in many],
        "milliseconds_per_sentence": 1e3 * statistics.median(s for turn in single for s in turn),
    }
    return row


def training(data: Path, seed: int) -> dict[str, Any]:
    """`Tagger().fit` of 14,000 sentences: BTC, WNUT-17 and WikiGold, one after another."""
    text = data / "text"
    files = [f"btc/{part}.conll.gz" for part in "abefgh"]
    files += ["wnut17/wnut17train.conll.gz", "wikigold/wikigold.conll.txt.gz"]
    sentences = [sentence for file in files for sentence in read_conll(text / file)][:TRAINED]
    began, cpu = time.perf_counter(), time.process_time()
    tagger = Tagger(seed=seed).fit(sentences)
    return {
        "sentences": len(sentences),
        "tokens": tagger.n_tokens_,
        "labels": len(tagger.labels_),
        "epochs": tagger.metrics_["epochs"],
        "minutes": (time.perf_counter() - began) / 60,
        "cpu_minutes": (time.process_time() - cpu) / 60,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("THROUGHTIME_DATA", "../shared/data")))
    parser.add_argument("--peer", help="an interpreter with spaCy in it")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parts", default="race,training")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    results = store.read(given.out)
    results |= {
        "machine": machine.describe(),
        "versions": {"throughtime": __version__, "torch": torch.__version__},
        "threads": 1,
        "clock": "the processor's own time",
        "asked_for": ASKED,
    }
    for part in given.parts.split(","):
        if part == "race":
            made = race(given.data, given.peer, given.rounds, given.seed)
        else:
            made = training(given.data, given.seed)
        results["rows"][part] = made
        print(part, json.dumps(made, indent=1), flush=True)
        store.write(given.out, results)


if __name__ == "__main__":
    main()
