"""spaCy's blank English NER, for `benchmarks.speed.tag`: runs in an interpreter of its own, which needs spaCy alone.

    python tag_spacy.py JOB.json

JOB holds training texts with the places of their pieces, texts to read, and a seed. Each line of standard input asks:
train, find, many (seconds for all texts at once), single (seconds for each of the first hundred).
"""

import json
import random
import sys
import time

import spacy
from spacy.training import Example
from spacy.util import fix_random_seed, minibatch

PASSES = 10


def train(job):
    fix_random_seed(job["seed"])
    nlp = spacy.blank("en")
    recognizer = nlp.add_pipe("ner")
    examples = []
    for text, places in job["training"]:
        document = nlp.make_doc(text)
        given = {"entities": [tuple(place) for place in places if document.char_span(*place[:2]) is not None]}
        examples.append(Example.from_dict(document, given))
        for _, _, label in places:
            recognizer.add_label(label)
    nlp.initialize(lambda: examples)
    order = random.Random(job["seed"])
    for _ in range(PASSES):
        order.shuffle(examples)
        for batch in minibatch(examples, 32):
            nlp.update(batch, drop=0.2)
    return nlp


def main():
    with open(sys.argv[1]) as file:
        job = json.load(file)
    texts, nlp = job["texts"], None
    for line in sys.stdin:
        asked = line.strip()
        began = time.process_time()
        if asked == "train":
            nlp = train(job)
            seconds = time.process_time() - began
            answer = {"version": spacy.__version__, "passes": PASSES, "training_cpu_seconds": seconds}
        elif asked == "find":
            documents = nlp.pipe(texts)
            answer = [[[e.start_char, e.end_char, e.label_] for e in document.ents] for document in documents]
        elif asked == "many":
            found = [document.ents for document in nlp.pipe(texts)]
            assert len(found) == len(texts)
            answer = time.process_time() - began
        else:
            answer = []
            for text in texts[:100]:
                began = time.process_time()
                assert nlp(text).ents is not None
                answer.append(time.process_time() - began)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
