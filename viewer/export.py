"""Writes what an export gives into files, whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from reducer.export_codex import Piece


class AlreadyThere(Exception):
    """There is something at the path already."""


def is_stdout(path: Path) -> bool:
    """Whether a path that was given means that what is made is to be printed."""
    return path == Path("-")


def write_bundle(path: Path, pieces: Iterable[Piece]) -> None:
    """Write the pieces of a bundle into a new directory, for its owner only.

    Raises AlreadyThere, and OSError where it cannot be written; nothing is left then.
    """
    if path.exists() or path.is_symlink():
        raise AlreadyThere(f"{path} is there already")
    made = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        _write_pieces(made, pieces)
        made.rename(path)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def write_file(path: Path, data: bytes) -> None:
    """Write a new file, for its owner only.

    Raises AlreadyThere, and OSError where it cannot be written; nothing is left then.
    """
    try:
        # Exclusively: what is there stays as it is, be it a link to something else.
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise AlreadyThere(f"{path} is there already") from None
    try:
        with os.fdopen(file, "wb") as opened:
            opened.write(data)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _write_pieces(directory: Path, pieces: Iterable[Piece]) -> None:
    files = {}
    try:
        for piece in pieces:
            if "/" in piece.name:
                _write_file(directory / piece.name, piece.data)
                continue
            if piece.name not in files:
                place = directory / piece.name
                place.touch(mode=0o600)
                files[piece.name] = place.open("wb")
            files[piece.name].write(piece.data)
    finally:
        for file in files.values():
            file.close()


def _write_file(place: Path, data: bytes) -> None:
    place.parent.mkdir(mode=0o700, exist_ok=True)
    place.touch(mode=0o600)
    place.write_bytes(data)
