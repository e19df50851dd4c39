"""No byte of a bundle can change, come or go without the check telling."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.harmed_bundle import LOG, record_all_kinds
from tests.support.recording import only_bundle, recording
from tracing.findings import Code
from tracing.verify import verify


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole bundle of every kind of record."""
    with recording(tmp_path_factory.mktemp("whole")) as made:
        record_all_kinds(made)
        return only_bundle(made.close())


def files(bundle: Path) -> list[Path]:
    """Every file of a bundle."""
    return sorted(path for path in bundle.rglob("*") if path.is_file())


@contextmanager
def holding(path: Path, data: bytes) -> Iterator[None]:
    """The file with these bytes, for as long as it is looked at."""
    before = path.read_bytes()
    path.write_bytes(data)
    try:
        yield
    finally:
        path.write_bytes(before)


@given(st.data())
def test_changed_bytes(bundle: Path, data: st.DataObject) -> None:
    """A few bytes in a row that are others than were written."""
    path = data.draw(st.sampled_from(files(bundle)))
    whole = path.read_bytes()
    offset = data.draw(st.integers(0, len(whole) - 1))
    new = data.draw(st.binary(min_size=1, max_size=4))[: len(whole) - offset]
    changed = whole[:offset] + new + whole[offset + len(new) :]
    with holding(path, changed):
        assert verify(bundle).is_whole is (changed == whole)


@given(st.data())
def test_lost_and_added_bytes(bundle: Path, data: st.DataObject) -> None:
    """A piece that was cut out or put in, at an end or in the middle."""
    path = data.draw(st.sampled_from(files(bundle)))
    whole = path.read_bytes()
    start, end = sorted(data.draw(st.integers(0, len(whole))) for _ in range(2))
    piece = data.draw(st.sampled_from([b"", whole[start:end] * 2]))
    changed = whole[:start] + piece + whole[end:]
    last_line = whole[whole.rindex(b"\n", 0, -1) + 1 :] if path.name == LOG else b""
    with holding(path, changed):
        verdict = verify(bundle)
        if changed == whole or (path.name == LOG and changed + b"\n" == whole):
            assert verdict.is_whole
        elif changed + last_line == whole:
            assert [finding.code for finding in verdict.findings] == [Code.NO_RECORDING_COMPLETED]
        else:
            assert not verdict.is_whole


def test_lost_files(bundle: Path) -> None:
    """Each file in turn."""
    for path in files(bundle):
        gone = path.rename(bundle.parent / "gone")
        assert not verify(bundle).is_whole, path
        gone.rename(path)
    assert verify(bundle).is_whole
