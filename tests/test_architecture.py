"""The import law: what may use what, so that evidence, interpretation and traffic stay apart."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

REPO_ROOT = Path(__file__).resolve().parents[1]

ENTRY = "tailrace"
PACKAGES = ("proxy", "reducer", "tracing", "viewer")

# A package may use itself and these; the entry module may use all, as its commands need them.
MAY_USE = {
    "tracing": set[str](),
    "reducer": {"tracing"},
    "proxy": {"tracing"},
    "viewer": {"reducer", "tracing"},
    ENTRY: {"proxy", "reducer", "tracing", "viewer"},
}

# Evidence is written and read without an event loop; interpretation needs no library but orjson.
MAY_NOT_USE = {"tracing": {"aiohttp", "asyncio"}}
REDUCER_LIBRARIES = {"orjson"}

# A reading command answers before an HTTP server would be loaded; the page's server is one.
PAGE_LIBRARIES = {"aiohttp", "asyncio", "jinja2"}
PAGE = "viewer.page"

# What modules are imported in: a process that has this many libraries loaded and none of ours.
# A fork for each module costs a millisecond, an interpreter for each a third of a second.
IMPORT_EACH_ALONE = """
import importlib, os, sys, traceback
import aiohttp.web, orjson, pydantic_settings, rich.console, structlog
for name in sys.argv[1:]:
    child = os.fork()
    if child == 0:
        try:
            importlib.import_module(name)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
        print(name)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One import statement's target, a dotted name from the top."""

    module: str
    target: str
    line: int
    in_function: bool
    only_for_types: bool

    @property
    def top(self) -> str:
        """The package or library that it names."""
        return self.target.partition(".")[0]

    def __str__(self) -> str:
        """Where it stands, for the message of a failed test."""
        return f"{self.module}:{self.line} imports {self.target}"


def module_files() -> dict[str, Path]:
    """Every module of the project by its dotted name."""
    files = [REPO_ROOT / f"{ENTRY}.py"]
    for package in PACKAGES:
        files += sorted((REPO_ROOT / package).rglob("*.py"))
    return {_dotted_name(path): path for path in files}


def _dotted_name(path: Path) -> str:
    parts = path.relative_to(REPO_ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(module: str, source: str, *, is_package: bool = False) -> list[Import]:
    """Every import of a module, wherever in it."""
    home = module if is_package else module.rpartition(".")[0]
    return list(_imports(ast.parse(source), module, home, in_function=False, for_types=False))


def _imports(
    node: ast.AST, module: str, home: str, *, in_function: bool, for_types: bool
) -> Iterator[Import]:
    in_function |= isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for_types |= isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    for target in _targets(node, home):
        yield Import(
            module=module,
            target=target,
            line=getattr(node, "lineno", 0),
            in_function=in_function,
            only_for_types=for_types,
        )
    for child in ast.iter_child_nodes(node):
        yield from _imports(child, module, home, in_function=in_function, for_types=for_types)


def _targets(node: ast.AST, home: str) -> list[str]:
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom(level=0):
            return [str(node.module)]
        case ast.ImportFrom():
            above = home.split(".")[: len(home.split(".")) - node.level + 1]
            return [".".join([*above, *([node.module] if node.module else [])])]
        case _:
            return []


def all_imports() -> list[Import]:
    """Every import of every module of the project."""
    return [
        found
        for module, path in module_files().items()
        for found in imports_of(module, path.read_text(), is_package=path.name == "__init__.py")
    ]


def breaks_the_law(found: Import) -> bool:
    """Whether this import is one that its package may not have."""
    package = found.module.partition(".")[0]
    is_of_page = f"{found.module}.".startswith(f"{PAGE}.")
    if found.top == package:
        loads_page = f"{found.target}.".startswith(f"{PAGE}.")
        return loads_page and not is_of_page and not found.in_function
    if found.top in MAY_USE:
        return found.top not in MAY_USE[package]
    if package == "reducer":
        return found.top not in sys.stdlib_module_names | REDUCER_LIBRARIES
    if package == "viewer" and not is_of_page:
        return found.top in PAGE_LIBRARIES
    return found.top in MAY_NOT_USE.get(package, set())


def test_packages_use_only_what_they_may() -> None:
    """No package reaches across: traffic and reading meet only in evidence."""
    assert [str(found) for found in all_imports() if breaks_the_law(found)] == []


def test_entry_module_loads_packages_only_when_a_command_needs_them() -> None:
    """`tailrace ls` loads no HTTP server: the entry module imports our packages in functions."""
    eager = [
        str(found)
        for found in all_imports()
        if found.module == ENTRY
        and found.top in PACKAGES
        and not (found.in_function or found.only_for_types)
    ]
    assert eager == []


def test_own_package_is_imported_relatively() -> None:
    """Inside a package imports are relative, so a reader sees at once what leaves it."""
    sources = {module: path.read_text() for module, path in module_files().items()}
    absolute = [
        f"{module}:{node.lineno}"
        for module, source in sources.items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.level == 0
        if str(node.module).partition(".")[0] == module.partition(".")[0]
    ]
    assert absolute == []


def test_every_module_can_be_imported_alone() -> None:
    """No module depends on another having been imported before it; none warns."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORT_EACH_ALONE, *module_files()],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=REPO_ROOT,
        check=True,
    )
    assert done.stdout.split() == [], done.stderr


@pytest.mark.parametrize(
    ("module", "source", "unlawful"),
    [
        ("tracing.sse", "import asyncio", True),
        ("tracing.sse", "def f():\n    from aiohttp import web", True),
        ("tracing.sse", "from proxy import serve", True),
        ("tracing.sse", "from .events import Event", False),
        ("reducer.state", "from tracing import events\nimport orjson, json", False),
        ("reducer.state", "import structlog", True),
        ("reducer.state", "from ..proxy import serve", True),
        ("proxy.serve", "import viewer.summary", True),
        ("proxy.serve", "import reducer", True),
        ("viewer.page", "from reducer import reduce_bundle", False),
        ("viewer.page", "from proxy.settings import Settings", True),
        ("viewer.page.app", "import jinja2\nfrom aiohttp import web", False),
        ("viewer.pages", "import jinja2", True),
        ("viewer.terminal.ls", "def f():\n    import asyncio", True),
        ("viewer.terminal.view", "from ..page.server import serve_page", True),
        ("viewer.terminal.view", "def f():\n    from ..page.server import serve_page", False),
        ("tailrace", "import viewer", False),
    ],
)
def test_law_is_read_rightly(module: str, source: str, unlawful: bool) -> None:
    """The check itself: an import of each kind, allowed or not."""
    assert any(breaks_the_law(found) for found in imports_of(module, source)) is unlawful
