"""A sequence in, a sequence of another length out: encoder, attention, decoder.

Axes in names: S source steps, T target steps, B batch, R rows of a decoding step (B, or B times the width of a beam),
K encoder features, H decoder features, V vocabulary, E features of an embedding.
"""

import sys
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from throughtime.errors import ArgumentError
from throughtime.models.beam import Hypotheses, beam_search
from throughtime.models.bridge import BRIDGES, state_sizes
from throughtime.models.decoding import Decoded, step_of
from throughtime.models.encoder_decoder_checks import check_attention, check_ids, check_layers, check_upper
from throughtime.models.encoder_decoder_state import DecoderState, DecodingStep, EncodedSource, select_rows
from throughtime.models.encoder_decoder_writing import write
from throughtime.models.ids import check_tensor, read_ids, vocabulary_of
from throughtime.models.modes import evaluating
from throughtime.models.sampling import Sampler
from throughtime.nn import LSTMState, Recurrent, TimeDistributed, dropouts
from throughtime.nn.arguments import check_dropout
from throughtime.nn.attention import Attention, AttentionMemory
from throughtime.nn.lengths import read_lengths, valid_steps


class EncoderDecoder(nn.Module):
    """Many inputs, many outputs, of different lengths.

    (1) m_s = the encoder's output at s, one way or both; its last state, through the bridge, starts the decoder
    (2) h_t = decoder(embedding(y_{t-1}), h_{t-1}), with y_0 = bos
    (3) with attention: context_t = Σ_s α_ts m_s, and a_t = tanh(W_c [context_t; h_t]); without: a_t = h_t
    (4) logits of y_t = head(a_t)
    (5) with input feeding, (2) reads [embedding(y_{t-1}); a_{t-1}] instead, with a_0 = 0
    (6) with a layer `upper` above the attention, (3) and (4) read u_t = upper([context_t; h_t], u_{t-1}), from zeros,
        in place of h_t: it sees what has been attended to so far, as (5) does, and yet the whole target is one fused
        sequence of each layer
    (7) with `dropout`, m_s and [context_t; h_t] (u_t) lose a share of their numbers while training, the same ones at
        every step of a sequence; step by step others at each

    The whole is time first. Its state while decoding is a `DecoderState`. It does not stream: the decoder begins when
    the source has ended; `Aligned` gives an output at every input.

    **Shapes** source (S, B) ids or (S, B, I) vectors, whatever `source_embedding` maps to (S, B, E); source_lengths
    (B,), each at least 1; target (T, B) ids, the end token among them, bos not; logits (T, B, V), zero past each
    length. The head takes the decoder's H features with and without attention.

    Args:
        source_embedding: from the source to the encoder's input.
        encoder: one way or both.
        target_embedding: from ids (...) to the decoder's input (..., E).
        decoder: one way; its input has E features, with input feeding E + H.
        head: from (N, H) to logits (N, V).
        attention: queries of H, keys of the encoder's output size.
        bridge: "linear" (`LinearBridge`), "copy" (`CopyBridge`), or a module from the encoder's state to the decoder's.
        input_feeding: (5).
        upper: (6), one way, of K + H input features and H output features; needs an attention.
        dropout: (7), in [0, 1].
        bos: the id before the first one of a target.
        eos: the id that ends a target.
        pad: what stands past the end of what is written.

    **Raises** ArgumentError: a layer with `batch_first`, a bidirectional decoder, an attention or a bridge that does
    not fit, input feeding without attention, or a negative id. ArgumentTypeError: an argument of a wrong type.

    **Source** [Luong2015] for (3) and (5), with either score; [Bahdanau2015] scores with h_{t-1} and feeds the context
    to (2) instead.

    >>> from throughtime.nn import GRU, AdditiveAttention
    >>> parts = nn.Embedding(9, 4), GRU(4, 6, bidirectional=True), nn.Embedding(7, 4), GRU(4, 6), nn.Linear(6, 7)
    >>> model = EncoderDecoder(*parts, attention=AdditiveAttention(6, 12, 5))
    >>> hypotheses = model.beam(torch.zeros(8, 2, dtype=torch.long), [8, 3], limit=10, width=4, n_best=3)
    >>> tuple(hypotheses.scores.shape)
    (2, 3)
    """

    def __init__(
        self,
        source_embedding: nn.Module,
        encoder: Recurrent,
        target_embedding: nn.Module,
        decoder: Recurrent,
        head: nn.Module,
        attention: Attention | None = None,
        *,
        bridge: str | nn.Module = "linear",
        input_feeding: bool = False,
        upper: Recurrent | None = None,
        dropout: float = 0.0,
        bos: int = 1,
        eos: int = 2,
        pad: int = 0,
    ) -> None:
        super().__init__()
        check_layers(encoder, decoder)
        check_attention(attention, encoder, decoder, input_feeding)
        check_upper(upper, attention, decoder)
        check_dropout("EncoderDecoder", dropout)
        check_ids(target_embedding, bos=bos, eos=eos, pad=pad)
        self.source_embedding = source_embedding
        self.encoder = encoder
        self.target_embedding = target_embedding
        self.decoder = decoder
        self.head = TimeDistributed(head)
        self.attention = attention
        self.input_feeding = input_feeding
        self.upper = upper
        self.dropout = dropout
        self.bos, self.eos, self.pad = bos, eos, pad
        if not isinstance(bridge, nn.Module) and bridge not in BRIDGES:
            raise ArgumentError(
                f"EncoderDecoder: expected bridge to be one of {', '.join(BRIDGES)} or a module, got {bridge!r}; "
                "pass one of these"
            )
        self.bridge = bridge if isinstance(bridge, nn.Module) else BRIDGES[bridge](encoder, decoder)
        self.combine: nn.Linear | None = None
        if attention is not None:
            H, weight = decoder.output_size, decoder.layer_params(0).weight_ih
            self.combine = nn.Linear(
                attention.key_size + H,
                H,
                bias=False,
                device=weight.device,
                dtype=weight.dtype,
            )

    def extra_repr(self) -> str:
        """What no module inside shows."""
        return f"input_feeding={self.input_feeding}, bos={self.bos}, eos={self.eos}, pad={self.pad}"

    @property
    def bidirectional(self) -> bool:
        """Whether the encoder reads the source both ways; allowed, since the whole source is there."""
        return self.encoder.bidirectional

    @property
    def streams(self) -> bool:
        """False: the first output comes after the last input."""
        return False

    def encode(self, source: Tensor, source_lengths: Any = None) -> EncodedSource:
        """What the decoder needs of the sources.

        Raises:
            ArgumentError: a source is empty, an id is outside the embedding, or the lengths do not fit.
            ArgumentTypeError: the source is no tensor.
        """
        check_tensor("EncoderDecoder", "source", source)
        if source.dim() < 2 or source.shape[0] == 0:
            raise ArgumentError(
                "EncoderDecoder: expected a source of shape (S, B) or (S, B, I) with S >= 1, got "
                f"{tuple(source.shape)}; leave out empty batches"
            )
        S, B = source.shape[:2]
        lengths_B = read_lengths("EncoderDecoder", source_lengths, S, B, source.device)
        valid_SB = None
        if lengths_B is not None:
            empty_B = lengths_B == 0
            if bool(empty_B.any()):
                raise ArgumentError(
                    "EncoderDecoder: expected sources of at least 1 step, got length 0 in row "
                    f"{int(empty_B.nonzero()[0])}; leave out that row"
                )
            valid_SB = valid_steps(lengths_B, S)
        known = vocabulary_of(self.source_embedding)
        if known is not None:
            source = read_ids("EncoderDecoder", "source", source, "SB", known, source.device, valid_SB)
        elif valid_SB is not None:
            # Before any product: NaN in the padding times a zero gradient would be NaN in the embedding's gradient.
            source = source.where(valid_SB.reshape(S, B, *(1,) * (source.dim() - 2)), 0)
        memory_SBK, state = self.encoder(self.source_embedding(source), lengths=lengths_B)
        memory = None if self.attention is None else self.attention.precompute(self._drop(memory_SBK), lengths_B)
        return EncodedSource(memory, self.bridge(state), B)

    def forward(
        self,
        source: Tensor,
        source_lengths: Any,
        target: Tensor,
        target_lengths: Any = None,
        *,
        teacher_forcing: float = 1.0,
        seed: int | None = None,
    ) -> Tensor:
        """The logits of every target step, for training.

        With `teacher_forcing` 1 the decoder reads the target itself: one fused sequence, or a loop over steps where
        input feeding needs it. Below 1 it goes step by step, and reads at each step and row the target with that
        probability, else the likeliest id of its own logits (scheduled sampling); no gradient goes through that choice.

        Args:
            source: see **Shapes** of the class.
            source_lengths: (B,) or None.
            target: ids; past a length anything.
            target_lengths: (B,) or None.
            teacher_forcing: in [0, 1].
            seed: of the choices, needed where they are any.

        Raises:
            ArgumentError: shapes or lengths that do not go together, an empty source, an id outside an embedding, a
                `teacher_forcing` outside [0, 1], or one between 0 and 1 without a seed.
            ArgumentTypeError: a source or target that is no tensor, a target that is not of whole numbers.

        **Source** [Bengio2015] for scheduled sampling.
        """
        if not 0 <= teacher_forcing <= 1:
            raise ArgumentError(
                f"EncoderDecoder: expected teacher_forcing in [0, 1], got {teacher_forcing}; it is the probability of "
                "reading the target"
            )
        if 0 < teacher_forcing < 1 and seed is None:
            raise ArgumentError(
                f"EncoderDecoder: expected a seed with teacher_forcing={teacher_forcing}, got None; pass seed=0, and "
                "another one at each update"
            )
        if teacher_forcing == 1:
            vectors_TBH, lengths_B = self.vectors(source, source_lengths, target, target_lengths)
            logits_TBV: Tensor = self.head(vectors_TBH, lengths_B)
            return logits_TBV
        encoded = self.encode(source, source_lengths)
        inputs_TB, lengths_B = self._read_target(target, target_lengths, encoded.rows)
        generator = torch.Generator().manual_seed(0 if seed is None else seed)
        gold_TB = torch.rand(inputs_TB.shape, generator=generator) < teacher_forcing
        logits_TBV = torch.stack(self._step_by_step(inputs_TB, gold_TB.to(inputs_TB.device), encoded))
        if lengths_B is None:
            return logits_TBV
        return logits_TBV.masked_fill(~valid_steps(lengths_B, len(logits_TBV)).unsqueeze(2), 0.0)

    def vectors(
        self, source: Tensor, source_lengths: Any, target: Tensor, target_lengths: Any = None
    ) -> tuple[Tensor, Tensor | None]:
        """What the head makes logits of, (T, B, H), the decoder reading the target; and the target's lengths.

        For a loss that takes the head of the valid steps alone. What stands past a length is not defined.

        Raises:
            As `forward`.
        """
        encoded = self.encode(source, source_lengths)
        inputs_TB, lengths_B = self._read_target(target, target_lengths, encoded.rows)
        if self.input_feeding:
            return torch.stack(self._step_by_step(inputs_TB, None, encoded)), lengths_B
        hidden_TBH, _ = self.decoder(self.target_embedding(inputs_TB), encoded.state, lengths=lengths_B)
        vectors_TBH, _, _ = self._attend(hidden_TBH, encoded.memory, partial(self._above, lengths=lengths_B))
        return vectors_TBH, lengths_B

    def greedy(
        self, source: Tensor, source_lengths: Any = None, *, limit: int | Tensor
    ) -> tuple[Decoded, Tensor | None]:
        """The likeliest id at every step, to `eos` or `limit`, and the attention's weights (T, B, S), None without.

        The model runs in eval mode, without gradients, and its mode is put back.

        Raises:
            ArgumentError: an empty source, a limit below 1, or `encode` refuses the source.
        """
        return self.sample(source, source_lengths, limit=limit, sampler=Sampler(greedy=True))

    def sample(
        self,
        source: Tensor,
        source_lengths: Any = None,
        *,
        limit: int | Tensor,
        sampler: Sampler | None = None,
        seed: Any = 0,
    ) -> tuple[Decoded, Tensor | None]:
        """Ids drawn from the model, to `eos` or `limit`, and the attention's weights (T, B, S), None without.

        Args:
            source: see **Shapes** of the class.
            source_lengths: (B,) or None.
            limit: ids that a row may get, `eos` counted: an int, or (B,).
            sampler: temperature, top-k and nucleus; the model's own distribution where None.
            seed: row b draws with seed + b; or one seed for each row.

        Raises:
            ArgumentError: an empty source, a limit below 1, or what `encode` or the sampler refuses.
        """
        with torch.no_grad(), evaluating(self):
            encoded = self.encode(source, source_lengths)
            return write(
                self.step_function(encoded),
                *self.start(encoded, source.device),
                select_rows,
                limit=limit,
                sampler=sampler or Sampler(),
                seed=seed,
                stop=self.eos,
                pad=self.pad,
                who="EncoderDecoder",
            )

    def beam(
        self,
        source: Tensor,
        source_lengths: Any = None,
        *,
        limit: int | Tensor,
        width: int = 5,
        alpha: float = 0.6,
        beta: float = 0.0,
        no_repeat: int = 0,
        n_best: int = 1,
    ) -> Hypotheses:
        """The n best targets that a beam finds, with scores, log-probabilities and attention weights (T, B, N, S).

        The model runs in eval mode, without gradients, and its mode is put back. See `beam_search`.

        Raises:
            ArgumentError: an empty source, a limit or width below 1, a width above the vocabulary, or what else
                `encode` or `beam_search` refuses.
        """
        with torch.no_grad(), evaluating(self):
            encoded = self.encode(source, source_lengths)
            first_B, live = self.start(encoded, source.device)
            step = self.step_function(encoded)
            return beam_search(
                step,
                live,
                select_rows,
                first_B,
                eos=self.eos,
                limit=limit,
                width=width,
                alpha=alpha,
                beta=beta,
                no_repeat=no_repeat,
                n_best=n_best,
                pad=self.pad,
                narrow=step.narrow,
            )

    def start(self, encoded: EncodedSource, device: torch.device) -> tuple[Tensor, DecoderState]:
        """The ids before the first, and the state before any step."""
        first_B = torch.full((encoded.rows,), self.bos, dtype=torch.int64, device=device)
        h_LBH = encoded.state if isinstance(encoded.state, Tensor) else encoded.state[0]
        feed_BH = h_LBH.new_zeros(encoded.rows, self.decoder.output_size) if self.input_feeding else None
        return first_B, DecoderState(encoded.state, feed_BH, self._upper_start(encoded.rows, h_LBH))

    def _upper_start(self, rows: int, like: Tensor) -> Any:
        """The state of zeros of the layer above the attention; None without one."""
        if self.upper is None:
            return None
        zeros = [like.new_zeros(count, rows, features) for count, features in state_sizes(self.upper).values()]
        return zeros[0] if len(zeros) == 1 else LSTMState(*zeros)

    def _above(self, joined_TBX: Tensor, state: Any, lengths: Any = None) -> tuple[Tensor, Any]:
        """The layer above the attention over whole sequences."""
        assert self.upper is not None
        found: tuple[Tensor, Any] = self.upper(joined_TBX, state, lengths=lengths)
        return found

    def packed(self) -> tuple[Any, Any]:
        """The steps of the decoder and of what is above its attention, their weights packed as they are now."""
        return step_of(self.decoder), None if self.upper is None else step_of(self.upper)

    def step_function(self, encoded: EncodedSource, packed: tuple[Any, Any] | None = None) -> DecodingStep:
        """(ids (R,), state) to logits (R, V), the next state and weights (R, S); without gradients, weights packed."""
        recurrent, above = self.packed() if packed is None else packed

        def step(
            ids_R: Tensor, live: DecoderState, encoded: EncodedSource
        ) -> tuple[Tensor, DecoderState, Tensor | None]:
            vector_RH, state, weights_RS = self._one(recurrent, above, ids_R, live, encoded)
            return self._logits(vector_RH), state, weights_RS

        return DecodingStep(step, encoded)

    def _logits(self, vector_RH: Tensor) -> Tensor:
        """The head's logits of one step (R, V), every id of which can be read at the next."""
        logits_RV: Tensor = self.head.module(vector_RH)
        known = vocabulary_of(self.target_embedding)
        if known is not None and logits_RV.shape[1] > known:
            raise ArgumentError(
                f"EncoderDecoder: expected a target embedding of all {logits_RV.shape[1]} ids that the head gives, "
                f"got one of {known}; build both for one vocabulary"
            )
        return logits_RV

    def _one(
        self, recurrent: Any, above: Any, ids_R: Tensor, live: DecoderState, encoded: EncodedSource
    ) -> tuple[Tensor, DecoderState, Tensor | None]:
        """(2), (3), (5) and (6) for one step: the attentional vector (R, H), the next state, the weights (R, S)."""
        x_RE = self.target_embedding(ids_R)
        if live.feed is not None:
            x_RE = torch.cat([x_RE, live.feed], dim=1)
        hidden_RH, state = recurrent(x_RE, live.state)
        # The hypotheses of one source stand side by side: so many queries to one memory.
        queries = ids_R.shape[0] // encoded.rows if encoded.rows else 1

        def step_above(joined_QBX: Tensor, upper: Any) -> tuple[Tensor, Any]:
            found_RH, upper = above(joined_QBX.transpose(0, 1).flatten(0, 1), upper)
            return found_RH.unflatten(0, (encoded.rows, queries)).transpose(0, 1), upper

        hidden_QBH = hidden_RH.unflatten(0, (encoded.rows, queries)).transpose(0, 1)
        vector_QBH, weights_QBS, upper = self._attend(hidden_QBH, encoded.memory, step_above, live.upper)
        vector_RH = vector_QBH.transpose(0, 1).flatten(0, 1)
        weights_RS = None if weights_QBS is None else weights_QBS.transpose(0, 1).flatten(0, 1)
        return vector_RH, DecoderState(state, vector_RH if self.input_feeding else None, upper), weights_RS

    def _attend(
        self, hidden_TBH: Tensor, memory: AttentionMemory | None, above: Any, upper: Any = None
    ) -> tuple[Tensor, Tensor | None, Any]:
        """(3) and (6): the attentional vectors (T, B, H), the weights (T, B, S) and the state above.

        Args:
            above: the layer `upper` over the axes of `hidden_TBH`: ([context; h], state) to outputs and a state.
            upper: its state; None for zeros.
        """
        if self.attention is None or self.combine is None or memory is None:
            return hidden_TBH, None, None
        context_TBK, weights_TBS = self.attention(hidden_TBH, memory)
        joined_TBX = self._drop(torch.cat([context_TBK, hidden_TBH], dim=2))
        if self.upper is not None:
            above_TBH, upper = above(joined_TBX, upper)
            joined_TBX = torch.cat([joined_TBX[..., : context_TBK.shape[2]], self._drop(above_TBH)], dim=2)
        return torch.tanh(self.combine(joined_TBX)), weights_TBS, upper

    def _drop(self, x_TBF: Tensor) -> Tensor:
        """(7): one mask for all steps, which costs a T-th of one for each."""
        if not self.training or not self.dropout:
            return x_TBF
        keep_1BF = torch.ones_like(x_TBF[:1])
        return x_TBF * nn.functional.dropout(keep_1BF, self.dropout)

    def _step_by_step(self, inputs_TB: Tensor, gold_TB: Tensor | None, encoded: EncodedSource) -> list[Tensor]:
        """Of every step the vector (B, H), or with `gold_TB` the logits (B, V); differentiable.

        Where `gold_TB` is False, a step reads what the last found likeliest.
        """
        ids_B, live = self.start(encoded, inputs_TB.device)
        found: list[Tensor] = []
        masks_at = dropouts.over_pieces(self.decoder, inputs_TB.device)
        upper_at = None if self.upper is None else dropouts.over_pieces(self.upper, inputs_TB.device)
        for t, target_B in enumerate(inputs_TB):
            if t > 0:
                ids_B = target_B if gold_TB is None else target_B.where(gold_TB[t], found[-1].argmax(1))
            above = None if self.upper is None or upper_at is None else partial(self.upper.step, **upper_at(t))
            step = partial(self.decoder.step, **masks_at(t))
            vector_BH, live, _ = self._one(step, above, ids_B, live, encoded)
            found.append(vector_BH if gold_TB is None else self._logits(vector_BH))
        return found

    def _read_target(self, target: Tensor, lengths: Any, B: int) -> tuple[Tensor, Tensor | None]:
        """What the decoder reads, (T, B): bos, then the target without its last id; and the lengths."""
        check_tensor("EncoderDecoder", "target", target)
        if target.dim() != 2 or target.shape[1] != B or target.shape[0] == 0:
            raise ArgumentError(
                f"EncoderDecoder: expected a target of shape (T, {B}) with T >= 1, got {tuple(target.shape)}; pass "
                "ids, time first, the end token among them"
            )
        T = target.shape[0]
        lengths_B = read_lengths("EncoderDecoder", lengths, T, B, target.device)
        bos_1B = target.new_full((1, B), self.bos)
        inputs_TB = torch.cat([bos_1B, target[:-1]])
        valid_TB = None if lengths_B is None else valid_steps(lengths_B, T)
        known = vocabulary_of(self.target_embedding) or sys.maxsize
        inputs_TB = read_ids("EncoderDecoder", "target", inputs_TB, "TB", known, target.device, valid_TB)
        return inputs_TB, lengths_B
