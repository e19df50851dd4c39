"""Processes that refresh one catalog at once, or are killed while they do."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.bundles import BundleBuilder, message
from tests.support.codex_cli import REPO_ROOT
from viewer.catalog.catalog import Catalog

from .catalog_contents import assert_whole, contents, refreshed, rows

CALLS = 12


@pytest.fixture
def trace_dir(tmp_path: Path) -> Path:
    """Two bundles, whose calls repeat each other's items."""
    for number in (1, 2):
        builder = BundleBuilder(tmp_path / "traces" / f"trace-{number}", trace_id=f"id-{number}")
        builder.turn("t")
        history = []
        for call in range(CALLS):
            history.append(message("user", f"ask {call}"))
            builder.start(f"c{number}.{call}", "t", history)
            said = message("assistant", f"say {call}")
            builder.complete(f"c{number}.{call}", [said], response_id=f"resp{number}.{call}")
            history.append(said)
        builder.write()
    return tmp_path / "traces"


@contextmanager
def reader(trace_dir: Path, slice_lines: int = 5) -> Iterator["subprocess.Popen[str]"]:
    """A process that opened the catalog and refreshes it, a transaction at a time.

    It is killed at the end.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.catalog_reader", str(trace_dir), str(slice_lines)],
        cwd=REPO_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert next_line(process) == "opened"
        yield process
    finally:
        process.kill()
        process.communicate()


def next_line(process: "subprocess.Popen[str]") -> str:
    """What the process says next; it waits then."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go_on(process: "subprocess.Popen[str]") -> None:
    """Let a process do its next transaction."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


@pytest.mark.parametrize("transactions", [1, 4, 7])
def test_killed_between_transactions(trace_dir: Path, tmp_path: Path, transactions: int) -> None:
    """What was committed stays, what was not is read again, and nothing is there twice."""
    untouched = tmp_path / "untouched"
    shutil.copytree(trace_dir, untouched)
    with reader(trace_dir) as process:
        for _ in range(transactions):
            assert " of " in next_line(process)
            go_on(process)
        assert " of " in next_line(process)
    with Catalog.open(trace_dir) as catalog, refreshed(untouched) as expected:
        begun = len(rows(catalog))
        assert 0 < begun < 2 * CALLS
        catalog.refresh()
        assert contents(catalog) == contents(expected)
        assert_whole(catalog)


def test_killed_within_a_transaction(trace_dir: Path, tmp_path: Path) -> None:
    """A transaction that was not committed leaves nothing behind."""
    untouched = tmp_path / "untouched"
    shutil.copytree(trace_dir, untouched)
    with Catalog.open(trace_dir) as catalog:
        before = catalog.version
    begun = (
        "import os, sys; from pathlib import Path; from viewer.catalog import refreshing;"
        " from viewer.catalog.catalog import Catalog;"
        " refreshing.link_new = lambda *_: os.kill(os.getpid(), 9);"
        " Catalog.open(Path(sys.argv[1])).refresh()"
    )
    done = subprocess.run([sys.executable, "-c", begun, trace_dir], cwd=REPO_ROOT, check=False)
    assert done.returncode == -9
    with Catalog.open(trace_dir) as catalog, refreshed(untouched) as expected:
        assert (catalog.version, rows(catalog)) == (before, [])
        catalog.refresh()
        assert contents(catalog) == contents(expected)


def test_two_at_once(trace_dir: Path, tmp_path: Path) -> None:
    """The second waits for the first, and then has little left to do; neither fails."""
    untouched = tmp_path / "untouched"
    shutil.copytree(trace_dir, untouched)
    with reader(trace_dir) as first:
        told = next_line(first)
        with reader(trace_dir) as second:
            while told != "done":
                go_on(first)
                told = next_line(first)
            assert next_line(second) == "done"
            assert (first.wait(), second.wait()) == (0, 0)
    with refreshed(trace_dir) as catalog, refreshed(untouched) as expected:
        assert contents(catalog) == contents(expected)
        assert_whole(catalog)


def test_what_is_committed_can_be_read_meanwhile(trace_dir: Path) -> None:
    """Who opens the catalog while another builds it sees what is there already."""
    with reader(trace_dir) as process:
        next_line(process)
        with Catalog.open(trace_dir) as catalog:
            some = len(rows(catalog))
            assert some > 0
            go_on(process)
            next_line(process)
            assert len(rows(catalog)) > some
