"""The learning path: its programs run and print what stands on its pages, and both languages show the same programs."""

import re
import runpy
import sys
from pathlib import Path

import pytest
import torch

from tests.structure.test_docs import blocks
from tests.structure.tree import ROOT

LEARN = ROOT / "docs" / "learn"
SHARED = {"was_or_were"}
PROGRAMS = sorted(path.stem for path in (LEARN / "code").glob("*.py") if path.stem not in SHARED)
SLOW = {"bidirectional", "deep", "forecasting"}
INCLUDE = re.compile(r"^--8<--\n(\S+)\n--8<--$", re.MULTILINE)
NUMBER = re.compile(r"[-+]?(\d[\d,.]*(e[-+]?\d+)?|nan|inf)\b")


def pages(language: str) -> dict[str, str]:
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted((LEARN / language).glob("*.md"))}


def shape(text: str) -> list[str]:
    """The words of a text without its numbers and without what pads them."""
    return [" ".join(NUMBER.sub("#", line).split()) for line in text.splitlines()]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in PROGRAMS]
)
def test_a_program_runs_and_prints_what_its_pages_show(name: str, tmp_path: Path, monkeypatch, capsys) -> None:
    """Its own assertions hold what the pages claim; figures may differ in their last digits from machine to machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(LEARN / "code"))
    monkeypatch.setattr(sys, "argv", [f"{name}.py"])
    state = torch.get_rng_state()
    try:
        runpy.run_path(str(LEARN / "code" / f"{name}.py"), run_name="__main__")
    finally:
        torch.set_rng_state(state)
    printed = capsys.readouterr().out
    shown = (LEARN / "output" / f"{name}.txt").read_text(encoding="utf-8")
    assert shape(printed) == shape(shown)
    for picture in tmp_path.glob("*.png"):
        assert (LEARN / "images" / picture.name).is_file()


def test_every_program_has_a_page_in_each_language() -> None:
    for language in ("en", "zh"):
        assert {*pages(language)} == {*PROGRAMS, "index"}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_page_includes_its_program_and_output_and_copies_neither(language: str) -> None:
    for name, text in pages(language).items():
        included = INCLUDE.findall(text)
        assert all((LEARN.parent / path).is_file() for path in included)
        assert "import torch" not in text
        if name != "index":
            assert f"learn/code/{name}.py" in included
            assert f"learn/output/{name}.txt" in included


def test_both_languages_include_the_same_files_and_show_the_same_pictures() -> None:
    english, chinese = pages("en"), pages("zh")
    for name, text in english.items():
        assert INCLUDE.findall(text) == INCLUDE.findall(chinese[name])
        assert re.findall(r"\.\./images/\S+\)", text) == re.findall(r"\.\./images/\S+\)", chinese[name])


def test_every_picture_is_shown_and_drawn_by_a_program() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (LEARN / "code").glob("*.py"))
    text = "".join(pages("en").values())
    for picture in (LEARN / "images").glob("*.png"):
        assert f"../images/{picture.name}" in text
        assert f'"{picture.name}"' in code or f'"{picture.stem}"' in code


@pytest.mark.parametrize(
    "term",
    ["循环神经网络", "通过时间反向传播", "门控循环单元", "长短期记忆", "窥视孔连接", "梯度修剪", "梯度消失", "梯度爆炸",
     "双向循环神经网络", "深层循环神经网络", "多步时间序列预测", "命名实体识别", "遗忘门", "更新门", "相关门"],
)  # fmt: skip
def test_the_chinese_pages_use_the_terms_of_the_field(term: str) -> None:
    assert term in "".join(pages("zh").values())


def test_what_the_index_says_to_run_is_there() -> None:
    for language in ("en", "zh"):
        text = pages(language)["index"]
        for path in re.findall(r"python (\S+\.py)", text):
            assert (ROOT / path).is_file()
        assert "throughtime explain" in text


def test_the_chinese_readme_runs(tmp_path: Path, monkeypatch) -> None:
    """Its blocks are those of the English one, which run; the words around them differ."""

    def code(name: str) -> list[list[str]]:
        found = blocks((ROOT / name).read_text(encoding="utf-8"), "python")
        return [[line.partition("#")[0].rstrip() for line in block.splitlines()] for block in found]

    assert code("README.zh-CN.md") == code("README.md")
