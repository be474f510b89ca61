"""A sign turned in any line of a cell's file turns test_step_equals_oracle or test_step_backward_equals_oracle red.

Every + and − of every cell file is turned in its turn, the file is run as a module of its own, and the very comparison
of those tests must fail on the cell that comes out.
"""

import ast
import inspect
import types
from pathlib import Path

import pytest
import torch

from tests.cells.comparison import compare_step, compare_step_backward
from tests.helpers import Case
from throughtime.cells import CELLS, Cell

CASE = Case(H=3, T=1, B=3, lengths=False, reset=False, bias=True, memory="contiguous", dtype=torch.float64)


def cell_files() -> list[Path]:
    return sorted({Path(inspect.getfile(cell.values)) for cell in CELLS.values()})


def signs(tree: ast.Module) -> list[ast.BinOp]:
    return [n for n in ast.walk(tree) if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Add | ast.Sub)]


def cells_of(tree: ast.Module) -> list[Cell]:
    """Runs the tree as a module and gives the cells that it defines."""
    module = types.ModuleType("mutated")
    exec(compile(tree, "mutated", "exec"), module.__dict__)
    return [value for value in vars(module).values() if isinstance(value, Cell)]


def all_mutations() -> list:
    found = []
    for path in cell_files():
        source = path.read_text(encoding="utf-8")
        for index, node in enumerate(signs(ast.parse(source))):
            line = f"{ast.get_source_segment(source, node)}"
            found.append(pytest.param(path, index, id=f"{path.stem}:{node.lineno}: {' '.join(line.split())}"))
    return found


def compare(*cells: Cell) -> None:
    for cell in cells:
        compare_step(cell, CASE)
        compare_step_backward(cell, CASE)


@pytest.mark.parametrize(("path", "index"), all_mutations())
def test_a_turned_sign_is_noticed(path, index):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    node = signs(tree)[index]
    node.op = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
    with pytest.raises(AssertionError, match="ε of"):
        compare(*cells_of(tree))  # rnn.py makes two cells, and a line may belong to one of them


@pytest.mark.parametrize("path", cell_files(), ids=lambda path: path.stem)
def test_an_unchanged_file_passes(path):
    """The control: the same way of loading, without a mutation."""
    cells = cells_of(ast.parse(path.read_text(encoding="utf-8")))
    assert cells
    compare(*cells)


def test_there_are_signs_to_turn():
    files = {param.values[0].stem for param in all_mutations()}
    assert files == {path.stem for path in cell_files()}
    assert len(all_mutations()) >= 40


@pytest.mark.parametrize(
    ("name", "line", "mutated"),
    [
        ("lstm", "c_new = f * c + i * g", "c_new = f * c - i * g"),
        ("gru", "dz = dh_new * (h - n)", "dz = dh_new * (h + n)"),
        ("peephole_lstm", "dc_through_h + da_o * p_o", "dc_through_h - da_o * p_o"),
    ],
)
def test_three_turned_signs_by_text(name, line, mutated):
    """The same on the text itself, for three lines by name: one forward, two backward."""
    source = Path(inspect.getfile(CELLS[name].values)).read_text(encoding="utf-8")
    code = ast.unparse(ast.parse(source))  # without comments, which quote the forward lines
    assert code.count(line) == 1
    (cell,) = [c for c in cells_of(ast.parse(code.replace(line, mutated))) if c.name == name]
    with pytest.raises(AssertionError, match="ε of"):
        compare(cell)
