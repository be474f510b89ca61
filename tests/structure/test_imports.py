"""Imports go downwards only: a room imports itself and rooms of a lower floor, inside functions too."""

import ast
from collections.abc import Iterator

import pytest

from tests.structure.tree import modules, room

# From the ground up; the rooms of one floor do not see each other.
FLOORS = (
    ("errors",),
    ("_extras", "_atomic"),
    ("cells",),
    ("kernels",),
    ("nn",),
    ("models",),
    ("exchange",),
    ("training", "data"),
    ("datasets",),
    ("tasks",),
    ("report",),
    ("serve",),
    ("cli",),
    ("__main__",),
)
RANKS = {room: rank for rank, floor in enumerate(FLOORS) for room in floor}
# A plot is drawn from numbers that it is given: it must not need an estimator.
FORBIDDEN = {("report", "tasks")}
# The native core's extension module: only the room that it lies in may know it.
NATIVE = "throughtime.kernels._native"


def imported(module: str, tree: ast.Module, is_package: bool) -> Iterator[tuple[int, str]]:
    """Line and dotted name of each import of throughtime's own, wherever in the file it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                depth = node.level - 1 if is_package else node.level
                parents = module.split(".")[: len(module.split(".")) - depth]
                base = ".".join([*parents, base] if base else parents)
            names = [f"{base}.{alias.name}" for alias in node.names]
        elif (
            isinstance(node, ast.Call)
            and (node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", ""))
            in ("import_module", "__import__")
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            names = [str(node.args[0].value)]
        else:
            continue
        yield from ((node.lineno, name) for name in names if name.split(".")[0] == "throughtime")


def violations(module: str, tree: ast.Module, is_package: bool = False) -> list[str]:
    """Every import of `module` that goes upwards or sideways."""
    own = room(module)
    if own == "":
        return [
            f"{module}:{line} imports {target!r} outside `if TYPE_CHECKING`"
            for line, target in imported(module, _without_type_checking(tree), is_package)
        ]
    found = []
    for line, name in imported(module, tree, is_package):
        target = room(name)
        if name.startswith(NATIVE) and own != room(NATIVE):
            found.append(f"{module}:{line} imports the native core past {room(NATIVE)}")
        elif target in ("", "__version__", own):
            continue
        elif target not in RANKS:
            found.append(f"{module}:{line} imports {target!r}, which has no rank")
        elif RANKS[target] >= RANKS[own] or (own, target) in FORBIDDEN:
            found.append(f"{module}:{line} ({own}, rank {RANKS[own]}) imports {target} (rank {RANKS[target]})")
    return found


def _without_type_checking(tree: ast.Module) -> ast.Module:
    kept = [
        node
        for node in tree.body
        if not (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING")
    ]
    return ast.Module(body=kept, type_ignores=[])


def test_every_room_has_a_rank() -> None:
    rooms = {room(name) for name in modules()} - {""}
    assert rooms <= set(RANKS), f"rooms without a rank: {sorted(rooms - set(RANKS))}"


def test_imports_go_downwards() -> None:
    parents = {name.rpartition(".")[0] for name in modules()}
    found = [line for name, tree in modules().items() for line in violations(name, tree, name in parents)]
    assert found == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("throughtime.cells.bad", "from throughtime.nn import LSTM"),
        ("throughtime.cells.bad", "import throughtime.kernels.reference"),
        ("throughtime.cells.bad", "def late():\n    from throughtime import kernels"),
        ("throughtime.cells.bad", "from ..nn import LSTM"),
        ("throughtime.cells.bad", "import importlib\nimportlib.import_module('throughtime.nn')"),
        ("throughtime.training.bad", "from throughtime.data import tables"),
        ("throughtime.report.bad", "from throughtime.tasks import forecast"),
        ("throughtime.errors", "import throughtime._extras"),
        ("throughtime.nn.bad", "from throughtime.unranked import something"),
        ("throughtime.nn.bad", "from throughtime.kernels import _native"),
        ("throughtime", "from throughtime import cells"),
    ],
)
def test_an_import_upwards_is_found(module: str, source: str) -> None:
    assert len(violations(module, ast.parse(source))) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("throughtime.nn.good", "import torch\nfrom throughtime.cells import CELLS"),
        ("throughtime.nn.good", "from throughtime.nn.recurrent import Recurrent\nfrom . import layers"),
        ("throughtime.data.good", "from throughtime import __version__"),
        ("throughtime.kernels.good", "from throughtime.kernels import _native"),
        ("throughtime", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from throughtime import cells"),
    ],
)
def test_an_import_downwards_is_allowed(module: str, source: str) -> None:
    assert violations(module, ast.parse(source)) == []


TASK_ROOMS = tuple(name for name in modules() if name.count(".") == 2 and f"{name}.stored" in modules())
# Text and event tokens are languages; nothing else of a task is another's.
SHARED_BY_TASKS = {("classify", "language"), ("compose", "language")}


def task_room(name: str) -> str:
    """`tag` for throughtime.tasks.tag.network; "" for what all tasks share."""
    package = ".".join(name.split(".")[:3])
    return package.split(".")[2] if package in TASK_ROOMS else ""


def test_a_task_leans_on_no_other_but_language():
    assert len(TASK_ROOMS) >= 7
    found = {
        (task_room(module), task_room(name))
        for module, tree in modules().items()
        if task_room(module)
        for _, name in imported(module, tree, module in TASK_ROOMS)
        if task_room(name)
    }
    assert {pair for pair in found if len({*pair}) == 2} == SHARED_BY_TASKS
