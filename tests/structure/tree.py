"""What the structure tests read: the repository's own files, as a list, as text and as syntax trees."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
PACKAGE = SOURCE / "throughtime"

FOLDERS = (".ci", "benchmarks", "changelog.d", "csrc", "docs", "src", "tests", "tools")
CODE = (".py", ".cpp", ".h", ".inc")


@cache
def repository_files() -> tuple[Path, ...]:
    """Every file of the repository: those at the top, and those of its folders, but for what builds leave there."""
    tops = [path for path in ROOT.iterdir() if path.is_file()]
    below = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    return tuple(sorted(path for path in tops + below if not path.name.endswith((".pyc", ".so", ".pyd"))))


def texts(*suffixes: str) -> dict[Path, str]:
    """The text of every file that is text, by path; with `suffixes`, of those names only."""
    found = {}
    for path in repository_files():
        if suffixes and path.suffix not in suffixes:
            continue
        raw = path.read_bytes()
        if b"\0" in raw or raw[:2] == b"\x1f\x8b":
            continue
        found[path] = raw.decode("utf-8")
    return found


def product_code() -> dict[Path, str]:
    """The text of src and csrc."""
    return {path: text for path, text in texts(*CODE).items() if path.relative_to(ROOT).parts[0] in ("src", "csrc")}


def module_name(path: Path) -> str:
    """The dotted name of a module in src."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(module: str) -> str:
    """The room of a dotted name: `cells` for throughtime.cells.lstm, "" for throughtime itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


@cache
def modules() -> dict[str, ast.Module]:
    """The syntax tree of every module in src, by dotted name."""
    return {module_name(path): ast.parse(path.read_text(), str(path)) for path in sorted(PACKAGE.rglob("*.py"))}


def packages() -> list[str]:
    """The dotted name of every package in src, the topmost first."""
    return sorted(module_name(path) for path in PACKAGE.rglob("__init__.py"))


def show(path: Path) -> str:
    """A path as the messages name it."""
    return str(path.relative_to(ROOT))
