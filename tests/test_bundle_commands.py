"""`tailrace verify` and `tailrace prune`, as a user meets them: what they print, and exit codes."""

import fcntl
import json
import os
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import tailrace
from tests.support.codex_cli import REPO_ROOT
from tests.support.harmed_bundle import STREAM
from tests.support.recording import bundle_id, recording
from tracing.bundle_lock import bundle_lock
from tracing.findings import Code

FIRST, SECOND = f"trace-{bundle_id(1)}", f"trace-{bundle_id(2)}"


@pytest.fixture
def traces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A trace directory with two bundles of a call each, in the directory that we are in."""
    monkeypatch.chdir(tmp_path)
    with recording(Path("traces"), bundle_bytes_max=1) as made:
        made.call(*STREAM)
        made.call(*STREAM)
        made.close()
    for number, name in enumerate((FIRST, SECOND)):
        os.utime(Path("traces") / name / "trace.jsonl", (1_700_000_000 + number,) * 2)
    return Path("traces")


def run(*arguments: str | Path, **environment: str) -> Result:
    """The command's output and exit code, with these variables of ours and no others."""
    others = {name: None for name in os.environ if name.startswith("TAILRACE_")}
    return CliRunner().invoke(
        tailrace.main, [str(a) for a in arguments], env={**others, **environment}
    )


def test_verify_of_what_is_whole(traces: Path) -> None:
    """A line for each bundle, or nothing as JSON; exit code 0."""
    done = run("verify", traces / FIRST, traces / SECOND)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"traces/{FIRST}: whole: 1 call, 9 events",
        f"traces/{SECOND}: whole: 1 call, 9 events",
    ]
    done = run("verify", "--json", traces / FIRST)
    assert (done.exit_code, done.stdout) == (0, "")


def test_verify_tells_each_finding(traces: Path) -> None:
    """With file and seq, for people and for programs; exit code 1 if one of several is damaged."""
    (traces / FIRST / "payloads/2.json").unlink()
    (traces / FIRST / "\x1b[2J").touch()
    done = run("verify", traces / FIRST, traces / SECOND)
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        f"traces/{FIRST}/payloads/2.json seq 5: damage: payload_missing: its file is missing",
        f"traces/{FIRST}/\\x1b[2J: note: unknown_file: tailrace does not write such a file",
        f"traces/{FIRST}: damaged: 1 call, 9 events",
        f"traces/{SECOND}: whole: 1 call, 9 events",
    ]
    done = run("verify", "--json", traces / SECOND, traces / FIRST)
    assert done.exit_code == 1
    assert next(json.loads(line) for line in done.stdout.splitlines()) == {
        "bundle": f"traces/{FIRST}",
        "severity": "damage",
        "code": "payload_missing",
        "file": "payloads/2.json",
        "seq": 5,
        "message": "its file is missing",
    }


def test_verify_of_a_live_bundle(traces: Path) -> None:
    """It says that there is more to come."""
    with bundle_lock(traces / FIRST):
        done = run("verify", traces / FIRST)
    assert (done.exit_code, done.stdout) == (
        0,
        f"traces/{FIRST}: live, whole so far: 1 call, 9 events\n",
    )


def test_verify_of_what_is_no_bundle(traces: Path) -> None:
    """No such directory, or another: told as damage; no argument at all is wrong usage."""
    for path, why in (
        ("none", "there is no manifest.json"),
        ("traces", "there is no manifest.json"),
    ):
        done = run("verify", path)
        assert done.exit_code == 1
        assert done.stdout.splitlines() == [
            f"{path}: damage: not_a_bundle: {why}",
            f"{path}: damaged: 0 calls, 0 events",
        ]
    assert run("verify").exit_code == 2


def test_prune(traces: Path) -> None:
    """A dry run says what the real one does after it; a second one finds nothing to do."""
    size = sum(
        path.lstat().st_blocks * 512 for path in (traces / FIRST, *(traces / FIRST).rglob("*"))
    )
    environment = {"TAILRACE_KEPT_BYTES_MAX": str(size)}
    human = f"{size / 1024:.3g} KiB"
    dry = run("prune", "--dry-run", **environment)
    assert (dry.exit_code, dry.stderr) == (0, "")
    assert dry.stdout.splitlines() == [
        (
            f"traces/{FIRST}: would be removed, {human}, last written 2023-11-14 22:13:20Z,"
            " over kept_bytes_max"
        ),
        f"1 bundle would be removed, {human}; 1 bundle kept, {human}",
    ]
    assert sorted(path.name for path in traces.iterdir()) == [FIRST, SECOND]
    done = run("prune", **environment)
    assert done.exit_code == 0
    assert done.stdout == dry.stdout.replace("would be removed", "removed")
    assert [path.name for path in traces.iterdir()] == [SECOND]
    again = run("prune", "--trace-dir", traces, **environment)
    assert again.stdout == f"0 bundles removed, 0 B; 1 bundle kept, {human}\n"


def test_prune_takes_what_it_removes_out_of_the_index(traces: Path) -> None:
    """The index holds texts, and nobody may come to read for long; a dry run takes nothing."""
    run("ls", "--trace-dir", traces)
    index = sqlite3.connect(traces / ".catalog.sqlite")
    bundles = "SELECT name FROM bundles ORDER BY name"
    run("prune", "--dry-run", TAILRACE_KEPT_BYTES_MAX="1")
    assert index.execute(bundles).fetchall() == [(FIRST,), (SECOND,)]
    index.close()
    run("prune", TAILRACE_KEPT_BYTES_MAX="1")
    assert [path.name for path in traces.iterdir()] == [".catalog.lock"]


def test_prune_by_age_and_without_a_directory(traces: Path) -> None:
    """The other limit, and a directory that no call has made yet."""
    done = run("prune", TAILRACE_KEPT_AGE_MAX="60")
    assert [line.rpartition(" ")[2] for line in done.stdout.splitlines()[:2]] == [
        "kept_age_max"
    ] * 2
    assert list(traces.iterdir()) == []
    done = run("prune", "--trace-dir", "none")
    assert (done.exit_code, done.stdout) == (0, "0 bundles removed, 0 B; 0 bundles kept, 0 B\n")


def test_prune_that_cannot(traces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be removed is told on stderr; exit code 1."""

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "rename", refuse)
    done = run("prune", TAILRACE_KEPT_AGE_MAX="60")
    assert (done.exit_code, done.stdout.splitlines()[0][:18]) == (1, "0 bundles removed,")
    assert done.stderr.splitlines() == [
        f"tailrace: traces/{name}: cannot be removed: Permission denied" for name in (FIRST, SECOND)
    ]
    (traces / "file").touch()
    done = run("prune", "--trace-dir", traces / "file")
    assert done.exit_code == 1
    assert done.stderr == "tailrace: traces/file: cannot be read: Not a directory\n"


def test_prune_beside_another(traces: Path) -> None:
    """Two at once: the second says so."""
    fd = os.open(traces, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    done = run("prune")
    os.close(fd)
    assert done.exit_code == 1
    assert done.stderr == "tailrace: another process applies retention to traces now\n"


def test_each_code_is_in_the_docs() -> None:
    """Whoever reads a finding can look it up."""
    text = (REPO_ROOT / "docs/bundle.md").read_text()
    assert [code for code in Code if f"`{code}`" not in text] == []
