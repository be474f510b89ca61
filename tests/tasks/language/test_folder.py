"""The model folder: what is kept, and hostile ones."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.tasks.language.models import of_names, of_words
from throughtime.data import read_model_folder, write_model_folder
from throughtime.errors import ModelFolderError
from throughtime.tasks import load
from throughtime.tasks.language import LanguageModel


def test_the_right_estimator_is_found(tmp_path: Path) -> None:
    of_names().save(tmp_path / "m")
    found = load(tmp_path / "m")
    assert isinstance(found, LanguageModel)
    assert found.labels_ == ["f", "m"]
    assert found.ends_ is True
    assert sorted(p.name for p in (tmp_path / "m").iterdir()) == ["model.json", "model.safetensors"]


def changed(tmp_path: Path, change) -> Path:
    """A folder whose checksums are right and whose content is not."""
    of_words().save(tmp_path / "m")
    folder = read_model_folder(tmp_path / "m")
    tensors, extra = dict(folder.tensors), json.loads(json.dumps(folder.extra))
    configuration = dict(folder.configuration)
    change(tensors, extra, configuration)
    write_model_folder(
        tmp_path / "bad", task="language", configuration=configuration, tensors=tensors, extra=extra, seed=0
    )
    return tmp_path / "bad"


def _poison(tensors, extra, configuration):
    tensors["model.head.bias"] = np.full_like(tensors["model.head.bias"], np.nan)


CHANGES = {
    "a NaN": (_poison, "model.head.bias: a number that is not finite"),
    "no vocabulary": (lambda t, e, c: e.pop("vocabulary"), "vocabulary"),
    "a symbol more": (lambda t, e, c: e["vocabulary"]["symbols"].append("zebra"), "bigram: .* counts of"),
    "a symbol twice": (lambda t, e, c: e["vocabulary"]["symbols"].append("the"), "'the' again"),
    "another unit": (lambda t, e, c: c.update(unit="character"), "of unit 'word' where 'character'"),
    "labels out of nowhere": (lambda t, e, c: e.update(labels=["a", "b"]), "beginning.weight"),
    "labels of no kind": (lambda t, e, c: e.update(labels=[1]), r"labels: \[1\]"),
    "a huge layer": (lambda t, e, c: c.update(hidden_size=10**7), "shape"),
    "many layers": (lambda t, e, c: c.update(num_layers=10**6), "num_layers"),
    "ends of no kind": (lambda t, e, c: e["fitted"].update(ends=1), "ends: 1"),
    "counts below zero": (lambda t, e, c: t.update({"bigram.counts": t["bigram.counts"] - 99}), "bigram"),
    "pairs out of order": (lambda t, e, c: t.update({"bigram.pairs": t["bigram.pairs"][::-1].copy()}), "not in order"),
    "a weight less": (lambda t, e, c: t.pop("model.encoder.layers.0.weight_hh_l0"), "weight_hh_l0"),
    "a wrong option": (lambda t, e, c: c.update(dropout=7), "dropout"),
    "an unknown option": (lambda t, e, c: c.update(magic=1), "magic"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_folder_whose_parts_do_not_fit_is_refused(tmp_path: Path, name: str) -> None:
    change, reason = CHANGES[name]
    with pytest.raises(ModelFolderError, match=reason):
        LanguageModel.load(changed(tmp_path, change))


def test_a_folder_of_another_task_is_refused(tmp_path: Path) -> None:
    of_names().save(tmp_path / "m")
    from throughtime import Forecaster

    with pytest.raises(ModelFolderError, match="expected a model of task 'forecast', got 'language'"):
        Forecaster.load(tmp_path / "m")
