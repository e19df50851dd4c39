"""Appending to a file, on a disk that writes what it likes of it."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.faulty_disk import failing_close, faulty_disk
from tracing.appender import Appender


def test_offsets_and_sizes_count_what_is_buffered(tmp_path: Path) -> None:
    """An offset is where the data will stand, and nothing is on disk before the flush."""
    appender = Appender(tmp_path / "log")
    assert [appender.append(b"abc"), appender.append(b"de")] == [0, 3]
    assert (appender.size, (tmp_path / "log").read_bytes()) == (5, b"")
    appender.flush()
    assert (appender.size, appender.read(3, 2)) == (5, b"de")
    appender.close()


def test_file_is_its_owners_and_new(tmp_path: Path) -> None:
    """The mode is 0600, and a file that is there already is never appended to by mistake."""
    Appender(tmp_path / "log").close()
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        Appender(tmp_path / "log")


def test_goes_on_at_the_end(tmp_path: Path) -> None:
    """A file that exists is continued where it ends."""
    (tmp_path / "log").write_bytes(b"old")
    appender = Appender(tmp_path / "log", exists=True)
    assert appender.append(b"new") == 3
    appender.flush()
    appender.close()
    assert (tmp_path / "log").read_bytes() == b"oldnew"


@given(
    st.lists(st.binary(max_size=20), max_size=20),
    st.lists(st.integers(0, 30), max_size=60),
)
def test_any_short_writes_and_refusals(
    tmp_path_factory: pytest.TempPathFactory, data: list[bytes], limits: list[int]
) -> None:
    """However little a write takes, and wherever it is refused, the file is what was appended."""
    left = iter(limits)
    real = os.pwritev

    def short(fd: int, buffers: list[bytes], offset: int) -> int:
        limit = next(left, 1000)
        if limit == 0:
            raise OSError(28, "no space")
        return real(fd, [b"".join(buffers)[:limit]], offset)

    path = tmp_path_factory.mktemp("appender") / "log"
    appender = Appender(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "pwritev", short)
        for piece in data:
            appender.append(piece)
            try:
                appender.flush()
            except OSError:
                continue
            assert path.read_bytes() == b"".join(data)[: appender.size]
    appender.flush()
    appender.close()
    assert path.read_bytes() == b"".join(data)


def test_many_small_buffers(tmp_path: Path) -> None:
    """More buffers than one system call takes are written all the same."""
    appender = Appender(tmp_path / "log")
    for number in range(5000):
        appender.append(b"%d\n" % number)
    appender.flush()
    appender.close()
    assert (tmp_path / "log").read_text().split() == [str(number) for number in range(5000)]


def test_refusal_keeps_what_waits(tmp_path: Path) -> None:
    """After a refused flush the next one writes everything."""
    appender = Appender(tmp_path / "log")
    appender.append(b"kept")
    with faulty_disk() as disk:
        disk.refuse_all("pwritev")
        with pytest.raises(OSError, match="pwritev"):
            appender.flush()
    appender.flush()
    appender.close()
    assert (tmp_path / "log").read_bytes() == b"kept"


def test_failed_close_is_final(tmp_path: Path) -> None:
    """A descriptor whose close failed is free all the same: its number may be another's soon."""
    appender = Appender(tmp_path / "log")
    with failing_close(tmp_path / "log"):
        with pytest.raises(OSError, match="quota"):
            appender.close()
        with (tmp_path / "other").open("wb") as other:  # takes the lowest number that is free
            with pytest.raises(OSError, match="Bad file descriptor"):
                appender.close()
            os.fstat(other.fileno())


@pytest.mark.parametrize("how", ["deleted", "moved", "replaced"])
def test_tells_when_it_is_gone(tmp_path: Path, how: str) -> None:
    """A file that is no longer under its name is gone: what is written would be missed."""
    path = tmp_path / "directory" / "log"
    path.parent.mkdir()
    appender = Appender(path)
    assert not appender.is_gone()
    match how:
        case "deleted":
            path.unlink()
        case "moved":
            path.parent.rename(tmp_path / "elsewhere")
        case "replaced":
            path.unlink()
            path.write_bytes(b"")
    assert appender.is_gone()
    appender.close()
