"""The lists that the other structure tests walk are not empty, and hold what they should."""

from tests.structure.tree import PACKAGE, ROOT, modules, packages, product_code, repository_files, show, texts


def test_the_walk_finds_the_house() -> None:
    shown = {show(path) for path in repository_files()}
    assert {"pyproject.toml", "src/throughtime/cells/lstm.py", "tests/structure/tree.py", ".ci/run"} <= shown
    assert not any(part in (".venv", "build", ".git") for name in shown for part in name.split("/"))


def test_modules_and_packages_have_dotted_names() -> None:
    assert {"throughtime", "throughtime.cells", "throughtime.cells.lstm"} <= set(modules())
    assert "throughtime.cells" in packages()
    assert "throughtime.cells.lstm" not in packages()


def test_product_code_is_src_and_csrc() -> None:
    assert PACKAGE / "errors.py" in product_code()
    assert ROOT / "tests/structure/tree.py" not in product_code()


def test_binary_files_are_not_text() -> None:
    assert all(path.suffix not in (".png", ".safetensors", ".gz") for path in texts())
