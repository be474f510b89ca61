"""Every source that the code names stands in REFERENCES.md, and every entry there is named somewhere."""

import re

from tests.structure.tree import ROOT, product_code, texts

KEY = re.compile(r"\[([A-Z][A-Za-z]+\d{4}[a-z]?)\]")
ENTRY = re.compile(r"^- \*\*\[([A-Za-z]+\d{4}[a-z]?)\]\*\* \S", re.MULTILINE)


def cited(text: str) -> set[str]:
    return set(KEY.findall(text))


def entries(text: str) -> list[str]:
    return ENTRY.findall(text)


def test_code_and_references_agree() -> None:
    in_code = set().union(*(cited(text) for text in product_code().values()))
    in_list = entries((ROOT / "REFERENCES.md").read_text())
    assert in_code - set(in_list) == set(), "cited and not in REFERENCES.md"
    assert set(in_list) - in_code == set(), "in REFERENCES.md and cited nowhere in src or csrc"
    assert in_list == sorted(set(in_list)), "in order, each once"


def test_docs_cite_what_is_there() -> None:
    known = set(entries((ROOT / "REFERENCES.md").read_text()))
    in_docs = set().union(*(cited(text) for path, text in texts(".md").items() if path.name != "REFERENCES.md"))
    assert in_docs - known == set()


def test_keys_are_read() -> None:
    assert cited("**Source** [Gers2000] and [Cho2014a]; not [1999] nor [Shape]") == {"Gers2000", "Cho2014a"}
    assert entries("- **[Gers2000]** A. Author\n- [Not2000] an entry\n") == ["Gers2000"]
