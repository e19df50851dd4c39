"""The check of a bundle: each kind of damage is found, and told for what it is."""

import fcntl
from pathlib import Path

import pytest

from tests.support.bundles import BundleBuilder, message
from tests.support.harmed_bundle import (
    CAPTURE,
    LOG,
    STREAM,
    edit_file,
    lines_of,
    overwrite,
    record_all_kinds,
)
from tests.support.killed_recorder import BODY, record
from tests.support.recording import call_id, only_bundle, recording
from tracing.findings import Code, Severity
from tracing.recovery import recover
from tracing.verify import Verdict, verify


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A whole bundle, closed, of every kind of record."""
    with recording(tmp_path) as made:
        record_all_kinds(made)
        return only_bundle(made.close())


@pytest.fixture
def dead(tmp_path: Path) -> Path:
    """A bundle that a crash left with one call open."""
    return only_bundle(record(tmp_path).crash())


def found(verdict: Verdict) -> list[tuple[Code, str, int | None]]:
    """What was found: code, file and seq."""
    return [(finding.code, finding.file, finding.seq) for finding in verdict.findings]


def test_whole_bundle(bundle: Path) -> None:
    """Nothing is found in what the recorder wrote and nobody touched; it is left as it is."""
    before = {path: path.stat().st_mtime_ns for path in bundle.rglob("*")}
    verdict = verify(bundle)
    assert (found(verdict), verdict.is_whole, verdict.is_live) == ([], True, False)
    assert (verdict.calls, verdict.events) == (5, len(lines_of(bundle)))
    assert {path: path.stat().st_mtime_ns for path in bundle.rglob("*")} == before


def test_live_bundle(tmp_path: Path) -> None:
    """What its writer is about to end, to name or to write whole is no damage."""
    with recording(tmp_path) as made:
        record_all_kinds(made)
        made.ask(BODY).response_piece(STREAM[0])
        made.journal.flush()
        bundle = only_bundle(made.bundles())
        last = max(int(path.stem) for path in (bundle / "payloads").iterdir())
        (bundle / "payloads" / f"{last + 1}.json").write_bytes(b'{"half')
        for name in (LOG, CAPTURE):
            path = bundle / name
            path.write_bytes(path.read_bytes() + (b'{"sch' if name == LOG else b"TRC1\x02"))
        verdict = verify(bundle)
        assert verdict.is_live
        assert verdict.is_whole
        assert [code for code, *_ in found(verdict)] == [Code.CAPTURE_TORN, Code.MODE]
        (bundle / "payloads" / "2.json").unlink()
        assert not verify(bundle).is_whole


def test_dead_bundle(dead: Path) -> None:
    """A crash's bundle is not whole before it is sealed, and is so afterwards."""
    with (dead / LOG).open("ab") as log:
        log.write(b'{"schema_ver')
    with (dead / CAPTURE).open("ab") as segment:
        segment.write(b"TRC1\x02\x01")
    (dead / "payloads" / "4.json").write_bytes(b"")
    (dead / "payloads" / "4.json").chmod(0o600)
    assert [code for code, *_ in found(verify(dead))] == [
        Code.TORN_TAIL,
        Code.NOT_SEALED,
        Code.PAYLOAD_EXTRA,
        Code.CAPTURE_TORN,
    ]
    recover(dead.parent)
    verdict = verify(dead)
    assert verdict.is_whole
    assert {finding.severity for finding in verdict.findings} == {Severity.NOTE}
    assert [code for code, *_ in found(verdict)] == [
        Code.PAYLOAD_EXTRA,
        Code.CAPTURE_TORN,
        Code.TORN_TAIL_KEPT,
    ]


def test_everything_after_a_damaged_record_is_still_read(bundle: Path) -> None:
    """One altered piece is told once, with the one call that it belonged to."""
    overwrite(bundle / CAPTURE, 60, b"\0")
    first = next(line for line in lines_of(bundle) if "inference_call_id" in line["payload"])
    assert first["payload"]["inference_call_id"] == str(call_id(1))
    assert found(verify(bundle)) == [
        (Code.CAPTURE_RECORD, CAPTURE, None),
        (Code.CAPTURE_MISMATCH, CAPTURE, 5),
    ]


def test_damaged_line_costs_no_more_than_itself(bundle: Path) -> None:
    """The gap that it leaves in the sequence is no second finding."""
    text = (bundle / LOG).read_bytes()
    (bundle / LOG).write_bytes(text.replace(b'"thread_started"', b'thread_started"', 1))
    assert [code for code, *_ in found(verify(bundle))] == [Code.DAMAGED_LINE]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("manifest.json", Code.MANIFEST_CHECKSUM),
        (LOG, Code.LINE_CHECKSUM),
        ("payloads/2.json", Code.PAYLOAD_CHECKSUM),
    ],
)
def test_checksums(bundle: Path, name: str, code: Code) -> None:
    """Where a bundle has checksums, what stays good JSON is found as well."""
    path = bundle / name
    old, new = {
        "manifest.json": (b'"version":"0"', b'"version":"1"'),
        LOG: (b'"bytes_down":', b'"bytes_dawn":'),
        "payloads/2.json": (b"Hello", b"Hallo"),
    }[name]
    assert old in path.read_bytes()
    edit_file(path, lambda data: data.replace(old, new))
    assert {found_code for found_code, *_ in found(verify(bundle))} == {code}


def test_line_without_the_checksum_that_others_have(bundle: Path) -> None:
    """Damage may hit the checksum's own name."""
    edit_file(bundle / LOG, lambda data: data.replace(b'"proxy":{"crc32"', b'"proxy":{"crc31"', 1))
    assert found(verify(bundle)) == [(Code.LINE_CHECKSUM, LOG, 1)]


def test_bundle_under_another_name(bundle: Path) -> None:
    """A copy that somebody named for himself is whole."""
    bundle = bundle.rename(bundle.parent / "mine")
    verdict = verify(bundle)
    assert verdict.is_whole
    assert found(verdict) == [(Code.RENAMED, "manifest.json", None)]


def test_bundle_of_codex(tmp_path: Path) -> None:
    """Another producer's: what is not in its format is not asked for, and its damage is found."""
    builder = BundleBuilder(tmp_path / "trace-1-root")
    builder.turn("turn")
    builder.start("call", "turn", [message("user", "Hi")])
    builder.complete("call", [message("assistant", "Hello")], response_id="resp_1")
    assert found(verify(builder.write())) == []
    builder.end(recording_completed=False)
    bundle = builder.write()
    assert found(verify(bundle)) == []
    (bundle / "payloads/1.json").write_bytes(b"{")
    assert found(verify(bundle)) == [(Code.PAYLOAD_NOT_JSON, "payloads/1.json", 4)]


def test_nobody_seals_it_meanwhile(dead: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle that is checked is locked, for others that check it, too, but not for them."""
    sealed = []

    def reading(*_: object) -> None:
        sealed.append(recover(dead.parent))
        with (dead / "manifest.json").open("rb") as manifest:
            fcntl.flock(manifest, fcntl.LOCK_SH | fcntl.LOCK_NB)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("tracing.verify.read_log", reading)
    assert found(verify(dead)) == [(Code.UNREADABLE, ".", None)]
    assert sealed == [[]]
    assert len(recover(dead.parent)) == 1
