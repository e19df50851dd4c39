"""`tailrace serve` as a process on a disk that the kernel itself makes refuse or hang."""

import errno
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import orjson
import pytest

from tests.support.bundles import write_dead_bundle
from tests.support.disk_trouble import (
    BEGUN,
    COMPLETED,
    NOT_ALL,
    REFUSED,
    RESUMED,
    STREAM,
    OpenStream,
    assert_all_say_hello,
    one_call,
    wait_until_written,
)
from tests.support.reduced import calls, only, reduced
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.serve_process import ServeProcess
from tests.support.terminals import assert_one_terminal_each
from tests.support.waiting import wait_until
from tests.support.worker_processes import is_running
from tests.support.worker_processes import workers as children_of
from tracing.recovery import recover

SEALED = "sealed a bundle whose writer died"


def serve(
    upstream: ScriptedUpstream, trace_dir: Path, tmp_path: Path, *, workers: int = 1
) -> ServeProcess:
    """The process before the scripted upstream."""
    url = f"{upstream.url}/v1"
    return ServeProcess(url, trace_dir, tmp_path, flush_interval=0.001, workers=workers)


def wait_until_logged(process: ServeProcess, text: str) -> None:
    """Wait for a line of the process's log."""
    wait_until(lambda: logged(process, text) > 0, text)


def logged(process: ServeProcess, text: str) -> int:
    """How many lines of the process's log hold this text."""
    return sum(text in line for line in process.log_path.read_text().splitlines())


@contextmanager
def limited(process: ServeProcess, what: int, soft: int) -> Iterator[None]:
    """The process meets this soft limit until the block is left."""
    before, hard = resource.prlimit(process.pid, what)
    resource.prlimit(process.pid, what, (soft, hard))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # it may have ended meanwhile
            resource.prlimit(process.pid, what, (before, hard))


NO_MORE_DESCRIPTORS = 3
"""A limit for new ones alone: the three below it are the process's standard streams."""


