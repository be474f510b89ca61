"""What product code may not do: run data as code, keep state outside its objects, or leave work for later."""

import ast
import re
from collections.abc import Set

import pytest

from tests.structure.tree import ROOT, modules, product_code, room, show, texts
from throughtime import errors

LONGEST = 500
UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
UNSAFE_CALLS = {"eval", "exec", "torch.load", "torch.save", "os.putenv", "os.unsetenv", "os.system"}
ENVIRONMENT_WRITES = {"setdefault", "update", "pop", "popitem", "clear"}
LEFT_OVER = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
# Where somebody's own machine shows: an absolute path into a home or a workspace.
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:root|home|work|Users)/\w")
# Raised by Python's own protocols (a missing attribute, the end of a program), or for invariants of our own.
OTHER_EXCEPTIONS = {
    "AssertionError",
    "AttributeError",
    "KeyboardInterrupt",
    "StopIteration",
    "SystemExit",
    "typer.Exit",
}


def dotted(node: ast.AST) -> str:
    """`a.b.c` for a chain of names, "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (base := dotted(node.value)):
        return f"{base}.{node.attr}"
    return ""


def unsafe(tree: ast.Module) -> list[str]:
    """Every place that could run data as code, or that changes the process around it."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [f"{node.lineno}: imports {a.name}" for a in node.names if a.name.split(".")[0] in UNSAFE_MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in UNSAFE_MODULES:
            found.append(f"{node.lineno}: imports {node.module}")
        elif isinstance(node, ast.Call):
            name = dotted(node.func)
            if name in UNSAFE_CALLS or any(keyword.arg == "allow_pickle" for keyword in node.keywords):
                found.append(f"{node.lineno}: calls {name}")
            base, _, method = name.rpartition(".")
            if base in ("os.environ", "environ") and method in ENVIRONMENT_WRITES:
                found.append(f"{node.lineno}: changes the environment")
        elif isinstance(node, ast.Assign | ast.AugAssign | ast.Delete):
            targets = [node.target] if isinstance(node, ast.AugAssign) else node.targets
            if any(isinstance(t, ast.Subscript) and dotted(t.value) in ("os.environ", "environ") for t in targets):
                found.append(f"{node.lineno}: changes the environment")
        elif isinstance(node, ast.Global):
            found.append(f"{node.lineno}: global {', '.join(node.names)}")
    return found


def caught(tree: ast.Module) -> set[str]:
    """The exceptions that a module's handlers name."""
    return {
        dotted(kind)
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and node.type is not None
        for kind in (node.type.elts if isinstance(node.type, ast.Tuple) else [node.type])
    }


def foreign_exceptions(tree: ast.Module, inside: Set[str] = frozenset()) -> list[str]:
    """Every exception raised by name that is neither one of throughtime's own nor one of those caught `inside`."""
    raised = [
        (node.lineno, dotted(node.exc.func if isinstance(node.exc, ast.Call) else node.exc))
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise) and node.exc is not None
    ]
    allowed = {*errors.__all__, *OTHER_EXCEPTIONS, *caught(tree), *inside}
    return [
        f"{line}: raises {name}"
        for line, name in raised
        # A name in lower case holds an exception that was caught or made elsewhere.
        if name.removeprefix("errors.") not in allowed and name.rpartition(".")[2][:1].isupper()
    ]


def unseeded(tree: ast.Module) -> list[str]:
    """Every draw from NumPy's or Python's global generator."""
    names = ((node.lineno, dotted(node.func)) for node in ast.walk(tree) if isinstance(node, ast.Call))
    return [
        f"{line}: {name}"
        for line, name in names
        if re.fullmatch(r"(np|numpy)\.random\.(?!default_rng|Generator|PCG64|SeedSequence)\w+|random\.[a-z]\w*", name)
    ]


