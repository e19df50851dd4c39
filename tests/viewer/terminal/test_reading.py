"""What every reading command does around its work: the index, its progress, and leaving quietly."""

import io
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import pytest

from tests.support.codex_cli import REPO_ROOT
from tests.support.script import GUARD_S
from viewer.catalog.catalog import Catalog
from viewer.catalog.queries import find_calls
from viewer.catalog.rows import CallFilter
from viewer.terminal import reading
from viewer.terminal.reading import DAMAGES_MAX, EXIT_INTERRUPTED, open_catalog, progress_told

from .written_traces import write_own_bundle


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_a_long_refresh_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, which is written over and gone at the end."""
    stderr = Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr(reading, "PATIENCE_S", 0.0)
    with progress_told() as tell:
        assert tell is not None
        tell(0, 0)
        assert stderr.getvalue() == ""
        tell(1_000_000, 25_000_000)
        tell(25_000_000, 25_000_000)
    assert stderr.getvalue() == (
        "\rtailrace: reading traces, 1.0 MB of 25.0 MB\x1b[K"
        "\rtailrace: reading traces, 25.0 MB of 25.0 MB\x1b[K"
        "\r\x1b[K"
    )


def test_a_short_refresh_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes no time needs no word."""
    stderr = Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    with progress_told() as tell:
        assert tell is not None
        tell(1, 2)
    assert stderr.getvalue() == ""


def test_no_terminal_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log is no place for progress."""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress_told() as tell:
        assert tell is None


def test_ctrl_c_is_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code says it, and nothing else does."""
    write_own_bundle(tmp_path)
    with pytest.raises(SystemExit) as ended, open_catalog(tmp_path):
        raise KeyboardInterrupt
    assert ended.value.code == EXIT_INTERRUPTED
    assert capsys.readouterr() == ("", "")


ALL_THAT_PRINT = (
    ("ls",),
    ("ls", "--json"),
    ("show", "last"),
    ("show", "last", "--request"),
    ("show", "last", "--support"),
    ("stats",),
    ("search", "hello"),
    ("diff", "call-hello", "call-left"),
    ("tail",),
    ("export", "last", "--format", "html", "-o", "-"),
    ("view", "--listen", "127.0.0.1:0"),
)


def ended(
    command: Sequence[str], trace_dir: Path, stdout: IO[str] | int
) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, when it has ended by itself."""
    # As most have it: what is printed waits in a buffer.
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    place = [trace_dir] if command[0] == "verify" else ["--trace-dir", trace_dir]
    return subprocess.run(
        [sys.executable, "-m", "tailrace", *command, *place],
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=buffered,
        text=True,
        cwd=REPO_ROOT,
        check=False,
        timeout=GUARD_S,
    )


@pytest.mark.usefixtures("in_one_place")
@pytest.mark.parametrize("command", [*ALL_THAT_PRINT, ("ls", "--help"), ("verify", "--json")])
def test_output_that_cannot_be_written_is_told(tmp_path: Path, command: Sequence[str]) -> None:
    """A full disk, behind `>`: a sentence and no traceback."""
    write_own_bundle(tmp_path)
    with Path("/dev/full").open("w") as full:
        done = ended(command, tmp_path, full)
    problem = "tailrace: the output cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, problem)


@pytest.mark.usefixtures("in_one_place")
@pytest.mark.parametrize("command", ALL_THAT_PRINT)
def test_reader_that_left_is_no_error(tmp_path: Path, command: Sequence[str]) -> None:
    """Behind `| head`: the command ends, and says nothing."""
    write_own_bundle(tmp_path)
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        done = ended(command, tmp_path, closed)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.usefixtures("in_one_place")
def test_closed_output_is_no_error(tmp_path: Path) -> None:
    """Behind `>&-` nobody wants to see anything."""
    write_own_bundle(tmp_path)
    shell = ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-m", "tailrace"]
    for command in ("ls", "show", "stats"):
        selector = ["last"] if command == "show" else []
        arguments = [*shell, command, *selector, "--trace-dir", tmp_path]
        done = subprocess.run(arguments, stderr=subprocess.PIPE, text=True, cwd=REPO_ROOT)
        assert (done.returncode, done.stderr) == (0, "")


def test_of_many_damaged_bundles_the_first_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that they do not push off the screen what was asked for."""
    for number in range(DAMAGES_MAX + 3):
        (tmp_path / f"trace-{number:02}" / "trace.jsonl").mkdir(parents=True)
    with open_catalog(tmp_path):
        *named, last = capsys.readouterr().err.splitlines()
    assert len(named) == DAMAGES_MAX
    assert "trace-00: its event log cannot be read: it is a directory" in named[0]
    assert last == "tailrace: and 3 more bundles that cannot be read whole"


def test_catalog_is_up_to_date(tmp_path: Path) -> None:
    """What was there when the command began is there to be asked for."""
    write_own_bundle(tmp_path)
    with open_catalog(tmp_path) as catalog:
        assert catalog.connection.execute("SELECT count(*) FROM calls").fetchone() == (4,)


def test_index_that_breaks_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is no truth: whoever deletes it loses nothing, and is told so."""
    write_own_bundle(tmp_path)
    with pytest.raises(SystemExit) as ended, open_catalog(tmp_path) as catalog:
        find_calls(_broken(catalog), CallFilter(), limit=1)
    assert ended.value.code == 1
    told = capsys.readouterr().err
    assert told.startswith(f"tailrace: the index {tmp_path / '.catalog.sqlite'} cannot be read (")
    assert told.endswith("; delete it, and it is made again\n")


def _broken(catalog: Catalog) -> Catalog:
    catalog.connection.execute("DROP TABLE calls")
    return catalog
