"""What goes from a trace directory, and what stays whatever the limits."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from tests.support import events as wire
from tests.support.dying_disk import dying_disk
from tests.support.recording import BODY, SSE_HEAD, bundle_id, recording
from tracing.call import Waits
from tracing.retention import Limits, Outcome, Retention, RetentionBusy
from tracing.terminal import TransportEnd
from tracing.verify import verify

STREAM = wire.sse_pieces(*wire.text_stream("Hel", "lo"))
DAY = 86_400
NOW = 1_800_000_000.0
NOTHING_KEPT = Limits(bytes_max=1, age_max=0)


@pytest.fixture
def trace_dir(tmp_path: Path) -> Path:
    """A directory of five bundles, last written one to five days ago: 5 is the oldest."""
    trace_dir = tmp_path / "traces"
    with recording(trace_dir, bundle_bytes_max=1) as made:
        for _ in range(5):
            made.call(*STREAM)
        made.close()
    for days in range(1, 6):
        os.utime(trace_dir / name_of(days) / "trace.jsonl", (NOW - days * DAY, NOW - days * DAY))
    return trace_dir


def name_of(number: int) -> str:
    """The name of the bundle of this number."""
    return f"trace-{bundle_id(number)}"


def number_of(bundle: Path) -> int:
    """The number in a bundle's name."""
    return UUID(bundle.name.removeprefix("trace-")).int & 0xFF


def left(trace_dir: Path) -> list[int]:
    """The numbers of the bundles that are there."""
    return sorted(number_of(path) for path in trace_dir.iterdir())


def removed(outcome: Outcome) -> list[int]:
    """The numbers of those that were removed, in that order."""
    return [number_of(removal.bundle) for removal in outcome.removed]


def disk_usage(*paths: Path) -> int:
    """What these directories take, as `du` counts it."""
    files = [file for path in paths for file in (path, *path.rglob("*"))]
    return sum(file.lstat().st_blocks * 512 for file in files)


def apply(trace_dir: Path, limits: Limits, *, dry_run: bool = False) -> Outcome:
    """One pass."""
    return Retention(trace_dir, limits).apply(NOW, dry_run=dry_run)


def test_no_limits(trace_dir: Path) -> None:
    """Zero stands for no limit: everything is kept, and counted."""
    outcome = apply(trace_dir, Limits(bytes_max=0, age_max=0))
    assert (outcome.removed, outcome.kept) == ([], 5)
    assert outcome.kept_bytes == disk_usage(*trace_dir.iterdir())


@pytest.mark.parametrize(("over", "gone"), [(0, []), (1, [5]), (-1, [])])
def test_by_size(trace_dir: Path, over: int, gone: list[int]) -> None:
    """The limit itself may be reached; a byte over it costs the bundle written longest ago."""
    limits = Limits(bytes_max=disk_usage(*trace_dir.iterdir()) - over, age_max=0)
    assert removed(apply(trace_dir, limits)) == gone
    assert left(trace_dir) == [n for n in range(1, 6) if n not in gone]


def test_by_size_until_it_fits(trace_dir: Path) -> None:
    """As many go as need to, oldest first; what is told of them is what they took."""
    two = disk_usage(trace_dir / name_of(1), trace_dir / name_of(2))
    sizes = [disk_usage(trace_dir / name_of(number)) for number in (5, 4, 3)]
    outcome = apply(trace_dir, Limits(bytes_max=two, age_max=0))
    assert removed(outcome) == [5, 4, 3]
    assert [removal.bytes for removal in outcome.removed] == sizes
    assert not any(removal.is_old for removal in outcome.removed)
    assert (outcome.kept, outcome.kept_bytes) == (2, two)
    assert left(trace_dir) == [1, 2]


def test_by_age(trace_dir: Path) -> None:
    """What was last written longer ago than the limit goes; to the second it stays."""
    outcome = apply(trace_dir, Limits(bytes_max=0, age_max=3 * DAY))
    assert removed(outcome) == [5, 4]
    assert all(removal.is_old for removal in outcome.removed)
    assert left(trace_dir) == [1, 2, 3]


