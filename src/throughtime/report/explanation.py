"""What a cell computes: its equations in two alphabets, and the file and line where each of them runs.

Everything of ours is read from the cell: the equations from its docstring, lines from its source, shapes from a layer.
"""

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from throughtime.cells import Cell
from throughtime.cells import layer_norm as layer_norm_module
from throughtime.errors import ArgumentError
from throughtime.nn.layers import LAYERS
from throughtime.report.explanation_words import LABELS, WORDS, Both, Words

__all__ = ["LANGUAGES", "CellExplanation", "Equation", "ParameterShape", "Place", "explain_cell"]

LANGUAGES = ("en", "zh")
_HEAD = re.compile(r"^\((\d+)\) (.+)$", re.MULTILINE)
_SOURCE = re.compile(r"\*\*Source\*\* (.+?)(?:\n\n|\Z)", re.DOTALL)
# By the end of a parameter's name; every other one has a number a gate and unit.
_SHAPES = {"weight_ih": "(G·H, I)", "weight_hh": "(G·H, H)", "weight_ch": "(3·H,)", "ln_c": "(H,)"}


@dataclass(frozen=True)
class Place:
    """Where something runs."""

    file: str
    """From the package's folder: "cells/gru.py"."""
    line: int
    code: str
    """What stands there."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Equation:
    """One line of the step or of its backward pass."""

    letter: str
    role: str
    notes: str
    """In the lecture notes' letters; "" where they do not have it."""
    ours: str
    place: Place


@dataclass(frozen=True)
class ParameterShape:
    """One parameter of a layer."""

    name: str
    letters: str
    """Its shape in letters, "(G·H, I)"."""
    shape: tuple[int, ...]
    numbers: int


@dataclass(frozen=True)
class CellExplanation:
    """All that `throughtime explain` shows."""

    name: str
    language: str
    title: str
    what: str
    layer: str
    """The class in `throughtime.nn`."""
    module: str
    source: str
    """The docstring's own words on where the equations are from."""
    input_size: int
    hidden_size: int
    gates: tuple[str, ...]
    states: tuple[str, ...]
    forward: tuple[Equation, ...]
    backward: tuple[Equation, ...]
    parameters: tuple[ParameterShape, ...]
    remarks: tuple[str, ...]
    erratum: str

    @property
    def numbers(self) -> int:
        """Of all parameters."""
        return sum(parameter.numbers for parameter in self.parameters)

    @property
    def numbers_with_one_bias(self) -> int:
        """The same with the notes' one bias in the place of two."""
        return self.numbers - len(self.gates) * self.hidden_size

    def label(self, key: str, **values: Any) -> str:
        """A heading or a sentence in this language."""
        return _in(LABELS[key], self.language).format(**values)


def explain_cell(name: str, *, language: str = "en", input_size: int = 10, hidden_size: int = 20) -> CellExplanation:
    """The equations of a cell in the lecture notes' letters and in ours, and where each runs.

    Args:
        name: a name of `throughtime.nn`'s layers as the command line takes it, such as "gru-reset-before".
        language: "en" or "zh".
        input_size, hidden_size: of the layer whose parameters are counted.

    Raises:
        ArgumentError: an unknown name or language, or a size that is not positive.

    >>> found = explain_cell("gru-reset-before")
    >>> found.forward[3].notes, found.forward[3].ours
    ('c_t = Γ_u ∗ c̃_t + (1 − Γ_u) ∗ c_{t−1}, a_t = c_t', "h' = (1 − z) ∗ n + z ∗ h")
    """
    if name not in WORDS:
        raise ArgumentError(f"explain: expected a cell among {', '.join(WORDS)}, got {name!r}; name one of these")
    if language not in LANGUAGES:
        raise ArgumentError(
            f"explain: expected a language, {' or '.join(LANGUAGES)}, got {language!r}; pass one of them"
        )
    layer = LAYERS[name](input_size, hidden_size)
    cell: Cell = layer.cell
    words = WORDS[name]
    module = sys.modules[cell.values.__module__]
    source = _SOURCE.search(module.__doc__ or "")
    assert source is not None
    forward = tuple(_forward(module.__doc__ or "", cell, words, language))
    backward = tuple(
        Equation(row.ours.partition(" =")[0], "", row.notes, row.ours, _place(cell.step_backward, row.at))
        for row in words.backward
    )
    return CellExplanation(
        name=name,
        language=language,
        title=_in(words.title, language),
        what=_in(words.what, language),
        layer=f"throughtime.nn.{type(layer).__name__}",
        module=module.__name__,
        source=" ".join(source[1].split()),
        input_size=input_size,
        hidden_size=hidden_size,
        gates=cell.gates,
        states=cell.state_fields,
        forward=forward,
        backward=backward,
        parameters=tuple(
            ParameterShape(key, _letters(key), tuple(value.shape), value.numel())
            for key, value in layer.named_parameters()
        ),
        remarks=tuple(_in(remark, language) for remark in words.remarks),
        erratum="" if words.erratum is None else _in(words.erratum, language),
    )


