"""What every reading command does around its work: the index, its progress, and leaving quietly."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.codex_cli import REPO_ROOT
from viewer.catalog.catalog import Catalog
from viewer.catalog.queries import find_calls
from viewer.catalog.rows import CallFilter
from viewer.terminal import reading
from viewer.terminal.reading import EXIT_INTERRUPTED, open_catalog, progress_told

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


@pytest.mark.usefixtures("in_one_place")
@pytest.mark.parametrize("command", [["ls"], ["ls", "--json"], ["show", "last"], ["stats"]])
def test_output_that_cannot_be_written_is_told(tmp_path: Path, command: list[str]) -> None:
    """A full disk, behind `>`: a sentence and no traceback."""
    write_own_bundle(tmp_path)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tailrace", *command, "--trace-dir", tmp_path],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=REPO_ROOT,
            check=False,
        )
    problem = "tailrace: the output cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, problem)


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