def test_dry_run(trace_dir: Path) -> None:
    """It tells what the pass after it does, and does nothing."""
    limits = Limits(bytes_max=disk_usage(trace_dir / name_of(1)), age_max=4 * DAY)
    half = trace_dir / f".removed-{name_of(9)}"
    half.mkdir()
    told = apply(trace_dir, limits, dry_run=True)
    assert half.exists()
    half.rmdir()
    assert left(trace_dir) == [1, 2, 3, 4, 5]
    assert apply(trace_dir, limits) == told
    assert left(trace_dir) == [1]


def test_bundle_in_use_stays(trace_dir: Path) -> None:
    """Its lock tells; it counts, so that others go in its place."""
    limits = Limits(bytes_max=disk_usage(trace_dir / name_of(5)), age_max=DAY)
    with (trace_dir / name_of(5) / "manifest.json").open("rb") as manifest:
        fcntl.flock(manifest, fcntl.LOCK_EX | fcntl.LOCK_NB)
        dry = apply(trace_dir, limits, dry_run=True)
        assert apply(trace_dir, limits) == dry
        assert removed(dry) == [4, 3, 2, 1]
        assert left(trace_dir) == [5]
    assert removed(apply(trace_dir, limits)) == [5]


def test_open_call_is_never_cut(tmp_path: Path) -> None:
    """A bundle that took no more calls is in use as long as one of its own is open."""
    with recording(tmp_path, bundle_bytes_max=1) as made:
        trace = made.ask(BODY)
        trace.response_started(200, SSE_HEAD)
        made.call(*STREAM)
        made.call(*STREAM)
        made.journal.flush()
        open_bundle, ended, current = made.bundles()
        assert removed(apply(tmp_path, NOTHING_KEPT)) == [number_of(ended)]
        assert made.bundles() == [open_bundle, current]
        trace.ended(TransportEnd.EOF, None, Waits())
        made.close()
    assert all(verify(bundle).is_whole for bundle in (open_bundle, current))
    assert len(apply(tmp_path, NOTHING_KEPT).removed) == 2


def _link(path: Path) -> None:
    outside = path.parent.parent / "outside"
    shutil.move(path, outside)
    path.symlink_to(outside)


def _as_file(path: Path) -> None:
    shutil.rmtree(path)
    path.touch()


def _with_pipe(path: Path) -> None:
    (path / "manifest.json").unlink()
    os.mkfifo(path / "manifest.json")


def _with_link(path: Path) -> None:
    (path / "manifest.json").rename(path / "m")
    (path / "manifest.json").symlink_to("m")


NOT_OURS: dict[str, Callable[[Path], object]] = {
    "a link": _link,
    "a file": _as_file,
    "no manifest": lambda path: (path / "manifest.json").unlink(),
    "a manifest that is no JSON": lambda path: (path / "manifest.json").write_text("{"),
    "another's manifest": lambda path: (path / "manifest.json").write_text('{"trace_id": "1"}'),
    "a manifest of another name": lambda path: shutil.copy(
        path.parent / name_of(2) / "manifest.json", path
    ),
    "a pipe for a manifest": _with_pipe,
    "a link for a manifest": _with_link,
    "another name": lambda path: path.rename(path.with_name("trace-of-mine")),
    "a longer name": lambda path: path.rename(path.with_name(path.name + "-thread")),
}


@pytest.mark.parametrize("make", NOT_OURS.values(), ids=NOT_OURS)
def test_what_is_not_provably_ours_stays(trace_dir: Path, make: Callable[[Path], object]) -> None:
    """Whatever else lies in the directory is neither followed nor removed, nor counted."""
    make(trace_dir / name_of(1))
    before = everything_under(trace_dir.parent)
    outcome = apply(trace_dir, NOTHING_KEPT)
    assert (removed(outcome), outcome.kept, outcome.failed) == ([5, 4, 3, 2], 0, [])
    after = everything_under(trace_dir.parent)
    ours = tuple(f"traces/{name_of(number)}" for number in range(2, 6))
    assert after == [name for name in before if not name.startswith(ours)]


