"""The project's papers agree with each other: one version, one licence, a typed package, whole decision records."""

import re
import tomllib
from typing import Any

import pytest

import throughtime
from tests.structure.tree import PACKAGE, ROOT

ADR_SECTIONS = ("Context", "Requirements", "Non-goals", "Decision", "Alternatives", "Consequences")
FRAGMENT_KINDS = ("added", "changed", "deprecated", "removed", "fixed", "security")


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def cff_field(text: str, name: str) -> str | None:
    hit = re.search(rf'^{name}: *"?([^"\n]+?)"? *$', text, re.MULTILINE)
    return hit.group(1) if hit else None


def adr_faults(text: str) -> list[str]:
    """What an architecture decision record lacks: a section, its order, or the example that opens the decision."""
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    found = [] if headings == list(ADR_SECTIONS) else [f"expected the sections {ADR_SECTIONS}, got {headings}"]
    bodies = dict(zip(headings, re.split(r"^## .+$", text, flags=re.MULTILINE)[1:], strict=True))
    found += [f"{heading} is empty" for heading, body in bodies.items() if not body.strip()]
    if not bodies.get("Decision", "").strip().startswith("```"):
        found.append("the decision does not begin with an example")
    # Two pages of prose.
    if len(text.split()) > 1100:
        found.append(f"{len(text.split())} words, more than 1100")
    return found


def test_one_version() -> None:
    version = project()["project"]["version"]
    assert throughtime.__version__ == version
    assert cff_field((ROOT / "CITATION.cff").read_text(), "version") == version
    assert re.search(rf"^## (Unreleased|{re.escape(version)})", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_one_licence() -> None:
    licence = project()["project"]["license"]
    assert licence == cff_field((ROOT / "CITATION.cff").read_text(), "license") == "Apache-2.0"
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_package_is_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()


def test_every_dependency_has_a_pin() -> None:
    pins = dict(re.findall(r"^([\w-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    settings = project()
    lines = [
        *settings["build-system"]["requires"],
        *settings["project"]["dependencies"],
        *(line for extra in settings["project"]["optional-dependencies"].values() for line in extra),
        *settings["dependency-groups"]["dev"],
    ]
    names = {re.split(r"[\[<>=!~; ]", line, maxsplit=1)[0].lower() for line in lines} - {"throughtime"}
    assert names - set(pins) == set()


@pytest.mark.parametrize("path", sorted((ROOT / "docs/adr").glob("*.md")), ids=lambda path: path.stem)
def test_decision_record_is_whole(path) -> None:
    assert adr_faults(path.read_text()) == []


def test_decision_records_are_numbered_without_gaps() -> None:
    numbers = [int(path.name[:4]) for path in sorted((ROOT / "docs/adr").glob("*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize(
    "text",
    [
        "# Title\n\n## Context\ntext\n",
        "".join(f"## {name}\ntext\n" for name in ADR_SECTIONS),
        "".join(f"## {name}\n" + ("```\n" if name == "Decision" else "") for name in ADR_SECTIONS),
        "".join(f"## {name}\n```\n" for name in reversed(ADR_SECTIONS)),
        "".join(f"## {name}\n```\n" for name in ADR_SECTIONS) + "word " * 1200,
    ],
)
def test_a_record_with_a_fault_is_found(text: str) -> None:
    assert adr_faults(text)


def test_change_fragments_have_a_kind() -> None:
    paths = [path for path in (ROOT / "changelog.d").glob("*.md") if path.name != "README.md"]
    for path in paths:
        assert path.name.split(".")[-2] in FRAGMENT_KINDS, f"{path.name}: expected NAME.KIND.md"
        assert path.read_text().strip(), f"{path.name} is empty"
