"""A language model's parts in its folder, and back."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from throughtime.data.text.units import TextUnits, units_from_json
from throughtime.tasks.language.baseline import Bigram
from throughtime.tasks.stored import check_model, check_tensors, count_from, history_from_json, history_json
from throughtime.training import fingerprint

if TYPE_CHECKING:
    from throughtime.tasks.language.language_model import LanguageModel

__all__ = ["check_model", "read_sections", "sections", "short"]


def sections(model: "LanguageModel") -> dict[str, Any]:
    """What stands beside the weights."""
    return {
        "vocabulary": model.units_.to_json(),
        "labels": model.labels_,
        "metrics": model.metrics_,
        **({"origin": model.origin_} if model.origin_ else {}),
        "fitted": {
            "ends": model.ends_,
            "validation": model.validation_,
            "n_texts": model.n_texts_,
            "n_symbols": model.n_symbols_,
            "n_rows": model.n_rows_,
            "training": history_json(model.history_),
        },
    }


def read_sections(model: "LanguageModel", tensors: Mapping[str, np.ndarray], extra: Mapping[str, Any]) -> None:
    """The reverse of `sections`; parts that do not fit raise ValueError, LookupError or TypeError."""
    check_tensors(tensors, model.num_layers)
    model.units_ = units_from_json(extra["vocabulary"])
    if model.units_.name != model.unit:
        raise ValueError(f"vocabulary: of unit {model.units_.name!r} where {model.unit!r} is configured")
    labels = extra["labels"]
    if labels is not None and not (isinstance(labels, list) and labels and all(type(x) is str for x in labels)):
        raise ValueError(f"labels: {labels!r:.60}")
    fitted = extra["fitted"]
    if type(fitted["ends"]) is not bool:
        raise ValueError(f"ends: {fitted['ends']!r}")
    model.labels_, model.ends_, model.validation_ = labels, fitted["ends"], str(fitted["validation"])
    model.n_texts_, model.n_symbols_, model.n_rows_ = (
        count_from(fitted, name) for name in ("n_texts", "n_symbols", "n_rows")
    )
    model.history_ = history_from_json(fitted["training"])
    model.metrics_ = {name: extra["metrics"][name] for name in ("validation_loss", "best_epoch", "epochs")}
    model.origin_ = {str(name): str(value) for name, value in extra.get("origin", {}).items()}
    model.bigram_ = Bigram.from_tensors(tensors, len(model.units_))


def short(units: TextUnits) -> str:
    """A short name for a vocabulary, by content."""
    return f"{len(units)} {units.name}s, {fingerprint(units.to_json())}"
