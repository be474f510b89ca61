"""What an import costs, and what it needs: seen from a fresh interpreter."""

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires

BASE = ("torch", "numpy", "safetensors")
ROOMS = ("cells", "kernels", "nn", "models", "training")

# A name that is not allowed is not found, as if it were not installed: finders answer None for it.
BLOCK = """
import sys

class Blind:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in ALLOWED or top in sys.stdlib_module_names or top.startswith("_"):
            return self.finder.find_spec(name, path, target)
        return None

ALLOWED = %r
sys.meta_path[:] = [Blind(finder) for finder in sys.meta_path]
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120)


def base_modules() -> set[str]:
    """The importable names of the base dependencies and of everything that they require themselves."""
    wanted, seen = list(BASE), set[str]()
    while wanted:
        name = re.sub(r"[-_.]+", "-", wanted.pop()).lower()
        if name in seen:
            continue
        try:
            lines = requires(name) or []
        except PackageNotFoundError:
            continue
        seen.add(name)
        wanted += [re.split(r"[ ;<>=!~\[(]", line, maxsplit=1)[0] for line in lines if "extra ==" not in line]
    owners = packages_distributions()
    return {
        module
        for module, names in owners.items()
        if any(re.sub(r"[-_.]+", "-", name).lower() in seen for name in names)
    }


def test_importing_throughtime_imports_nothing_heavy() -> None:
    code = (
        "import sys, throughtime; print([n for n in ('torch', 'numpy', 'safetensors', 'polars') if n in sys.modules])"
    )
    done = run(code)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_the_layers_need_the_base_dependencies_only() -> None:
    allowed = sorted({*base_modules(), "throughtime"})
    code = BLOCK % (allowed,)
    code += "".join(f"import throughtime.{room}\n" for room in ROOMS)
    code += """
import torch
from throughtime import nn, training
from throughtime.models import ManyToOne

model = ManyToOne(nn.LSTM(2, 3), torch.nn.Linear(3, 1))
data = training.TensorSource(torch.zeros(4, 5, 2), torch.ones(4, 1))
loss = lambda model, batch: (model(batch[0].transpose(0, 1)) - batch[1]).square().mean()
result = training.train(model, loss, data, config=training.TrainingConfig(epochs=1))
print("steps", result.steps)
"""
    done = run(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "steps 1"


def test_the_blocker_blocks() -> None:
    done = run(BLOCK % (sorted({*base_modules(), "throughtime"}),) + "import polars")
    assert done.returncode == 1
    assert "No module named 'polars'" in done.stderr


def test_the_base_modules_are_the_base() -> None:
    found = base_modules()
    assert {*BASE, "typing_extensions"} <= found
    assert not {"polars", "narwhals", "rich", "typer", "matplotlib", "pandas", "sklearn"} & found
