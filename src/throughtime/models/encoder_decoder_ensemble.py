"""Several encoder-decoders that write as one.

Axes in names: B batch, R rows of a decoding step, S source steps, V vocabulary.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from throughtime.errors import ArgumentError
from throughtime.models.beam import Hypotheses, beam_search
from throughtime.models.decoding import Decoded
from throughtime.models.encoder_decoder import EncoderDecoder
from throughtime.models.encoder_decoder_state import DecoderState, DecodingStep, EncodedSource, select_rows
from throughtime.models.encoder_decoder_writing import write
from throughtime.models.modes import evaluating
from throughtime.models.sampling import Sampler

States = tuple[DecoderState, ...]


class EncoderDecoderEnsemble(nn.Module):
    """Nets that were trained from different seeds and write one sequence together.

    (1) p(y_t) = mean over members of softmax(logits of member), and likewise the attention's weights

    Members may differ in everything but the ids.

    **Shapes** as `EncoderDecoder` has them.

    Args:
        members: one or more.
        frozen: their weights do not change any more: they are packed at the first decoding and not again, which of a
            single short sequence is a tenth of the time.

    **Raises** ArgumentError: no member, or members with other special ids.
    """

    def __init__(self, members: Sequence[EncoderDecoder], *, frozen: bool = False) -> None:
        super().__init__()
        if not members:
            raise ArgumentError("EncoderDecoderEnsemble: expected one or more members, got none; pass some")
        special = {(member.bos, member.eos, member.pad) for member in members}
        if len(special) > 1:
            raise ArgumentError(
                f"EncoderDecoderEnsemble: expected members with one bos, eos and pad, got {sorted(special)}; build "
                "them for one vocabulary"
            )
        self.members = nn.ModuleList(members)
        self.frozen = frozen
        self._packed: list[tuple[Any, Any]] | None = None
        self.bos, self.eos, self.pad = members[0].bos, members[0].eos, members[0].pad

    def __getstate__(self) -> dict[str, Any]:
        """What a copy has: packed weights are not of it."""
        return {**self.__dict__, "_packed": None}

    def greedy(
        self, source: Tensor, source_lengths: Any = None, *, limit: int | Tensor
    ) -> tuple[Decoded, Tensor | None]:
        """The likeliest id at every step and the weights (T, B, S), as `EncoderDecoder.greedy`."""
        with torch.no_grad(), evaluating(self):
            step, first_B, live = self._begin(source, source_lengths)
            return write(
                step, first_B, live, _select, limit=limit, sampler=Sampler(greedy=True), stop=self.eos, pad=self.pad,
                who="EncoderDecoderEnsemble",
            )  # fmt: skip

    def beam(self, source: Tensor, source_lengths: Any = None, *, limit: int | Tensor, **options: Any) -> Hypotheses:
        """The n best that a beam finds; options as `EncoderDecoder.beam`."""
        with torch.no_grad(), evaluating(self):
            step, first_B, live = self._begin(source, source_lengths)
            return beam_search(
                step, live, _select, first_B, eos=self.eos, limit=limit, pad=self.pad, narrow=step.narrow, **options
            )

    def _begin(self, source: Tensor, source_lengths: Any) -> tuple["_Step", Tensor, States]:
        """A step of all members, the ids before the first and the states before any step."""
        members: list[EncoderDecoder] = list(self.members)  # type: ignore[arg-type]
        encoded: list[EncodedSource] = [member.encode(source, source_lengths) for member in members]
        starts = [member.start(one, source.device) for member, one in zip(members, encoded, strict=True)]
        packed = self._packed
        if packed is None:
            packed = [member.packed() for member in members]
            if self.frozen:
                self._packed = packed
        steps = [m.step_function(one, its) for m, one, its in zip(members, encoded, packed, strict=True)]
        return _Step(steps), starts[0][0], tuple(live for _, live in starts)


class _Step:
    """The steps of all members as one."""

    def __init__(self, steps: Sequence[DecodingStep]) -> None:
        self._steps = steps

    def __call__(self, ids_R: Tensor, live: States) -> tuple[Tensor, States, Tensor | None]:
        found = [one(ids_R, state) for one, state in zip(self._steps, live, strict=True)]
        if len(found) == 1:
            return found[0][0], (found[0][1],), found[0][2]
        p_RV = torch.stack([logits_RV.softmax(-1) for logits_RV, _, _ in found]).mean(0)
        looked = [weights_RS for _, _, weights_RS in found if weights_RS is not None]
        weights_RS = torch.stack(looked).mean(0) if looked else None
        # Not −∞ where every member underflows: a NaN of the search would be blamed on the model.
        return p_RV.clamp_min(torch.finfo(p_RV.dtype).tiny).log(), tuple(state for _, state, _ in found), weights_RS

    def narrow(self, rows_B: Tensor) -> None:
        """Go on with these sources alone."""
        for step in self._steps:
            step.narrow(rows_B)


def _select(live: States, rows_R: Tensor) -> States:
    return tuple(select_rows(one, rows_R) for one in live)
