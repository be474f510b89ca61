"""What a package offers is what its `__all__` says: no more, no less, in one order, and each name is really there."""

import ast
import importlib
import re

import pytest

import throughtime
from tests.structure.tree import modules, packages

# "name   what it is", at the start of a line of the docstring: how a package's table of contents is written.
TABLE_LINE = re.compile(r"^ *([A-Za-z_][\w.]*(?:, [A-Za-z_][\w.]*)*) {2,}\S")


def declared(tree: ast.Module) -> list[str] | None:
    """The names in `__all__`, or None where there is none."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            assert isinstance(node, ast.Assign | ast.AnnAssign)
            return list(ast.literal_eval(node.value)) if node.value is not None else None
    return None


def defined(tree: ast.Module) -> set[str]:
    """The public names that a module makes itself: functions, classes and assignments at its top level."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return {name for name in names if not name.startswith("_")}


def order(name: str) -> tuple[int, str]:
    """CONSTANTS, Classes, functions; each group by the alphabet."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2, name)


def faults(tree: ast.Module) -> list[str]:
    """What is wrong with a package's `__all__`."""
    names = declared(tree)
    if names is None:
        return ["no __all__"]
    found = [f"{name} is public and not in __all__" for name in sorted(defined(tree) - set(names))]
    found += [f"{name} stands twice" for name in sorted({name for name in names if names.count(name) > 1})]
    if names != sorted(names, key=order):
        found.append(f"not in order: {names}")
    return found


def table(docstring: str) -> list[str]:
    """The names in a docstring's table of contents."""
    return [
        name for line in docstring.splitlines() if (hit := TABLE_LINE.match(line)) for name in hit.group(1).split(", ")
    ]


@pytest.mark.parametrize("package", packages())
def test_package_says_what_it_offers(package: str) -> None:
    assert faults(modules()[package]) == []


@pytest.mark.parametrize("package", packages())
def test_every_name_offered_is_there(package: str) -> None:
    module = importlib.import_module(package)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


@pytest.mark.parametrize("package", packages())
def test_package_describes_itself_and_its_table_names_what_exists(package: str) -> None:
    docstring = ast.get_docstring(modules()[package])
    assert docstring, f"{package} has no docstring"
    module = importlib.import_module(package)
    missing = [
        name
        for name in table(docstring)
        if not hasattr(module, name.removeprefix(f"{package}.")) and f"{package}.{name}" not in modules()
    ]
    assert missing == []


def unnamed(package: str, docstring: str, every: list[str]) -> list[str]:
    """The modules of a package that its table leaves out, where the table is one of modules: it begins with one."""
    listed = table(docstring)
    inside = [name.removeprefix(f"{package}.") for name in every if name.startswith(f"{package}.")]
    inside = [name for name in inside if "." not in name]
    return sorted(set(inside) - set(listed)) if listed and listed[0] in inside else []


@pytest.mark.parametrize("package", packages())
def test_a_table_of_modules_names_them_all(package: str) -> None:
    assert unnamed(package, ast.get_docstring(modules()[package]) or "", list(modules())) == []


def test_a_module_that_a_table_leaves_out_is_found() -> None:
    every = ["p.a", "p.b", "p.b.c", "q.d"]
    assert unnamed("p", "Title.\n\na  one", every) == ["b"]
    assert unnamed("p", "Title.\n\na, b  both", every) == []
    assert unnamed("p", "Title.\n\nThing  a class", every) == []


def test_lazy_names_are_the_public_names() -> None:
    lazy = {*throughtime._ROOMS, *throughtime._OBJECTS, "__version__"}
    assert set(throughtime.__all__) == lazy
    assert dir(throughtime) == sorted(throughtime.__all__)
    for name in throughtime._ROOMS:
        assert getattr(throughtime, name) is importlib.import_module(f"throughtime.{name}")


def test_type_checkers_see_the_lazy_names() -> None:
    tree = modules()["throughtime"]
    guarded = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.name for node in ast.walk(guarded[0]) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == set(throughtime.__all__) - {"__version__"}


def test_an_unknown_name_says_so() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Forcaster'"):
        _ = throughtime.Forcaster


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("x = 1", "no __all__"),
        ("__all__ = []\ndef found(): ...", "found is public and not in __all__"),
        ("__all__ = ['b', 'a']", "not in order: ['b', 'a']"),
        ("__all__ = ['build', 'Cell']", "not in order: ['build', 'Cell']"),
        ("__all__ = ['a', 'a']", "a stands twice"),
    ],
)
def test_a_wrong_list_is_found(source: str, fault: str) -> None:
    assert fault in faults(ast.parse(source))


def test_the_table_is_read() -> None:
    docstring = (
        "Title.\n\n    loop      train: the loop\n    RNN, GRU  layers\n\nMore text. Two  spaces in it do not count."
    )
    assert table(docstring) == ["loop", "RNN", "GRU"]
