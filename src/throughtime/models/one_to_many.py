"""One input, many outputs.

Axes in names: T time, B batch, I input features, V vocabulary, O output features, F features of the recurrent output.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.models.beginning import Beginning, check_rows
from throughtime.models.decoding import (
    Decoded,
    DecodedVectors,
    StepFunction,
    Until,
    decode,
    decode_vectors,
    read_limits,
    step_of,
)
from throughtime.models.ids import check_tensor, read_ids, vocabulary_of
from throughtime.models.modes import evaluating
from throughtime.models.sampling import Sampler
from throughtime.nn import Recurrent, TimeDistributed
from throughtime.nn.lengths import read_lengths, valid_steps


class OneToMany(nn.Module):
    """A sequence from one thing: a class, a vector, the beginning of a sequence, or nothing but a seed.

    (1) c = what `classes` and `context_size` make of the class and the vector: see `Beginning`; 0 without either
    (2) x_1 = c
    (3) x_t = e(y_{t−1}) for t > 1, or 0 with ``feedback="none"``; c is added with ``condition="every"``
    (4) h_t, state = the recurrent layer's step
    (5) head(h_t): logits over ids, of which y_t is chosen, or y_t itself

    In training y is the target (`forward`, teacher forcing: one call of the layer for all steps); afterwards it is what
    the model wrote (`generate` for ids, `unroll` for vectors; a step of the layer's `stepper` at a time). Its state is
    the recurrent layer's.

    **Shapes** ids (T, B), vectors (T, B, O), class_ids (B,), context (B, context_size), logits (T, B, V).

    Args:
        embedding: e in (3): with a `torch.nn.Embedding` in it, ids are fed back; another module makes inputs of
            vectors, (B, O) to (B, I); None feeds vectors back as they are, with O = I. None with ``feedback="none"``.
        recurrent: a one-way, time-first layer.
        head: (B, F) to (B, V) or (B, O).
        classes: how many classes there are, where one is what to begin with.
        context_size: how long the vector is, where one is what to begin with; with `classes`, both are added.
        feedback: "output" or "none", see (3).
        condition: "first" or "every", see (3).
        writes: "ids" or "vectors"; None for what the embedding says, vectors without one.

    **Raises** ArgumentTypeError: the layer is none of throughtime.nn with weights of its own, such as a
    `CustomRecurrent`. ArgumentError: the layer is bidirectional or batch-first; an unknown word; an embedding with
    ``feedback="none"``, or one that does not fit the layer or `writes`; a count below 1.

    >>> from throughtime.nn import GRU
    >>> model = OneToMany(nn.Embedding(7, 4), GRU(4, 8), nn.Linear(8, 7), classes=3)
    >>> tuple(model(torch.zeros(5, 2, dtype=torch.long), class_ids=[0, 2]).shape)
    (5, 2, 7)
    >>> tuple(model.generate(6, class_ids=[0, 2], seed=1).ids.shape)
    (6, 2)
    """

    def __init__(
        self,
        embedding: nn.Module | None,
        recurrent: Recurrent,
        head: nn.Module,
        *,
        classes: int | None = None,
        context_size: int | None = None,
        feedback: str = "output",
        condition: str = "first",
        writes: str | None = None,
    ) -> None:
        super().__init__()
        _check_layer(recurrent)
        for name, word, words in (("feedback", feedback, ("output", "none")), ("condition", condition, _CONDITIONS)):
            if word not in words:
                raise ArgumentError(f"OneToMany: expected {name} to be one of {words}, got {word!r}; pass one of these")
        self.vocabulary = vocabulary_of(embedding)
        _check_embedding(embedding, self.vocabulary, recurrent, feedback, writes)
        self.embedding = embedding
        self.recurrent = recurrent
        self.head = TimeDistributed(head)
        weight = recurrent.layer_params(0).weight_ih
        self.beginning = Beginning(
            recurrent.input_size, classes, context_size, device=weight.device, dtype=weight.dtype
        )
        self.feedback = feedback
        self.condition = condition
        self.writes = writes or ("vectors" if self.vocabulary is None else "ids")

    def extra_repr(self) -> str:
        """What no module inside shows."""
        return f"feedback={self.feedback}, condition={self.condition}, writes={self.writes}"

    @property
    def _weight(self) -> Tensor:
        """Tells the layer's device and dtype."""
        return self.recurrent.layer_params(0).weight_ih

    @property
    def bidirectional(self) -> bool:
        """False: what comes next cannot be read before it is written."""
        return False

    @property
    def streams(self) -> bool:
        """True: each output is there before the next is begun."""
        return True

    def forward(
        self,
        target: Tensor,
        *,
        class_ids: Any = None,
        context: Tensor | None = None,
        lengths: Any = None,
        state: Any = None,
    ) -> Tensor:
        """The logits or outputs at every step of whole target sequences, each step having seen the targets before it.

        Args:
            target: ids (T, B) or vectors (T, B, O). With ``feedback="none"`` only its first two axes are read.
            class_ids: (B,), where the model was built with `classes`.
            context: (B, context_size), where it was built with `context_size`.
            lengths: (B,); what stands in `target` past a length is not read, and the result is zero there.
            state: the recurrent layer's to begin with; zeros where None.

        Raises:
            ArgumentError: a condition is missing or not of this model, an id or class is out of range, or a shape does
                not fit.
            ArgumentTypeError: the target is no tensor, or ids, classes or lengths are not whole numbers.
        """
        who = "OneToMany.forward"
        check_tensor(who, "target", target)
        axes = 3 if self.writes == "vectors" else 2
        if target.dim() < 2 or (self.feedback == "output" and target.dim() != axes):
            want = "vectors of shape (T, B, O)" if axes == 3 else "ids of shape (T, B)"
            raise ArgumentError(f"{who}: expected target {want}, got {tuple(target.shape)}; pass whole sequences")
        T, B = target.shape[:2]
        condition_BI = self.beginning(who, self._weight, B, class_ids, context)
        x_TBI = self._inputs(who, target, lengths, condition_BI)[:T]
        hidden_TBF, _ = self.recurrent(x_TBI, state, lengths=lengths)
        output: Tensor = self.head(hidden_TBF, lengths)
        return output

    def generate(
        self,
        limit: int | Tensor,
        *,
        sampler: Sampler | None = None,
        seed: Any = 0,
        stop: int | Sequence[int] | None = None,
        until: Until | None = None,
        pad: int = 0,
        rows: int | None = None,
        class_ids: Any = None,
        context: Tensor | None = None,
        prefix: Any = None,
        prefix_lengths: Any = None,
        state: Any = None,
    ) -> Decoded:
        """Write ids. The model runs in eval mode, without gradients, and its mode is put back.

        A row's ids depend on its own seed, condition and prefix, not on the rows beside it, up to what torch's linear
        changes in the last bit of a logit.

        Args:
            limit: the longest that a row may become, its prefix counted: an int, or (B,).
            sampler: how an id is chosen; `Sampler()`, draws from the model's own distribution, where None.
            seed: row b of an int draws with seed + b; or one seed for each row.
            stop: the id or ids that end a row; written and counted.
            until: called with the ids written so far (t, B); the rows (B,) that stop here.
            pad: what stands past a row's length.
            rows: how many to write, where nothing else says so; 1 where nothing does.
            class_ids: (B,), where the model was built with `classes`.
            context: (B, context_size), where it was built with `context_size`.
            prefix: ids (P, B) to go on from; not part of what comes back.
            prefix_lengths: (B,), zeros allowed; P for every row where None.
            state: the recurrent layer's to begin with; zeros where None.

        Raises:
            ArgumentError: the model writes vectors; a prefix is longer than the limit; a condition is missing or not of
                this model; an id or class is out of range; rows do not agree; what `decode` and `Sampler` refuse.
            ArgumentTypeError: ids, classes, lengths, limit or seeds are not whole numbers.
        """
        who = "OneToMany.generate"
        self._check_writes(who, "ids", "unroll")
        with torch.no_grad(), evaluating(self):
            first, state, step, limits = self._begin(
                who, limit, rows, class_ids, context, prefix, prefix_lengths, state
            )
            return decode(
                first,
                state,
                step,
                limit=limits,
                sampler=Sampler() if sampler is None else sampler,
                seed=seed,
                stop=stop,
                until=until,
                pad=pad,
                who=who,
            )

    def unroll(
        self,
        limit: int | Tensor,
        *,
        until: Until | None = None,
        rows: int | None = None,
        class_ids: Any = None,
        context: Tensor | None = None,
        prefix: Tensor | None = None,
        prefix_lengths: Any = None,
        state: Any = None,
    ) -> DecodedVectors:
        """Write vectors: `generate` where the head's output is the output. Arguments and errors as there.

        `prefix` is (P, B, O), `until` is called with (t, B, O).
        """
        who = "OneToMany.unroll"
        self._check_writes(who, "vectors", "generate")
        with torch.no_grad(), evaluating(self):
            first, state, step, limits = self._begin(
                who, limit, rows, class_ids, context, prefix, prefix_lengths, state
            )
            return decode_vectors(first, state, step, limit=limits, until=until, who=who)

    def _begin(
        self,
        who: str,
        limit: int | Tensor,
        rows: int | None,
        class_ids: Any,
        context: Tensor | None,
        prefix: Any,
        prefix_lengths: Any,
        state: Any,
    ) -> tuple[Tensor, Any, StepFunction, Tensor]:
        """The first logits or output, the state with it, the step function and each row's limit."""
        device = self._weight.device
        if prefix is not None and self.feedback == "none":
            raise ArgumentError(
                f"{who}: expected no prefix, since this model feeds nothing back, got one; "
                'leave it out, or build with feedback="output"'
            )
        if prefix is None and prefix_lengths is not None:
            raise ArgumentError(f"{who}: expected a prefix with prefix_lengths, got None; pass both or neither")
        if prefix is not None:
            prefix = torch.as_tensor(prefix, device=device)
            axes = ("P", "B") if self.writes == "ids" else ("P", "B", "O")
            if prefix.dim() != len(axes):
                raise ArgumentError(
                    f"{who}: expected prefix of shape ({', '.join(axes)}), got {tuple(prefix.shape)}; pass the "
                    f"{self.writes} to go on from, time first"
                )
        B = _agree(who, rows, class_ids, context, prefix, state)
        condition_BI = self.beginning(who, self._weight, B, class_ids, context)
        limits_B = read_limits(who, limit, B, device)
        if prefix is None:
            x_TBI, lengths_B = condition_BI.unsqueeze(0), None
        else:
            x_TBI = self._inputs(who, prefix, prefix_lengths, condition_BI)
            P = prefix.shape[0]
            read_B = read_lengths(who, prefix_lengths, P, B, device)
            lengths_B = torch.full((B,), P, device=device) if read_B is None else read_B
            if B and int((lengths_B - limits_B).max()) > 0:
                worst = int((lengths_B - limits_B).argmax())
                raise ArgumentError(
                    f"{who}: expected prefixes of at most limit = {int(limits_B[worst])} steps, got "
                    f"{int(lengths_B[worst])}; "
                    "the limit counts the prefix, so raise it or cut the prefix"
                )
            limits_B = limits_B - lengths_B
        hidden_TBF, state = self.recurrent(x_TBI, state, lengths=None if lengths_B is None else lengths_B + 1)
        last_BF = hidden_TBF[0] if lengths_B is None else hidden_TBF[lengths_B, torch.arange(B, device=device)]
        return self.head.module(last_BF), state, self._step(condition_BI), limits_B

    def _step(self, condition_BI: Tensor) -> StepFunction:
        """What was written and a state, to the next logits or output and state."""
        run = step_of(self.recurrent)
        head = self.head.module
        added_BI = condition_BI if self.condition == "every" else None
        silence_BI = condition_BI if self.condition == "every" else torch.zeros_like(condition_BI)

        def step(written: Tensor, state: Any) -> tuple[Tensor, Any]:
            if self.feedback == "none":
                x_BI = silence_BI
            else:
                x_BI = self._embed(written, condition_BI.dtype)
                x_BI = x_BI if added_BI is None else x_BI + added_BI
            hidden_BF, state = run(x_BI, state)
            return head(hidden_BF), state

        return step

    def _inputs(self, who: str, target: Tensor, lengths: Any, condition_BI: Tensor) -> Tensor:
        """x_1 .. x_{T+1} of (2) and (3), (T + 1, B, I): the last one follows the last target."""
        T, B = target.shape[:2]
        lengths_B = read_lengths(who, lengths, T, B, condition_BI.device)
        if self.feedback == "none":
            rest_TBI = condition_BI.new_zeros((T, *condition_BI.shape))
        else:
            valid_TB = None if lengths_B is None else valid_steps(lengths_B, T)
            if self.vocabulary is not None:
                name = "prefix" if who.endswith("generate") else "target"
                target = read_ids(who, name, target, "TB", self.vocabulary, condition_BI.device, valid_TB)
            elif valid_TB is not None:
                # Before the embedding's product: a gradient of zero times NaN is NaN.
                target = target.where(valid_TB.unsqueeze(2), 0.0)
            rest_TBI = self._embed(target, condition_BI.dtype)
        if self.condition == "every":
            rest_TBI = rest_TBI + condition_BI
        return torch.cat((condition_BI.unsqueeze(0), rest_TBI))

    def _embed(self, written: Tensor, dtype: torch.dtype) -> Tensor:
        """e of (3)."""
        x: Tensor = written if self.embedding is None else self.embedding(written)
        if x.shape[-1] != self.recurrent.input_size:
            raise ArgumentError(
                f"OneToMany: expected what is fed back to have the layer's {self.recurrent.input_size} features, got "
                f"{x.shape[-1]}; give the head as many outputs, or an embedding that makes inputs of them"
            )
        return x.to(dtype)

    def _check_writes(self, who: str, kind: str, other: str) -> None:
        if self.writes != kind:
            raise ArgumentError(
                f"{who}: expected a model that writes {kind}, got one that writes {self.writes}; call {other} instead"
            )


_CONDITIONS = ("first", "every")


def _check_layer(recurrent: Any) -> None:
    if not isinstance(recurrent, Recurrent):
        raise ArgumentTypeError(
            f"OneToMany: expected recurrent to be an RNN, GRU or LSTM of throughtime.nn, got "
            f"{type(recurrent).__name__}; a cell of your own goes into Aligned, ManyToOne and OneToOne"
        )
    if recurrent.bidirectional:
        raise ArgumentError(
            "OneToMany: expected a one-way layer, got bidirectional=True, whose backward direction needs what has not "
            "been written yet; build with bidirectional=False"
        )
    if recurrent.batch_first:
        raise ArgumentError(
            "OneToMany: expected a time-first layer, got batch_first=True; build with batch_first=False, "
            "the parameters are the same"
        )


def _check_embedding(
    embedding: nn.Module | None, vocabulary: int | None, recurrent: Recurrent, feedback: str, writes: str | None
) -> None:
    if writes not in (None, "ids", "vectors"):
        raise ArgumentError(f"OneToMany: expected writes to be 'ids', 'vectors' or None, got {writes!r}; pass one")
    if feedback == "none":
        if embedding is not None:
            raise ArgumentError(
                f'OneToMany: expected no embedding with feedback="none", got {type(embedding).__name__}; '
                "pass None, since nothing is fed back"
            )
        return
    fed = "vectors" if vocabulary is None else "ids"
    if writes not in (None, fed):
        raise ArgumentError(
            f"OneToMany: expected an embedding that takes {writes}, which are fed back, got one that takes {fed}; "
            'pass another, or feedback="none"'
        )
    if isinstance(embedding, nn.Embedding) and embedding.embedding_dim != recurrent.input_size:
        raise ArgumentError(
            f"OneToMany: expected an embedding of the layer's {recurrent.input_size} features, got "
            f"{embedding.embedding_dim}; build one of the two with the other's size"
        )


def _agree(who: str, rows: int | None, class_ids: Any, context: Any, prefix: Any, state: Any) -> int:
    """How many rows there are to write, from the first argument that says so."""
    if rows is not None:
        if isinstance(rows, bool) or not isinstance(rows, int) or rows < 1:
            raise ArgumentError(f"{who}: expected rows >= 1 or None, got {rows!r}; pass a count")
        if prefix is not None:
            check_rows(who, "prefix", prefix.shape[1], rows)
        return rows
    if prefix is not None:
        return int(prefix.shape[1])
    for name, given in (("class_ids", class_ids), ("context", context)):
        if given is None:
            continue
        try:
            return len(given)
        except TypeError:
            raise ArgumentTypeError(
                f"{who}: expected {name} with one for each row, got {given!r}; pass a list or a tensor of them"
            ) from None
    if state is not None:
        return int((state if isinstance(state, Tensor) else state[0]).shape[1])
    return 1
