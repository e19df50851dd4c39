"""Keeps the code such that a reader can hold it in mind: sizes, names, docstrings, leftovers."""

import ast
from pathlib import Path

REPO_ROOT = Path(__file__).resolve().parents[1]

MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70

# Names that say nothing about what is inside, so that anything ends up there.
EMPTY_NAMES = {"common", "helpers", "misc", "util", "utils"}

# Written with a gap, so that this file has none of them.
GAPPED = (
    "TO~DO",
    "FIX~ME",
    "XX~X:",
    "HA~CK:",
    "break~point(",
    "pdb.set_~trace",
    "<<<<~<<<",
    ">>>>~>>>",
)
LEFTOVERS = tuple(text.replace("~", "") for text in GAPPED)

TEXT_SUFFIXES = {".py", ".md", ".toml", ".yaml", ".yml", ".cfg", ".html", ".js", ".css", ".sh"}
TEXT_NAMES = {"Dockerfile", "Makefile", "run"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def _is_ours(path: Path) -> bool:
    parts = path.relative_to(REPO_ROOT).parts
    hidden = any(part.startswith(".") for part in parts if part != ".ci")
    built = parts[:2] == (".ci", "cache") or parts[0] in {"build", "dist", "node_modules", "traces"}
    return not hidden and not built


def _text_files() -> list[Path]:
    return [
        path
        for top in REPO_ROOT.iterdir()
        if _is_ours(top)
        for path in ([top] if top.is_file() else sorted(top.rglob("*")))
        if _is_ours(path) and (path.suffix in TEXT_SUFFIXES or path.name in TEXT_NAMES)
    ]


def _modules() -> dict[str, ast.Module]:
    """Every Python file of the project, parsed, by its path from the top."""
    return {
        str(path.relative_to(REPO_ROOT)): ast.parse(path.read_text())
        for path in _text_files()
        if path.suffix == ".py"
    }


def _functions(module: ast.Module) -> list[Function]:
    return [node for node in ast.walk(module) if isinstance(node, Function)]


def _lines(node: Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_modules_are_short() -> None:
    """A module is read in one sitting."""
    lengths = {path: len((REPO_ROOT / path).read_text().splitlines()) for path in _modules()}
    assert {path: lines for path, lines in lengths.items() if lines > MODULE_LINES_MAX} == {}


def test_functions_are_short() -> None:
    """A function fits a screen."""
    long = [
        f"{path}:{node.lineno} {node.name}: {_lines(node)} lines"
        for path, module in _modules().items()
        for node in _functions(module)
        if _lines(node) > FUNCTION_LINES_MAX
    ]
    assert long == []


def test_modules_are_named_for_what_they_do() -> None:
    """No module and no package is a drawer for the rest."""
    parts = {part for path in _modules() for part in Path(path).with_suffix("").parts}
    assert parts & EMPTY_NAMES == set()


def test_modules_say_what_they_are_for() -> None:
    """Every module that holds anything begins with a docstring."""
    silent = [
        path for path, module in _modules().items() if module.body and not ast.get_docstring(module)
    ]
    assert silent == []


def test_tests_say_what_they_hold() -> None:
    """Every test has a docstring: the behaviour that is lost when it fails."""
    silent = [
        f"{path}:{node.lineno} {node.name}"
        for path, module in _modules().items()
        if Path(path).name.startswith("test_")
        for node in _functions(module)
        if node.name.startswith("test_") and not ast.get_docstring(node)
    ]
    assert silent == []


def test_tests_do_not_sleep() -> None:
    """A test waits for what it needs, never for time to pass."""
    sleeping = [
        f"{path}:{getattr(node, 'lineno', 0)}"
        for path, module in _modules().items()
        if path.startswith("tests/")
        for node in ast.walk(module)
        if _is_time_sleep(node)
    ]
    assert sleeping == []


def _is_time_sleep(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(value=ast.Name(id="time"), attr="sleep"):
            return True
        case ast.ImportFrom(module="time", names=names):
            return any(alias.name == "sleep" for alias in names)
        case _:
            return False


def test_nothing_is_left_over() -> None:
    """No marker of unfinished work, no debugger, no merge conflict."""
    left = [
        f"{path.relative_to(REPO_ROOT)}: {leftover}"
        for path in _text_files()
        for leftover in LEFTOVERS
        if leftover in path.read_text()
    ]
    assert left == []
