"""A runbook reads like its page: same steps, same titles, same head."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

FLOWS = Path(__file__).parents[2] / "flows"
RUNBOOKS = sorted(FLOWS.rglob("[a-z]*.py"))


def steps(path: Path) -> list[tuple[str, str]]:
    calls = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "step"
    ]
    calls.sort(key=lambda call: call.lineno)
    return [(ast.literal_eval(call.args[0]), ast.literal_eval(call.args[1])) for call in calls]


def headings(path: Path) -> list[tuple[str, str]]:
    return re.findall(r"^### (\d+)\. (.+)$", path.read_text(), flags=re.MULTILINE)


def test_there_are_runbooks() -> None:
    assert len(RUNBOOKS) >= 7


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_the_steps_are_those_of_the_page(path: Path) -> None:
    assert steps(path) == headings(path.with_suffix(".md"))
    assert [number for number, _ in steps(path)] == [
        str(number) for number in range(1, len(steps(path)) + 1)
    ]


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_the_head_says_when_what_is_lost_what_is_needed_and_the_way_back(path: Path) -> None:
    head = ast.get_docstring(ast.parse(path.read_text())) or ""
    page = path.with_suffix(".md").read_text()
    for word in ("When", "Loses", "Requires", "Way back"):
        assert f"{word}:" in head, word
        assert f"**{word}:**" in page, word


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_a_flow_holds_no_shell_no_sql_no_try_and_no_sleep(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert not [node for node in ast.walk(tree) if isinstance(node, (ast.Try, ast.While))]
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    code = [text for text in texts if text not in {ast.get_docstring(tree, clean=False)}]
    assert not [text for text in code if re.search(r"\b(SELECT|sudo|systemctl|rm -)\b", text)]