@pytest.mark.parametrize("rule", [unsafe, unseeded], ids=lambda rule: rule.__name__)
def test_product_code_keeps_the_rule(rule) -> None:
    assert [f"{name}:{fault}" for name, tree in modules().items() for fault in rule(tree)] == []


def test_exceptions_are_ours_or_stay_inside_their_room() -> None:
    inside: dict[str, set[str]] = {}
    for name, tree in modules().items():
        inside.setdefault(room(name), set()).update(caught(tree))
    found = [
        f"{name}:{fault}" for name, tree in modules().items() for fault in foreign_exceptions(tree, inside[room(name)])
    ]
    assert found == []


def test_files_are_short() -> None:
    lengths = {show(path): len(text.splitlines()) for path, text in product_code().items()}
    assert {name: n for name, n in lengths.items() if n > LONGEST} == {}


def test_nothing_is_left_for_later() -> None:
    found = [
        f"{show(path)}: {hit.group()}" for path, text in product_code().items() for hit in LEFT_OVER.finditer(text)
    ]
    assert found == []


def test_no_file_names_somebodys_machine() -> None:
    found = [f"{show(path)}: {hit.group()}" for path, text in texts().items() for hit in MACHINE_PATH.finditer(text)]
    assert found == []


def test_csrc_includes_neither_python_nor_torch_outside_the_bindings() -> None:
    header = re.compile(r'^\s*#\s*include\s*[<"](Python\.h|torch/|ATen/|c10/|nanobind/|pybind11/)', re.MULTILINE)
    assert header.search("#include <torch/extension.h>")
    found = [
        show(path)
        for path, text in product_code().items()
        if path.is_relative_to(ROOT / "csrc") and "bindings" not in path.parts and header.search(text)
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import joblib.memory",
        "eval('1')",
        "exec('x = 1')",
        "torch.load(path)",
        "torch.save(model, path)",
        "np.load(path, allow_pickle=True)",
        "os.environ['A'] = '1'",
        "del os.environ['A']",
        "os.environ.setdefault('A', '1')",
        "os.putenv('A', '1')",
        "def f():\n    global state\n    state = 1",
    ],
)
def test_an_unsafe_line_is_found(source: str) -> None:
    assert len(unsafe(ast.parse(source))) == 1


@pytest.mark.parametrize("source", ["model.eval()", "os.environ.get('A')", "load(path)", "re.compile('x')"])
def test_a_safe_line_is_not(source: str) -> None:
    assert unsafe(ast.parse(source)) == []


@pytest.mark.parametrize("source", ["raise ValueError('no')", "raise RuntimeError", "raise typer.BadParameter('no')"])
def test_a_foreign_exception_is_found(source: str) -> None:
    assert len(foreign_exceptions(ast.parse(source))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "raise ArgumentError('no')",
        "raise errors.DataError('no')",
        "raise",
        "raise error from None",
        "try:\n    raise ValueError('inside')\nexcept (KeyError, ValueError):\n    pass",
    ],
)
def test_an_exception_of_ours_is_not(source: str) -> None:
    assert foreign_exceptions(ast.parse(source)) == []


@pytest.mark.parametrize("source", ["np.random.rand(3)", "np.random.seed(0)", "random.shuffle(items)"])
def test_a_global_draw_is_found(source: str) -> None:
    assert len(unseeded(ast.parse(source))) == 1


def test_a_seeded_draw_is_not() -> None:
    assert unseeded(ast.parse("rng = np.random.default_rng(seed)\nrng.random(3)\nmodule.random.normal(3)")) == []


@pytest.mark.parametrize("text", ["see /" + "root/x", "path = '/" + "home/me/data'", "(/" + "work/main)"])
def test_a_machine_path_is_found(text: str) -> None:
    assert MACHINE_PATH.search(text)


@pytest.mark.parametrize("text", ["net/root/x", "https://example.org/home", "his/her/work/hours", "../work/x"])
def test_another_path_is_not(text: str) -> None:
    assert not MACHINE_PATH.search(text)
