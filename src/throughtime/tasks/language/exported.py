"""A language model for ONNX Runtime: symbols and a state in, log-probabilities of the next symbols and a state out.

Axes in names: T time, B batch, V vocabulary, L layers.
"""

from typing import Any

import torch
from torch import Tensor, nn

from throughtime.tasks.exported import Exported, Port
from throughtime.tasks.language.language_model import LanguageModel
from throughtime.tasks.language.net import LanguageNet


class _Steps(nn.Module):
    """ids (T, B), begins (T, B), the label (B,) where there are labels, and each layer's state."""

    def __init__(self, net: LanguageNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, ids: Tensor, begins: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        encoder = self.net.encoder
        classes, state = (rest[0], rest[1:]) if encoder.classes is not None else (None, rest)
        if classes is not None:
            classes = classes.unsqueeze(0).expand(ids.shape)
        x_TBE = encoder.embed(ids, begins=begins, classes=classes)
        parts = iter(state)
        states: list[Any] = []
        for layer in encoder.layers:
            fields = len(layer.cell.state_fields)  # type: ignore[union-attr,arg-type]
            of_layer = tuple(next(parts) for _ in range(fields))
            states.append(of_layer if fields > 1 else of_layer[0])
        h_TBF, after = encoder.run(x_TBE, tuple(states))
        log_p_TBV = self.net.logits(h_TBF).log_softmax(-1)
        flat = [part for one in after for part in (one if isinstance(one, tuple) else (one,))]
        return log_p_TBV, *flat


def exported(model: LanguageModel) -> Exported:
    """What `export_onnx` writes."""
    net: LanguageNet = model.model_
    T, B = 3, 2
    inputs = {
        "ids": Port(torch.zeros((T, B), dtype=torch.int64), ("time", "batch"), "numbers of symbols"),
        "begins": Port(
            torch.zeros((T, B), dtype=torch.bool),
            ("time", "batch"),
            "true where a text begins, the id there is not read; allowed at the first step alone, with states of zeros",
        ),
    }
    if model.labels_ is not None:
        inputs["label"] = Port(
            torch.zeros(B, dtype=torch.int64), ("batch",), "the number of each row's label in 'labels'"
        )
    outputs: dict[str, tuple[tuple[str, ...], str]] = {
        "log_probability": (("time", "batch", "vocabulary"), "of each symbol to come after each step, in nats")
    }
    for number, layer in enumerate(net.encoder.layers):
        for name, size in zip(layer._state_fields, layer._state_sizes, strict=True):  # type: ignore[arg-type]
            axes = ("1", "batch", "units")
            inputs[f"{name}_{number}"] = Port(
                torch.zeros((1, B, size)), axes, f"the state {name} of layer {number}: zeros before a text"
            )
            outputs[f"{name}_{number}_after"] = (axes, f"the state {name} of layer {number} after the last step")
    units = model.units_
    return Exported(
        module=_Steps(net),
        inputs=inputs,
        outputs=outputs,
        open_axes=("time", "batch"),
        around={
            "vocabulary": units.to_json(),
            "symbols": list(units.vocabulary),
            "labels": model.labels_,
            "preprocessing": {
                "unit": units.name,
                "text": _HOW[units.name],
                "unknown": units.unknown,
                "first": "a text begins with one step whose begins is true (its id is not read), then its symbols",
            },
            "postprocessing": {
                "end": units.end if model.ends_ else None,
                "never": [units.unknown] if model.ends_ else [units.unknown, units.end],
                "writing": "take or draw the next symbol from log_probability, those of 'never' left out, and feed it "
                "back with the states, until the end or as long as wanted",
            },
        },
    )


_HOW = {
    "character": "each Unicode code point is a symbol",
    "word": "the pieces that the regular expression \\n|\\S+ finds are symbols",
    "subword": "each line, its end included, encoded by the tokenizer of 'vocabulary' (package tokenizers)",
}