def everything_under(path: Path) -> list[str]:
    """Every name below a directory."""
    return sorted(str(found.relative_to(path)) for found in path.rglob("*"))


def test_links_in_a_bundle_are_not_followed(trace_dir: Path, tmp_path: Path) -> None:
    """What they lead to stays; what they are goes with the bundle."""
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "deep/file").touch()
    bundle = trace_dir / name_of(1)
    (bundle / "to-directory").symlink_to(outside)
    (bundle / "payloads/to-file").symlink_to(outside / "deep/file")
    (bundle / "payloads/to-nothing").symlink_to("nowhere")
    assert len(apply(trace_dir, NOTHING_KEPT).removed) == 5
    assert left(trace_dir) == []
    assert everything_under(outside) == ["deep", "deep/file"]


def test_crash_at_every_step(trace_dir: Path, tmp_path: Path) -> None:
    """A bundle is whole or gone, never half of one; the next pass removes what is left."""
    for number in range(1, 5):
        shutil.rmtree(trace_dir / name_of(number))
    steps = 0
    is_over = False
    while not is_over:
        steps += 1
        attempt = tmp_path / str(steps)
        shutil.copytree(trace_dir, attempt)
        with dying_disk(steps):
            apply(attempt, NOTHING_KEPT)
            is_over = True
        for bundle in attempt.glob("trace-*"):
            assert verify(bundle).is_whole
        apply(attempt, NOTHING_KEPT)
        assert list(attempt.iterdir()) == []
    assert steps > len(list((trace_dir / name_of(5)).rglob("*")))


def test_another_directory_under_the_hidden_name_stays(trace_dir: Path) -> None:
    """What looks half removed and cannot be proven ours is left."""
    foreign = trace_dir / f".removed-{name_of(9)}"
    foreign.mkdir()
    (foreign / "file").touch()
    apply(trace_dir, NOTHING_KEPT)
    assert everything_under(trace_dir) == [foreign.name, f"{foreign.name}/file"]


def test_bundle_that_cannot_be_removed(trace_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, and the others are removed all the same."""
    real = os.rename

    def rename(source: Path, target: Path) -> None:
        if source.name == name_of(4):
            raise PermissionError(13, "Permission denied")
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)
    outcome = apply(trace_dir, NOTHING_KEPT)
    assert removed(outcome) == [5, 3, 2, 1]
    assert [(path.name, error.errno) for path, error in outcome.failed] == [(name_of(4), 13)]
    assert outcome.kept == 1


def test_one_at_a_time(trace_dir: Path) -> None:
    """Two processes do not remove from the same directory at once."""
    fd = os.open(trace_dir, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with pytest.raises(RetentionBusy):
        apply(trace_dir, NOTHING_KEPT)
    os.close(fd)
    assert len(apply(trace_dir, NOTHING_KEPT).removed) == 5


def test_no_directory(tmp_path: Path) -> None:
    """It is made by the first call, so that its absence is no error."""
    assert apply(tmp_path / "none", NOTHING_KEPT) == Outcome()


def test_size_is_read_again_when_a_bundle_was_written(trace_dir: Path) -> None:
    """From pass to pass only what changed is walked."""
    files: list[int] = [0]

    def count() -> None:
        files[0] += 1

    retention = Retention(trace_dir, Limits(bytes_max=0, age_max=0), pause=count)
    first = retention.apply(NOW).kept_bytes
    walked, files[0] = files[0], 0
    assert retention.apply(NOW).kept_bytes == first
    looked_at = len([*trace_dir.iterdir()])
    assert files[0] == looked_at
    files[0] = 0
    (trace_dir / name_of(1) / "payloads/9.json").write_bytes(b"x" * 100_000)
    os.utime(trace_dir / name_of(1) / "trace.jsonl", (NOW, NOW))
    assert retention.apply(NOW).kept_bytes == disk_usage(*trace_dir.iterdir())
    assert looked_at < files[0] < walked
