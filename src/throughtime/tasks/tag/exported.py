"""A tagger for ONNX Runtime: words, characters and casing of tokens in, the best tags out.

Axes in names: T tokens, B sentences, C characters, K tags.
"""

import torch
from torch import Tensor, nn

from throughtime.data.text.tokens import RULES
from throughtime.exchange.onnx.modules import viterbi
from throughtime.tasks.exported import Exported, Port
from throughtime.tasks.tag.batches import TagBatch
from throughtime.tasks.tag.decoding import TagModel
from throughtime.tasks.tag.stored import WORKING
from throughtime.tasks.tag.tagger import Tagger
from throughtime.tasks.tag.units import CASINGS, LONGEST_TOKEN


class _Tags(nn.Module):
    def __init__(self, model: TagModel) -> None:
        super().__init__()
        self.net = model.net
        self.decodes = model.crf is not None
        if model.crf is not None:
            x = torch.zeros((), dtype=torch.float32)
            start_K, pairs_KK, end_K = model.crf._weights(x, impossible=-torch.inf)
            self.start, self.pairs, self.end = (nn.Parameter(w.detach().clone()) for w in (start_K, pairs_KK, end_K))

    def forward(self, words: Tensor, lengths: Tensor, casings: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        T, B = words.shape
        letters = rest[0] if self.net.letters is not None else torch.zeros((1, T, B), dtype=torch.int64)
        letters_CN = letters.flatten(1)
        batch = TagBatch(
            words=words,
            pairs=rest[-1] if self.net.pairs is not None else None,
            forms=torch.arange(T * B).reshape(T, B),
            letters=letters_CN,
            letter_lengths=(letters_CN != 0).sum(0),
            casings=casings.flatten(),
            lengths=lengths,
            tags=None,
        )
        emissions_TBK: Tensor = self.net(batch)
        if not self.decodes:
            return (emissions_TBK,)
        return viterbi(emissions_TBK, self.start, self.pairs, self.end, lengths), emissions_TBK


def exported(tagger: Tagger) -> Exported:
    """What `export_onnx` writes."""
    model, units = tagger.model_, tagger.units_
    module = _Tags(model)
    C, T, B = 5, 3, 2
    ones = torch.ones((T, B), dtype=torch.int64)
    inputs = {
        "words": Port(ones, ("time", "batch"), "numbers in 'words', 0 past a length"),
        "lengths": Port(torch.tensor([T, 2]), ("batch",), "how many tokens each sentence has, 0 allowed"),
        "casings": Port(ones, ("time", "batch"), "numbers in 'casings', any past a length"),
    }
    if model.net.letters is not None:
        inputs["letters"] = Port(
            torch.ones((C, T, B), dtype=torch.int64),
            ("characters", "time", "batch"),
            "numbers in 'letters' of each token's characters, 0 past its last",
        )
    if model.net.pairs is not None:
        inputs["pairs"] = Port(ones, ("time", "batch"), "numbers in 'pairs', 0 past a length")
    emissions = (("time", "batch", "tags"), "a score of each of 'tags'")
    outputs = {"tags": (("time", "batch"), "numbers in 'tags' of the best sequence, -1 past a length")}
    crf = model.crf is not None
    how = (
        "tags are the best sequence under the CRF"
        if crf
        else "take tags from left to right, each the best that the scheme allows after the one before it"
    )
    return Exported(
        module=module,
        inputs=inputs,
        outputs={**outputs, "emissions": emissions} if crf else {"emissions": emissions},
        open_axes=("characters", "time", "batch"),
        around={
            "tags": list(model.names),
            "scheme": WORKING,
            "words": list(units.words),
            "letters": list(units.letters),
            "pairs": None if units.pairs is None else list(units.pairs),
            "casings": list(CASINGS),
            "preprocessing": {
                "tokens": {
                    "rule": RULES.get(tagger.rule_, tagger.rule_),
                    "syntax": "Oniguruma (package tokenizers: Split(Regex(rule), 'removed', invert=True)); blanks are "
                    "none",
                },
                "word": "the token in lower case with every digit as 0; 1 where 'words' has it not",
                "letters": f"the token's characters, 1 where 'letters' has one not; of a token of more than "
                f"{LONGEST_TOKEN} the first and the last {LONGEST_TOKEN // 2}",
                "casing": "digits: has one; lower, upper (of more than one character), title; mixed: some upper-case "
                "character; else other; a single upper-case character is title",
                "pair": "the token, a line end and the next token or nothing, 1 where 'pairs' has it not",
            },
            "postprocessing": {
                "decoding": how,
                "pieces": "B-X I-X ... E-X is a piece labelled X, and S-X one of a single token",
            },
        },
    )