def test_process_out_of_descriptors(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    """An open stream goes on as ever; its payload is written when there is a descriptor again."""
    trace_dir = tmp_path / "traces"
    with serve(upstream, trace_dir, tmp_path) as process:
        stream = OpenStream(upstream, process.port)
        wait_until_written(trace_dir, "inference_started", 1)
        with limited(process, resource.RLIMIT_NOFILE, NO_MORE_DESCRIPTORS):
            assert stream.finish().cut is False
            wait_until_logged(process, REFUSED)
            assert logged(process, os.strerror(errno.EMFILE)) == 1
        wait_until_written(trace_dir, COMPLETED, 1)
        wait_until_logged(process, RESUMED)
        assert process.terminate() == 0
    assert (logged(process, REFUSED), logged(process, RESUMED)) == (1, 1)
    assert_all_say_hello(process.bundles(), 1)


def test_process_whose_files_may_not_grow(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    """A write that the kernel takes a part of, and then refuses, goes on where it stopped."""
    trace_dir = tmp_path / "traces"
    with serve(upstream, trace_dir, tmp_path) as process:
        one_call(upstream, process)
        stream = OpenStream(upstream, process.port)
        wait_until(lambda: capture_bytes(process) > len(STREAM + BEGUN), "the capture on disk")
        with limited(process, resource.RLIMIT_FSIZE, capture_bytes(process) + 10):
            assert stream.finish().cut is False
            wait_until_logged(process, REFUSED)
        wait_until_written(trace_dir, COMPLETED, 2)
        assert process.terminate() == 0
    assert (logged(process, REFUSED), logged(process, RESUMED)) == (1, 1)
    assert_all_say_hello(process.bundles(), 2)


def test_process_that_ends_while_its_disk_refuses(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """It ends at once, and says so; what there is can be sealed, to the last byte on disk."""
    trace_dir = tmp_path / "traces"
    with serve(upstream, trace_dir, tmp_path) as process:
        one_call(upstream, process)
        stream = OpenStream(upstream, process.port)
        wait_until(lambda: capture_bytes(process) > len(STREAM + BEGUN), "the capture on disk")
        with limited(process, resource.RLIMIT_FSIZE, capture_bytes(process) + 10):
            stream.finish()
            wait_until_logged(process, REFUSED)
            assert process.terminate() == 0
    assert logged(process, NOT_ALL) == 1
    assert_sealed(trace_dir, ["completed", "aborted"])
    aborted = calls(reduced(process.bundles()))[1]["proxy"]
    assert aborted["partial_items"][0]["item"]["content"][0]["text"] == "Hel"


def test_process_that_ends_while_its_disk_hangs(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    """It waits for the disk no longer than it says, and ends."""
    trace_dir = tmp_path / "traces"
    with serve(upstream, trace_dir, tmp_path) as process:
        one_call(upstream, process)
        wait_until_written(trace_dir, COMPLETED, 1)
        # To open it for writing waits for a reader, who never comes.
        hanging = only(process.bundles()) / "payloads" / "3.json"
        os.mkfifo(hanging)
        one_call(upstream, process)
        assert process.terminate() == 0
    hanging.unlink()
    assert logged(process, NOT_ALL) == 1
    assert_sealed(trace_dir, ["completed"])


@pytest.mark.parametrize("workers", [1, 2])
def test_old_bundle_whose_disk_hangs(
    upstream: ScriptedUpstream, tmp_path: Path, workers: int
) -> None:
    """It is no reason to take no traffic, to seal no other before it, or not to end."""
    trace_dir = tmp_path / "traces"
    write_dead_bundle(trace_dir / "trace-a")
    write_dead_bundle(trace_dir / "trace-b")
    hanging = trace_dir / "trace-b" / "trace.jsonl"
    hanging.unlink()
    # To open it for reading waits for a writer, who never comes.
    os.mkfifo(hanging)
    with serve(upstream, trace_dir, tmp_path, workers=workers) as process:
        one_call(upstream, process)
        wait_until_logged(process, SEALED)
        children = children_of(process)
        assert process.terminate() == 0
    wait_until(lambda: not any(map(is_running, children)), "all of its processes ended")
    own = [bundle for bundle in process.bundles() if bundle.name not in {"trace-a", "trace-b"}]
    assert_all_say_hello(own, 1)
    assert (logged(process, SEALED), logged(process, "trace-a")) == (1, 1)


def test_trace_dir_that_cannot_be_listed(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    """It is told where and why, in one line, and traffic passes."""
    trace_dir = tmp_path / "traces"
    trace_dir.symlink_to(trace_dir)
    with serve(upstream, trace_dir, tmp_path) as process:
        one_call(upstream, process)
        wait_until_logged(process, "cannot look for what a crash left")
        assert process.terminate() == 0
    lines = [orjson.loads(line) for line in process.log_path.read_bytes().splitlines()]
    (told,) = [line for line in lines if line["event"].startswith("cannot look for")]
    assert (told["trace_dir"], told["error"]) == (str(trace_dir), os.strerror(errno.ELOOP))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB; skipped where none may be mounted."""
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(path)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(path: Path) -> None:
    """Write a file until the disk is full."""
    with path.open("wb", buffering=0) as ballast, suppress(OSError):
        while True:
            ballast.write(b"x" * 4096)


def test_process_on_a_full_disk(
    upstream: ScriptedUpstream, small_disk: Path, tmp_path: Path
) -> None:
    """Full before the first call and full again mid-stream: both times all is there in the end."""
    trace_dir, ballast = small_disk / "traces", small_disk / "ballast"
    fill(ballast)
    with serve(upstream, trace_dir, tmp_path) as process:
        one_call(upstream, process)
        wait_until_logged(process, REFUSED)
        assert logged(process, os.strerror(errno.ENOSPC)) == 1
        ballast.unlink()
        wait_until_written(trace_dir, COMPLETED, 1)
        stream = OpenStream(upstream, process.port)
        wait_until_written(trace_dir, "inference_started", 2)
        fill(ballast)
        assert stream.finish().cut is False
        wait_until(lambda: logged(process, REFUSED) == 2, "the second refusal")
        ballast.unlink()
        wait_until_written(trace_dir, COMPLETED, 2)
        assert process.terminate() == 0
    assert (logged(process, REFUSED), logged(process, RESUMED)) == (2, 2)
    assert_all_say_hello(process.bundles(), 2)


def capture_bytes(process: ServeProcess) -> int:
    """The size of the captures of the process so far."""
    return sum(path.stat().st_size for path in process.trace_dir.glob("trace-*/streams/*"))


def assert_sealed(trace_dir: Path, statuses: list[str]) -> None:
    """What the process left is sealed by the next, and its calls have these ends, one each."""
    (sealed,) = recover(trace_dir)
    assert_one_terminal_each(sealed.bundle)
    found = calls(reduced([sealed.bundle]))
    assert [call["execution"]["status"] for call in found] == statuses
