"""docs/reliability.md names a test for every promise, and every test that it names is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reliability.md"

_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(test_\w+))?`")


def promises(page: str) -> list[tuple[str, str]]:
    """Each promise with the tests that are named for it."""
    rows = [line.strip("|").split(" | ") for line in page.splitlines() if line.startswith("| ")]
    return [
        (" | ".join(cells[:-1]).strip(), cells[-1]) for cells in rows if "held by" not in cells[-1]
    ]


def names_in(path: Path) -> set[str]:
    """What the tests in a file are called."""
    if not path.is_file():
        return set()
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if node.name.startswith("test_")
    }


def missing(page: str) -> list[str]:
    """The tests that a page names and that are not there, and the promises that name none."""
    found = [
        f"no test: {promise}" for promise, held_by in promises(page) if not _TEST.search(held_by)
    ]
    for path, name in _TEST.findall(page):
        tests = names_in(ROOT / path)
        if not tests or (name and name not in tests):
            found.append(f"{path}::{name}")
    return found


def test_every_promise_is_held_by_tests_that_are_there() -> None:
    """A test that was renamed or removed must not leave its promise behind."""
    page = PAGE.read_text()
    assert len(promises(page)) > 50
    assert missing(page) == []


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        ("| a | `tests/test_reliability_doc.py::test_what_is_missing_is_told` |", []),
        ("| a | `tests/test_reliability_doc.py` |", []),
        ("| a | b | `tests/test_nothing.py::test_a` |", ["tests/test_nothing.py::test_a"]),
        ("| a | `tests/test_tidy.py::test_none` |", ["tests/test_tidy.py::test_none"]),
        ("| a | nothing |", ["no test: a"]),
    ],
)
def test_what_is_missing_is_told(row: str, wrong: list[str]) -> None:
    """The check itself: a row that is right, and each way to be wrong."""
    assert missing(f"| promise | held by |\n|---|---|\n{row}\n") == wrong
