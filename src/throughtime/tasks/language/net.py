"""The net of a language model: what reads (embedding and layers), and what says which symbol comes next.

One-to-many as `throughtime.models.OneToMany` has it, with what text needs besides: layers of different widths, masks
that stay for the length of a chunk, texts that follow one another in a row, a softmax over many symbols.

Axes in names: T time, B batch, E embedding, F features of the last layer, V vocabulary, N steps of all rows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from throughtime.errors import ArgumentError
from throughtime.models.decoding import step_of
from throughtime.nn.layers import LAYERS

States = tuple[Any, ...]
"""The state of each layer."""


@dataclass(frozen=True, kw_only=True)
class Dropouts:
    """What is dropped while training, each a probability.

    Args:
        embedding: of whole symbols, for the length of a chunk.
        input: of the first layer's inputs.
        between: of the outputs between layers.
        output: of the last layer's outputs.
        weight: of the entries of W_hh, for the length of a chunk.
        recurrent: of h where it enters the next step, one mask a chunk.
        variational: one mask a chunk for input, between and output, instead of one a step.

    **Source** [Gal2016], [Merity2018].
    """

    embedding: float = 0.0
    input: float = 0.0
    between: float = 0.0
    output: float = 0.0
    weight: float = 0.0
    recurrent: float = 0.0
    variational: bool = True


class TextEncoder(nn.Module):
    """Reads symbols: an embedding and one-way recurrent layers on top of one another.

    (1) x_t = e(id_t) + s, or s where a text begins; s is the label's vector, one for all where there are no labels, and
        is added after the first step only with ``condition="every"``
    (2) h^1 = layer 1 over x, h^2 = layer 2 over h^1, ...; each starts anew where a text begins

    **Shapes** ids (T, B), output (T, B, F); a state is that of each layer.

    Args:
        vocabulary: how many symbols.
        cell: a key of `throughtime.nn.layers.LAYERS`.
        widths: E, then the units of each layer.
        classes: how many labels; None for none.
        condition: "first" or "every", see (1).
        dropouts: see `Dropouts`.
    """

    def __init__(
        self,
        vocabulary: int,
        cell: str,
        widths: Sequence[int],
        *,
        classes: int | None = None,
        condition: str = "every",
        dropouts: Dropouts | None = None,
    ) -> None:
        super().__init__()
        self.dropouts = Dropouts() if dropouts is None else dropouts
        self.condition = condition
        self.classes = classes
        self.embedding = nn.Embedding(vocabulary, widths[0])
        self.beginning = nn.Embedding(classes or 1, widths[0])
        self.layers = nn.ModuleList(
            LAYERS[cell](I, H, weight_dropout=self.dropouts.weight, recurrent_dropout=self.dropouts.recurrent)
            for I, H in pairwise(widths)
        )

    @property
    def output_size(self) -> int:
        """F."""
        return int(self.layers[-1].output_size)  # type: ignore[arg-type]

    def forward(
        self,
        ids: Tensor,
        state: States | None = None,
        *,
        begins: Tensor | None = None,
        classes: Tensor | None = None,
        lengths: Any = None,
    ) -> tuple[Tensor, States]:
        """The last layer's outputs, dropped as they are while training, and the state of each layer.

        Args:
            ids: (T, B).
            state: what an earlier call gave; None begins with zeros.
            begins: (T, B) bool, where a text begins: the id there is not read. None for nowhere.
            classes: (T, B) or (B,), where the encoder was built with `classes`.
            lengths: (B,).
        """
        hidden_TBF, state = self.read(ids, state, begins=begins, classes=classes, lengths=lengths)
        return self.drop_output(hidden_TBF), state

    def read(
        self,
        ids: Tensor,
        state: States | None = None,
        *,
        begins: Tensor | None = None,
        classes: Tensor | None = None,
        lengths: Any = None,
    ) -> tuple[Tensor, States]:
        """`forward` without the last dropout."""
        return self.run(self.embed(ids, begins=begins, classes=classes), state, begins=begins, lengths=lengths)

    def embed(self, ids: Tensor, *, begins: Tensor | None = None, classes: Tensor | None = None) -> Tensor:
        """x of (1), (T, B, E), dropped as it is while training."""
        return self._drop(self._inputs(ids, begins, classes), self.dropouts.input)

    def run(
        self, x: Tensor, state: States | None = None, *, begins: Tensor | None = None, lengths: Any = None
    ) -> tuple[Tensor, States]:
        """`read` of what `embed` gave."""
        given: States = (None,) * len(self.layers) if state is None else state
        x_TBF, found = x, []
        for i, (layer, before) in enumerate(zip(self.layers, given, strict=True)):
            if i:
                x_TBF = self._drop(x_TBF, self.dropouts.between)
            x_TBF, after = layer(x_TBF, before, reset=begins, lengths=lengths)
            found.append(after)
        return x_TBF, tuple(found)

    def drop_output(self, hidden_TBF: Tensor) -> Tensor:
        """The last dropout."""
        return self._drop(hidden_TBF, self.dropouts.output)

    def steps(self, classes: Tensor | None) -> Callable[[Tensor, States], tuple[Tensor, States]]:
        """One id of each row (B,) and a state to the output (B, F) and the next state, weights packed once."""
        runs = [step_of(layer) for layer in self.layers]  # type: ignore[arg-type]
        added_BE = None if classes is None or self.condition == "first" else self.beginning(classes)

        def step(ids_B: Tensor, state: States) -> tuple[Tensor, States]:
            x_BF = self.embedding(ids_B)
            x_BF = x_BF if added_BE is None else x_BF + added_BE
            found = []
            for run, before in zip(runs, state, strict=True):
                x_BF, after = run(x_BF, before)
                found.append(after)
            return x_BF, tuple(found)

        return step

    def _inputs(self, ids_TB: Tensor, begins_TB: Tensor | None, classes: Tensor | None) -> Tensor:
        """x of (1)."""
        if (classes is None) != (self.classes is None):
            want, got = ("classes", "none") if classes is None else ("no classes", "some")
            raise ArgumentError(f"TextEncoder: expected {want}, as it was built, got {got}; pass what it was built for")
        x_TBE: Tensor = self.embedding(ids_TB)
        p = self.dropouts.embedding
        if self.training and p:
            keep_V = torch.rand(self.embedding.num_embeddings, device=ids_TB.device) >= p
            x_TBE = x_TBE * (keep_V[ids_TB].unsqueeze(-1) / (1 - p)).to(x_TBE.dtype)
        if classes is None:
            if begins_TB is None:
                return x_TBE
            start_E = self.beginning.weight[0]
            return torch.where(begins_TB.unsqueeze(-1), start_E, x_TBE)
        start: Tensor = self.beginning(classes)
        if self.condition == "every":
            return start + (x_TBE if begins_TB is None else x_TBE.masked_fill(begins_TB.unsqueeze(-1), 0.0))
        return x_TBE if begins_TB is None else torch.where(begins_TB.unsqueeze(-1), start, x_TBE)

    def _drop(self, x_TBF: Tensor, p: float) -> Tensor:
        if not self.training or not p:
            return x_TBF
        if not self.dropouts.variational:
            return nn.functional.dropout(x_TBF, p)
        keep_1BF = torch.rand_like(x_TBF[:1], dtype=torch.float32) >= p
        return x_TBF * (keep_1BF / (1 - p)).to(x_TBF.dtype)


class LanguageNet(nn.Module):
    """An encoder, and what says which symbol comes next.

    (1) logits_t = W h_t + b; W is the embedding itself with `tied`
    (2) or, with `cutoffs`, an adaptive softmax: frequent ids, which come first, at full width, rare ones in clusters

    **Source** (1) tied: [Press2017], (2) [Grave2017].
    """

    def __init__(self, encoder: TextEncoder, *, tied: bool = False, cutoffs: Sequence[int] | None = None) -> None:
        super().__init__()
        V, F = encoder.embedding.num_embeddings, encoder.output_size
        self.encoder = encoder
        self.head: nn.Module | None = None
        self.bias: nn.Parameter | None = None
        if tied:
            # Both a table of inputs and a matrix of outputs: small numbers, as for the latter.
            nn.init.uniform_(encoder.embedding.weight, -0.1, 0.1)
            self.bias = nn.Parameter(torch.zeros(V))
        elif cutoffs is not None:
            self.head = nn.AdaptiveLogSoftmaxWithLoss(F, V, list(cutoffs), div_value=4.0)
        else:
            self.head = nn.Linear(F, V)

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., F) to (..., V): unnormalised, or log-probabilities of an adaptive softmax."""
        if isinstance(self.head, nn.AdaptiveLogSoftmaxWithLoss):
            flat: Tensor = self.head.log_prob(hidden.reshape(-1, hidden.shape[-1]))
            return flat.reshape(hidden.shape[:-1] + flat.shape[-1:])
        if self.head is None:
            return nn.functional.linear(hidden, self.encoder.embedding.weight, self.bias)
        found: Tensor = self.head(hidden)
        return found

    def log_probs(self, hidden_NF: Tensor, targets_N: Tensor) -> Tensor:
        """The log-probability of each target, (N,), in nats."""
        if isinstance(self.head, nn.AdaptiveLogSoftmaxWithLoss):
            # Autocast would leave its log-probabilities in bfloat16; those of a cross-entropy it takes in float32.
            with torch.autocast(hidden_NF.device.type, enabled=False):
                found: Tensor = self.head(hidden_NF.to(self.encoder.embedding.weight.dtype), targets_N).output
            return found
        return -nn.functional.cross_entropy(self.logits(hidden_NF), targets_N, reduction="none")