def _in(text: Both, language: str) -> str:
    found: str = getattr(text, language)
    return found


def _letters(name: str) -> str:
    return next((shape for part, shape in _SHAPES.items() if part in name), "(G·H,)")


def _forward(text: str, cell: Cell, words: Words, language: str) -> Iterator[Equation]:
    """The numbered equations of a docstring; "as in `layer_norm`" stands for that module's."""
    for _, line in _HEAD.findall(text):
        left, equals, right = line.partition(" = ")
        if not equals:
            yield from _forward(layer_norm_module.__doc__ or "", cell, words, language)
            continue
        letter = re.split(r"[,(]", left.strip())[0]
        # Two blanks begin a remark, or another activation's form.
        forms = re.split(r" {2,}", right.strip())
        ours = forms[2] if cell.name.endswith("relu") and forms[1:2] == ["or"] else forms[0]
        yield Equation(
            left.strip(),
            _in(words.roles[letter], language) if letter in words.roles else "",
            words.notes.get(letter, ""),
            f"{left.strip()} = {ours}",
            _place(cell.values, words.spots.get(letter, letter)),
        )


def _place(function: Callable[..., Any], spot: str) -> Place:
    """Where a name gets its value: in the function, or in one of a cell's that it calls."""
    inside, _, name = spot.rpartition(".")
    queue, seen = [function], {function}
    while queue:
        looked_at = queue.pop(0)
        lines, first = inspect.getsourcelines(looked_at)
        text = textwrap.dedent("".join(lines))
        tree = ast.parse(text)
        node = _assigned(tree, name) if inside in ("", looked_at.__name__) else None
        if node is not None:
            module = sys.modules[looked_at.__module__]
            file = Path(*Path(inspect.getfile(module)).parts[1 - len(looked_at.__module__.split(".")) :])
            code = " ".join((ast.get_source_segment(text, node) or "").split())
            return Place(file.as_posix(), first + node.lineno - 1, code)
        for called in _called(tree, looked_at):
            if called not in seen:
                seen.add(called)
                queue.append(called)
    raise AssertionError(f"{function.__module__}: nothing gives {spot} its value")


def _assigned(tree: ast.Module, name: str) -> ast.stmt | ast.keyword | None:
    """The last assignment to a name that computes something, or the argument of that name; h' is `h_new`, or `h=`."""
    base, prime, _ = name.partition("'")
    found: ast.stmt | ast.keyword | None = None
    for node in ast.walk(tree):
        if name == "return" and isinstance(node, ast.Return):
            found = node
        if isinstance(node, ast.Assign) and not isinstance(node.value, ast.Name):
            names = {part.id for target in node.targets for part in ast.walk(target) if isinstance(part, ast.Name)}
            if (f"{base}_new" if prime else name) in names:
                found = node
    if found is None:
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg == base and not isinstance(node.value, ast.Name):
                found = node
    return found


def _called(tree: ast.Module, function: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """The functions of `throughtime.cells` that a function calls by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            called = function.__globals__.get(node.func.id)
            if inspect.isfunction(called) and called.__module__.startswith("throughtime.cells"):
                yield called
