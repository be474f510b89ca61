"""What `mkdocs build` needs beyond docs/: linked files from outside of it, the API reference, every error message.

A link to a file of the repository leads to a page that shows the file. The reference has a page for each package, with
what its `__all__` lists. Docstrings keep the lines of their equations, and doctests become blocks of code.
"""

import ast
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from markdown import Extension, Markdown
from markdown.preprocessors import Preprocessor
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
MANUAL = ("layers", "long_sequences", "reinforcement", "topologies", "training", "gradients", "compare", "equations")
REFERENCE = ("cells", "nn", "models", "training", "data", "datasets", "tasks", "report", "errors")
LINK = re.compile(r"(?<!`)(!?\[[^\]\n]*\]\()([^)\s#]+)(#[^)\s]*)?(\))")
SHOWN = {".py": "python", ".json": "json", ".txt": "text", ".toml": "toml", ".cpp": "cpp", ".h": "cpp", ".yml": "yaml"}
PICTURES = (".png", ".svg", ".jpg")
PLACES = ("The messages that throughtime's own errors carry, with the module that raises each. What stands "
          "for a value is shown as …; search for a few of the words around it.")  # fmt: skip


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add what docstrings need to every Markdown converter, and to the navigation what need not be listed by hand."""
    config.markdown_extensions.append(Docstrings())  # type: ignore[arg-type]
    pages = [path.stem for path in sorted((ROOT / "docs").glob("*.md")) if path.stem != "quickstart"]
    tasks = [name for name in pages if name not in MANUAL]
    config.nav += [  # type: ignore[operator]
        {"Tasks": [f"{name}.md" for name in tasks]},
        {"Parts": [f"{name}.md" for name in MANUAL]},
        {"Reference": [f"reference/{name}.md" for name in REFERENCE]},
        {"Error messages": "errors.md"},
        {"Decisions": [f"adr/{path.name}" for path in sorted((ROOT / "docs" / "adr").glob("*.md"))]},
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    made: dict[str, str | Path] = {"index.md": ROOT / "README.md", "errors.md": _errors()}
    for package in REFERENCE:
        made[f"reference/{package}.md"] = _reference(package)
    # What is linked from a page may link further.
    queue = [(file.src_uri, f"docs/{file.src_uri}") for file in files.documentation_pages()] + [
        ("index.md", "README.md")
    ]
    while queue:
        _, source = queue.pop()
        text = (ROOT / source).read_text(encoding="utf-8")
        for _, path, _, _ in LINK.findall(text):
            target = _target(source, path)
            if target is None or target.startswith("docs/"):
                continue
            uri = _uri(target)
            if uri not in made and (ROOT / target).is_file():
                made[uri] = ROOT / target
                if target.endswith(".md"):
                    queue.append((uri, target))
    for uri, what in made.items():
        if isinstance(what, str):
            files.append(File.generated(config, uri, content=what))
        elif what.suffix in PICTURES:
            files.append(File.generated(config, uri, abs_src_path=str(what)))
        elif what.suffix == ".md":
            files.append(File.generated(config, uri, content=what.read_text(encoding="utf-8")))
        else:
            files.append(File.generated(config, uri, content=_listing(what)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links to files of the repository into links to their pages."""
    here = page.file.src_uri
    source = _source(here)

    def replaced(found: re.Match[str]) -> str:
        before, path, anchor, after = found.groups()
        target = _target(source, path)
        if target is None:
            return found[0]
        uri = target.removeprefix("docs/") if target.startswith("docs/") else _uri(target)
        return f"{before}{posixpath.relpath(uri, posixpath.dirname(here) or '.')}{anchor or ''}{after}"

    return LINK.sub(replaced, markdown)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Say in which language a page is."""
    return output.replace('lang="en"', 'lang="zh-Hans"', 1) if page.file.src_uri.startswith("learn/zh/") else output


def _source(uri: str) -> str:
    """The repository's file that a page shows."""
    if uri == "index.md":
        return "README.md"
    if uri.startswith("repository/"):
        path = uri.removeprefix("repository/")
        return path if (ROOT / path).is_file() else path.removesuffix(".md")
    return f"docs/{uri}"


