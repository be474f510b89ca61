"""Every message of an error says who speaks, what was expected, what came, and what to do.

What cannot be read from the source (a message that is a variable, or begins with one) counts as right: the tests of the
modules match those against the values in them.
"""

import ast
import re

import pytest

from tests.structure.tree import modules
from throughtime import errors

FORM = re.compile(r"^(?:[^:]|:(?! ))+: .*\bexpected\b.+(?:,|:) (?:but )?got\b.*; \S", re.DOTALL)
VALUE = "\0"  # stands for whatever is filled in

# By module, the beginning of the message: why it may be otherwise.
ALLOWED = {
    "throughtime._extras": ("throughtime: expected the package", "what came is that it is not installed"),
    "throughtime.tasks.tuning": ("no error: its forecasts", "the reason why a trial failed; it is never raised on"),
}


def text_of(node: ast.expr) -> str | None:
    """A literal, or an f-string with its values as VALUE; None where the text is not there to read."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(p.value if isinstance(p, ast.Constant) else VALUE for p in node.values)  # type: ignore[misc]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = text_of(node.left), text_of(node.right)
        return None if left is None and right is None else f"{left or VALUE}{right or VALUE}"
    return None


def messages(tree: ast.AST) -> list[tuple[int, str]]:
    """The line and the text of every message raised with one of the house's errors, as far as it can be read."""
    found = []
    for node in ast.walk(tree):
        call = node.exc if isinstance(node, ast.Raise) else None
        if (
            isinstance(call, ast.Call)
            and call.args
            and ast.unparse(call.func).removeprefix("errors.") in errors.__all__
        ):
            text = text_of(call.args[0])
            if text is not None:
                found.append((node.lineno, text))
    return found


def at_fault(text: str) -> bool:
    """Whether a message has another form; one that passes another's on, behind who speaks, has what that has."""
    return bool(text.replace(VALUE, "").strip(": ")) and FORM.match(text.replace(VALUE, "x")) is None


@pytest.mark.parametrize("module", [name for name, tree in modules().items() if messages(tree)])
def test_messages_have_the_form_of_the_house(module: str) -> None:
    wrong = {line: text.replace(VALUE, "…") for line, text in messages(modules()[module]) if at_fault(text)}
    allowed = (ALLOWED[module][0],) if module in ALLOWED else ()
    assert {line: text for line, text in wrong.items() if not text.startswith(allowed)} == {}


def test_what_is_allowed_is_there_and_at_fault() -> None:
    for module, (start, reason) in ALLOWED.items():
        assert reason
        assert any(text.startswith(start) and at_fault(text) for _, text in messages(modules()[module])), module


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("f'{who}: expected more than 0, got {n}; pass more'", False),
        ("f'LSTM.forward: expected x, got {n}; '\n'pass more'", False),
        ("f'{who}: {error}'", False),
        ("f'{who}: expected more than 0, got {n}'", True),
        ("f'{who}: more than 0, got {n}; pass more'", True),
        ("f'{who}: expected more than 0; pass more'", True),
        ("'expected more than 0, got none; pass more'", True),
    ],
)
def test_a_wrong_message_is_found(source: str, wrong: bool) -> None:
    ((_, text),) = messages(ast.parse(f"raise DataError({source})"))
    assert at_fault(text) == wrong
