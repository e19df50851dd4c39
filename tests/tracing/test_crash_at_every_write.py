"""A crash at every single change of the disk, with the last write torn, as SQLite tests itself.

The disk is played: what was written before the crash is there, in order, as after `kill -9`.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reducer import reduce_bundle
from tests.support import events as wire
from tests.support import raw_bundle
from tests.support.dying_disk import dying_disk
from tests.support.killed_recorder import BODY
from tests.support.killed_recorder import record as record_two_calls
from tests.support.recording import SSE_HEAD, Recording, only_bundle, recording
from tracing.recovery import recover
from tracing.scope import Scope
from tracing.verify import verify

STREAM = wire.sse_pieces(*wire.text_stream("Hel", "lo"))
CONTENT = ("trace.jsonl", "streams/1.cap")

Sizes = dict[Path, int]


def write_everything(made: Recording) -> Iterator[Sizes]:
    """Calls of all kinds in two bundles, flush by flush; gives what each flush promised."""
    made.call(*STREAM, body=BODY)
    yield flushed(made)
    slow = made.ask(BODY | {"previous_response_id": "resp_1"})
    slow.response_started(200, SSE_HEAD)
    for piece in STREAM[:5]:
        slow.response_piece(piece)
        yield flushed(made)
    made.call(STREAM[-1], body=BODY | {"generate": False})
    made.call(b"{}", body=BODY, scope=Scope.COMPACTION)
    made.journal.note_loss({"capture_bytes": 1})
    yield flushed(made)
    made.clock.advance(60_000)
    made.call(*STREAM, body=BODY)
    made.ask(BODY)
    yield flushed(made)
    made.close()


def flushed(made: Recording) -> Sizes:
    """Flush, and tell how far the files go, which no crash may undo."""
    made.journal.flush()
    return {path: path.stat().st_size for path in content_of(made.trace_dir)}


def content_of(trace_dir: Path) -> list[Path]:
    """The files that grow."""
    return [bundle / name for bundle in trace_dir.glob("trace-*") for name in CONTENT]


def run_until_death(
    trace_dir: Path, dies_at: int | None, torn_bytes: int = 0
) -> tuple[list[int], Sizes]:
    """Record until the process dies; what each change was to write, and the last promises."""
    promised: Sizes = {}
    with (
        recording(trace_dir, bundle_age_max=60.0) as made,
        dying_disk(dies_at, torn_bytes=torn_bytes) as disk,
    ):
        try:
            for sizes in write_everything(made):
                promised = sizes
        finally:
            # The end of a process closes its files, and so frees its locks.
            for bundle in made.journal._bundles():
                bundle.writer.close()
    return disk.written, promised


def all_deaths(written: list[int]) -> Iterator[tuple[int, int]]:
    """Each change to die at, and how much of it is still made."""
    for number, size in enumerate(written, start=1):
        yield from ((number, part) for part in sorted({0, 1, size // 2, size - 1}) if part >= 0)


def files(trace_dir: Path) -> dict[str, bytes]:
    """All that is in a trace directory."""
    return {
        str(path.relative_to(trace_dir)): path.read_bytes()
        for path in trace_dir.rglob("*")
        if path.is_file()
    }


def assert_sealed(trace_dir: Path) -> None:
    """Hold that every bundle can be sealed, is whole then, keeps all it had, and is sealed once."""
    before = files(trace_dir)
    recover(trace_dir)
    after = files(trace_dir)
    for name, data in before.items():
        match Path(name).suffix:
            case ".jsonl":
                pass
            case ".bin":  # a torn tail, that sealing was setting aside
                assert after[name].startswith(data)
            case _:
                assert after[name] == data, name
    for manifest in trace_dir.glob("trace-*/manifest.json"):
        verdict = verify(manifest.parent)
        assert verdict.is_whole, verdict.findings
        state: dict[str, Any] = reduce_bundle(manifest.parent)
        statuses = {call["execution"]["status"] for call in state["inference_calls"].values()}
        assert statuses <= {"completed", "failed", "aborted"}
        assert state["diagnostics"] == []
    assert recover(trace_dir) == []


def test_recorder_dies_at_every_change(tmp_path: Path) -> None:
    """What is on the disk is a beginning of what would be, no less than was flushed, and seals."""
    written, _ = run_until_death(tmp_path / "whole", None)
    whole = files(tmp_path / "whole")
    deaths = list(all_deaths(written))
    assert len(deaths) > 60
    for number, part in deaths:
        trace_dir = tmp_path / f"{number}-{part}"
        _, promised = run_until_death(trace_dir, number, part)
        left = files(trace_dir) if trace_dir.exists() else {}
        for name, data in left.items():
            if not name.endswith("manifest.tmp"):
                assert whole[name].startswith(data), (number, part, name)
        for path, size in promised.items():
            assert path.stat().st_size >= size, (number, part, path)
        assert_sealed(trace_dir)
        shutil.rmtree(trace_dir, ignore_errors=True)


def ends(bundle: Path) -> list[tuple[str, object]]:
    """How each call in a bundle ended, with its response."""
    return [
        (event["type"], raw_bundle.payload(bundle, event["partial_response_payload"]))
        for event in raw_bundle.events(bundle)
        if event["type"] == "inference_failed"
    ]


@pytest.mark.parametrize("torn", [b"", b'{"schema_version":2,"se'])
def test_sealing_dies_at_every_change(tmp_path: Path, torn: bytes) -> None:
    """Sealing that a crash cut off is done by the next, to the same ends."""
    bundle = only_bundle(record_two_calls(tmp_path / "left").crash())
    with (bundle / "trace.jsonl").open("ab") as log:
        log.write(torn)
    shutil.copytree(tmp_path / "left", tmp_path / "whole")
    with dying_disk() as disk:
        recover(tmp_path / "whole")
    expected = ends(tmp_path / "whole" / bundle.name)
    assert len(expected) == 1
    deaths = list(all_deaths(disk.written))
    assert len(deaths) >= 8
    for number, part in deaths:
        trace_dir = tmp_path / f"{number}-{part}"
        shutil.copytree(tmp_path / "left", trace_dir)
        with dying_disk(number, torn_bytes=part):
            recover(trace_dir)
            raise AssertionError("it did not die")
        assert_sealed(trace_dir)
        assert ends(trace_dir / bundle.name) == expected, (number, part)


def test_sealing_dies_within_its_last_write(tmp_path: Path) -> None:
    """The ends are one write: wherever it is torn, the rest of them follow, and none twice."""
    bundle = only_bundle(record_two_calls(tmp_path / "left").crash())
    shutil.copytree(tmp_path / "left", tmp_path / "whole")
    with dying_disk() as disk:
        recover(tmp_path / "whole")
    expected = ends(tmp_path / "whole" / bundle.name)
    for part in range(0, disk.written[-1], 23):
        trace_dir = tmp_path / "cut"
        shutil.copytree(tmp_path / "left", trace_dir)
        with dying_disk(len(disk.written), torn_bytes=part):
            recover(trace_dir)
        assert_sealed(trace_dir)
        assert ends(trace_dir / bundle.name) == expected, part
        shutil.rmtree(trace_dir)


def test_torn_line_of_a_sealing_replaces_none(tmp_path: Path) -> None:
    """It stands where the recorder's own torn line stood, which was set aside before."""
    bundle = only_bundle(record_two_calls(tmp_path / "left").crash())
    log = bundle / "trace.jsonl"
    offset = log.stat().st_size
    log.write_bytes(log.read_bytes() + b'{"first":')
    shutil.copytree(tmp_path / "left", tmp_path / "whole")
    with dying_disk() as disk:
        recover(tmp_path / "whole")
    with dying_disk(len(disk.written), torn_bytes=20):
        recover(tmp_path / "left")
    assert log.stat().st_size == offset + 20
    assert_sealed(tmp_path / "left")
    assert (bundle / f"torn-{offset}.bin").read_bytes() == b'{"first":'


def test_ended_bundles_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start among many bundles costs a look at the end of each."""
    with recording(tmp_path) as record:
        record.call(*STREAM)
        bundle = only_bundle(record.close())
    monkeypatch.setattr("tracing.recovery.read_dead", lambda _: pytest.fail("it was read"))
    assert recover(tmp_path) == []
    monkeypatch.undo()
    log = (bundle / "trace.jsonl").read_bytes()
    for size in (len(log) - 1, log.rindex(b"\n", 0, -1) + 1, 0):
        (bundle / "trace.jsonl").write_bytes(log[:size])
        recover(tmp_path)
        assert verify(bundle).is_whole