def _target(source: str, path: str) -> str | None:
    """The repository's file that a link in `source` leads to; None for an address and for a heading."""
    if re.match(r"[a-z]+:", path) or not path:
        return None
    target = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    return "docs/index.md" if target == "README.md" else target


def _uri(target: str) -> str:
    """The page that shows a file from outside docs/."""
    suffix = posixpath.splitext(target)[1]
    return f"repository/{target}" if suffix in (".md", *PICTURES) else f"repository/{target}.md"


def _listing(path: Path) -> str:
    language = SHOWN.get(path.suffix, "text")
    body = path.read_text(encoding="utf-8")
    fence = "`" * 8
    # The search is for pages; it would find each word of a message in a hundred lines of source.
    return (
        "---\nsearch: {exclude: true}\n---\n"
        + f'# {path.relative_to(ROOT).as_posix()}\n\n{fence}{language} linenums="1"\n{body}\n{fence}\n'
    )


def _reference(package: str) -> str:
    """A page with an entry for each name in `__all__`."""
    folder = ROOT / "src" / "throughtime"
    path = folder / f"{package}.py" if (folder / f"{package}.py").exists() else folder / package / "__init__.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    title = (ast.get_docstring(tree) or "").partition("\n")[0]
    entries = "\n".join(f"::: throughtime.{package}.{name}\n" for name in names)
    return f"# throughtime.{package}\n\n{title}\n\n{entries}"


def _errors() -> str:
    """Every message that can be read from the source, by module."""
    from_errors = ast.parse((ROOT / "src/throughtime/errors.py").read_text(encoding="utf-8"))
    kinds = {node.name for node in from_errors.body if isinstance(node, ast.ClassDef)}
    lines = ["# Error messages", "", PLACES, ""]
    for path in sorted((ROOT / "src" / "throughtime").rglob("*.py")):
        found = sorted({*_messages(ast.parse(path.read_text(encoding="utf-8")), kinds)})
        if found:
            lines += [f"## {path.relative_to(ROOT / 'src').as_posix()}", ""]
            lines += [f"- line {line}, `{kind}`: `` {text} ``" for line, kind, text in found]
            lines.append("")
    return "\n".join(lines)


def _messages(tree: ast.Module, kinds: set[str]) -> Iterator[tuple[int, str, str]]:
    for node in ast.walk(tree):
        call = node.exc if isinstance(node, ast.Raise) else None
        if isinstance(call, ast.Call) and call.args:
            kind = ast.unparse(call.func).removeprefix("errors.")
            text = _text(call.args[0])
            if kind in kinds and text.replace("…", "").strip(": "):
                yield node.lineno, kind, " ".join(text.replace("`", "'").split())


def _text(node: ast.expr) -> str:
    """A literal, or an f-string with its values as …."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(node.left) + _text(node.right)
    return "…"


class Docstrings(Extension):
    """Numbered equations keep their lines, doctests become code."""

    def extendMarkdown(self, md: Markdown) -> None:
        """Before everything else."""
        md.preprocessors.register(_Lines(md), "throughtime-docstrings", 200)


class _Lines(Preprocessor):
    def run(self, lines: list[str]) -> list[str]:
        out: list[str] = []
        fenced = in_test = False
        for line in lines:
            fenced ^= line.lstrip().startswith("```")
            starts = line.startswith(">>> ") and not fenced
            if starts and not in_test:
                out += ["", "```pycon"]
                in_test = True
            elif in_test and not line.strip():
                out += ["```"]
                in_test = False
            if not fenced and not in_test and out and out[-1].strip() and re.match(r"\(\d+\) ", line):
                out[-1] = out[-1].rstrip() + "  "
            out.append(line)
        return [*out, "```"] if in_test else out
