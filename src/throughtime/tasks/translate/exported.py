"""A translator for ONNX Runtime: an encoder of the source, and a step that says which subword comes next.

Axes in names: S source steps, B sentences, L layers, H units, K features of the encoder, A features of the attention's
keys, V subwords.
"""

from typing import Any

import torch
from torch import Tensor, nn

from throughtime.data.text.parallel_units import _BLANK, BEGIN, END, LOWER, SPECIAL, UNKNOWN
from throughtime.models import EncoderDecoder, EncoderDecoderEnsemble
from throughtime.models.bridge import state_sizes
from throughtime.nn import LSTMState
from throughtime.nn.attention import AttentionMemory
from throughtime.nn.lengths import valid_steps
from throughtime.tasks.exported import Exported, Port
from throughtime.tasks.translate.translator import Translator


class _Encoder(nn.Module):
    """ids (S, B) and lengths (B,) to what the first `_Step` takes."""

    def __init__(self, model: EncoderDecoderEnsemble) -> None:
        super().__init__()
        self.members = model.members

    def forward(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        mask_BS = valid_steps(lengths, ids.shape[0]).T
        memories: list[Tensor] = []
        states: list[Tensor] = []
        for member in self.members:
            net: Any = member
            memory_SBK, state = net.encoder(net.source_embedding(ids), lengths=lengths)
            memory = net.attention.precompute(memory_SBK, lengths)
            memories += [memory.keys, memory.values]
            parts = _flat(net.bridge(state))
            B = ids.shape[1]
            if net.input_feeding:
                parts.append(parts[0].new_zeros((B, net.decoder.output_size)))
            if net.upper is not None:
                parts += [parts[0].new_zeros((count, B, size)) for count, size in state_sizes(net.upper).values()]
            states += parts
        return torch.full_like(lengths, BEGIN), mask_BS.unsqueeze(1), *memories, *states


class _Step(nn.Module):
    """The last id (B,), the mask, memories and states to log p (B, V), weights (B, S) and the next states."""

    def __init__(self, model: EncoderDecoderEnsemble) -> None:
        super().__init__()
        self.members = model.members

    def forward(self, id: Tensor, mask: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        parts = iter(rest)
        memories = [(next(parts), next(parts)) for _ in self.members]
        found, looked, states = [], [], []
        for member, (keys_BSA, values_BSK) in zip(self.members, memories, strict=True):
            net: Any = member
            state = _packed([next(parts) for _ in state_sizes(net.decoder)])
            x_BE = net.target_embedding(id)
            if net.input_feeding:
                x_BE = torch.cat([x_BE, next(parts)], 1)
            upper = None if net.upper is None else _packed([next(parts) for _ in state_sizes(net.upper)])
            hidden_1BH, after = net.decoder(x_BE.unsqueeze(0), state)
            memory = AttentionMemory(keys_BSA, values_BSK, mask)
            vector_1BH, weights_1BS, upper = net._attend(hidden_1BH, memory, net._above, upper)
            found.append(net._logits(vector_1BH[0]))
            looked.append(weights_1BS[0])
            states += _flat(after) + ([vector_1BH[0]] if net.input_feeding else [])
            states += [] if net.upper is None else _flat(upper)
        if len(found) == 1:
            return found[0].log_softmax(-1), looked[0], *states
        p_BV = torch.stack([logits_BV.softmax(-1) for logits_BV in found]).mean(0)
        return p_BV.clamp_min(torch.finfo(p_BV.dtype).tiny).log(), torch.stack(looked).mean(0), *states


def _flat(state: Any) -> list[Tensor]:
    return [state] if isinstance(state, Tensor) else list(state)


def _packed(parts: list[Tensor]) -> Any:
    return parts[0] if len(parts) == 1 else LSTMState(*parts)


def exported(translator: Translator) -> Exported:
    """What `export_onnx` writes."""
    model, units = translator.model_, translator.units_
    S, B = 3, 2
    members: Any = model.members
    states = _states(members, B)
    batch = ("batch",)
    inputs = {
        "id": Port(torch.ones(B, dtype=torch.int64), batch, "the number of the subword written last"),
        "mask": Port(torch.ones((B, 1, S), dtype=torch.bool), ("batch", "1", "source"), "steps of each source"),
        **_memories(members, B, S),
        **states,
    }
    encoder = Exported(
        module=_Encoder(model),
        inputs={
            "ids": Port(torch.ones((S, B), dtype=torch.int64), ("source", "batch"), "numbers of subwords, 'end' last"),
            "lengths": Port(torch.tensor([S, 2]), batch, "how many ids each has, from 1"),
        },
        outputs={name: (port.axes, port.meaning) for name, port in inputs.items()},
        open_axes=("source", "batch"),
    )
    return Exported(
        module=_Step(model),
        inputs=inputs,
        outputs={
            "log_probability": (("batch", "vocabulary"), "of each subword to come next, in nats"),
            "weights": (("batch", "source"), "how much of each source step was looked at"),
            **{f"{name}_after": (port.axes, f"{port.meaning}, after the step") for name, port in states.items()},
        },
        open_axes=("source", "batch"),
        around={
            "vocabulary": units.to_json(),
            "symbols": [
                "" if id < len(SPECIAL) else symbol.replace(_BLANK, " ") for id, symbol in enumerate(units.symbols)
            ],
            "special": {"end": END, "unknown": UNKNOWN, "lower": LOWER},
            "preprocessing": {
                "form": "Unicode NFC, control characters as blanks, one blank between words, none around, _ for the "
                "character that stands for a blank",
                "casing": "with 'sentence' the first letter is made small where that can be undone; of a sentence that "
                "begins with a small letter already, 'lower' is the first id",
                "ids": "encoded by the tokenizer of 'vocabulary' (package tokenizers; encode_special_tokens = True)",
                "longest": translator.longest,
                "cut": "a sentence of more ids is translated in pieces, cut after marks of punctuation, else between "
                "words",
            },
            "postprocessing": {
                "writing": "run encoder.onnx once; then model.onnx with its outputs, then with the likeliest id (or "
                "those of a beam) and the states after it, until 'end' or 'most'",
                "most": "twice the source's ids, 'end' counted, and 10",
                "unknown": "an unknown that is written is the unknown character of the source with the largest weight "
                "at that step, of those not written yet",
                "text": "'symbols' side by side, one blank between words; with 'sentence' the first letter is made "
                "large unless the first id is 'lower'",
            },
        },
        before={"encoder": encoder},
    )


def _memories(members: list[EncoderDecoder], B: int, S: int) -> dict[str, Port]:
    """Ports of what the attention of each net looks at."""
    found = {}
    for number, net in enumerate(members):
        attention: Any = net.attention
        with torch.no_grad():
            memory = attention.precompute(torch.zeros((S, B, net.encoder.output_size)))
        axes = ("batch", "source", "features")
        found[f"keys_{number}"] = Port(memory.keys, axes, f"what net {number} compares with")
        found[f"values_{number}"] = Port(memory.values, axes, f"what net {number} reads")
    return found


def _states(members: list[EncoderDecoder], B: int) -> dict[str, Port]:
    """Ports of the state of each net, in the order in which `_Step` takes them."""
    found = {}
    for number, net in enumerate(members):
        layers = [("", net.decoder, "the decoder")]
        if net.upper is not None:
            layers.append(("upper_", net.upper, "the layer above the attention"))
        for prefix, layer, what in layers:
            for name, (count, size) in state_sizes(layer).items():
                found[f"{prefix}{name}_{number}"] = Port(
                    torch.zeros((count, B, size)), ("layers", "batch", "units"), f"the state {name} of {what}"
                )
            if not prefix and net.input_feeding:
                found[f"feed_{number}"] = Port(
                    torch.zeros((B, net.decoder.output_size)), ("batch", "units"), "what the last step found"
                )
    return found
