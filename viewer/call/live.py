"""Calls that run: how far each has come, told from what its capture gained since the last look."""

import os
from array import array
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from tracing.capture import HEADER_BYTES, Direction, Header, Kind, header_at
from tracing.events import STREAMS_NAME

from ..catalog.rows import CallRow
from .bundle_file import opened
from .said import Said

BUNDLES_MAX = 64
"""Bundles that are followed at once: one for each worker is written to, and few wait for an end."""

CALLS_MAX = 10_000
"""Calls of a bundle that are remembered; beyond, those that were silent longest are let go."""

BLOCK_BYTES = 64 * 1024
BLOCKS_MAX = 1024
"""What one look reads of a segment: some tenths of a second. The next look goes on."""

NEW_PIECES_MAX = 64
"""Of a call's new pieces, the latest are read for what the model says, and the end of each."""

PIECE_BYTES_MAX = 16 * 1024
SEGMENTS_MAX = 64
"""Segments of a bundle that are looked at; there is one so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a running call has come. `text` is the end of what the model says."""

    chunks: int
    bytes_down: int
    last_at_unix_ms: int
    text: str


class LiveCalls:
    """Follows the captures of live bundles, for as long as calls in them are asked for.

    It reads only what is new, and nothing outside a bundle: no link is followed. What cannot be
    read tells of no progress.
    """

    def __init__(self) -> None:
        self._bundles: dict[Path, _Bundle] = {}

    def progress(self, row: CallRow) -> Progress | None:
        """Look how far one call has come; None where it has ended, or nothing came yet."""
        return self.progress_of([row]).get(row.id)

    def progress_of(self, rows: Iterable[CallRow]) -> dict[int, Progress]:
        """Look how far these calls have come, by their rows' ids; without those that ended."""
        running: dict[Path, dict[int, bytes]] = {}
        for row in rows:
            if row.status == "running":
                # A compaction's id is `compaction_request:` and the call's.
                with suppress(ValueError):  # a bundle may name its calls as it likes
                    call = UUID(row.call_id.rpartition(":")[2]).bytes
                    running.setdefault(row.bundle, {})[row.id] = call
        found: dict[int, Progress] = {}
        for bundle, calls in running.items():
            followed = self._bundles.pop(bundle, None) or _Bundle(bundle)
            self._bundles[bundle] = followed
            found |= followed.progress_of(calls)
        while len(self._bundles) > BUNDLES_MAX:
            del self._bundles[next(iter(self._bundles))]
        return found


@dataclass(slots=True)
class _Call:
    """What the records of a call told. `new` holds the offsets of pieces not read yet."""

    segment: str
    chunks: int = 0
    bytes_down: int = 0
    last_at_unix_ns: int = 0
    new: "array[int]" = field(default_factory=lambda: array("Q"))
    said: Said = field(default_factory=Said)

    def add(self, segment: str, offset: int, header: Header) -> None:
        self.last_at_unix_ns = header.at_unix_ns
        if header.kind == Kind.HEAD:
            return
        self.chunks += 1
        self.bytes_down += header.size
        if segment != self.segment:  # no writer does that
            return
        self.new.append(offset)
        if len(self.new) > 2 * NEW_PIECES_MAX:
            self.new = self.new[NEW_PIECES_MAX:]


@dataclass(slots=True)
class _Segment:
    """How far a segment was read. `is_damaged` where no record stands at `offset`."""

    file: tuple[int, int]
    offset: int = 0
    is_damaged: bool = False


class _Bundle:
    """The captures of one bundle, and the calls that they told of."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._segments: dict[str, _Segment] = {}
        self._calls: dict[bytes, _Call] = {}

    def progress_of(self, calls: dict[int, bytes]) -> dict[int, Progress]:
        """Read on, and tell of these calls; of none while there is more to read."""
        try:
            with ExitStack() as opened_files:
                files = self._open(opened_files)
                is_behind = [self._read_on(name, file) for name, file in files.items()]
                if any(is_behind):
                    return {}
                return {
                    row: _progress(self._calls[call], files)
                    for row, call in calls.items()
                    if call in self._calls
                }
        except OSError:  # pruned, or not to be read by us
            return {}

    def _open(self, files: ExitStack) -> dict[str, int]:
        """Open the segments, by name, until `files` is closed. Raises OSError."""
        found: dict[str, int] = {}
        names = sorted(n for n in os.listdir(self._path / STREAMS_NAME) if n.endswith(".cap"))
        for name in names[:SEGMENTS_MAX]:
            with suppress(OSError):
                path = f"{STREAMS_NAME}/{name}"
                found[name] = files.enter_context(opened(self._path, path))
        return found

    def _read_on(self, name: str, file: int) -> bool:
        """Go over the records that a segment gained; True where there are more."""
        found = os.fstat(file)
        identity = (found.st_dev, found.st_ino)
        segment = self._segments.get(name)
        if segment is None or segment.file != identity:
            if segment is not None:  # another bundle of the same name
                self._calls.clear()
            segment = self._segments[name] = _Segment(identity)
        for _ in range(BLOCKS_MAX):
            if segment.is_damaged or not self._read_block(name, file, found.st_size, segment):
                return False
        return True

    def _read_block(self, name: str, file: int, size: int, segment: _Segment) -> bool:
        """Go over the records that begin in one block; False where no whole one is left."""
        start = segment.offset
        if start + HEADER_BYTES > size:
            return False
        block = os.pread(file, BLOCK_BYTES, start)
        at = 0
        while at + HEADER_BYTES <= len(block):
            header = header_at(block, at)
            if header is None:
                segment.is_damaged = True
                break
            end = at + HEADER_BYTES + header.size
            if start + end > size:  # it is still being written
                break
            if header.direction == Direction.DOWN:
                self._call(header.call, name).add(name, start + at, header)
            at = end
        segment.offset = start + at
        return at > 0

    def _call(self, call: bytes, segment: str) -> _Call:
        found = self._calls.get(call)
        if found is None:
            if len(self._calls) >= CALLS_MAX:
                self._let_go()
            found = self._calls[call] = _Call(segment)
        return found

    def _let_go(self) -> None:
        """Forget the half of the calls that were silent longest: most of them have ended."""
        latest = sorted(self._calls.items(), key=lambda known: known[1].last_at_unix_ns)
        self._calls = dict(latest[CALLS_MAX // 2 :])


def _progress(call: _Call, files: dict[str, int]) -> Progress:
    if call.segment in files:
        _read_new(call, files[call.segment])
    return Progress(
        chunks=call.chunks,
        bytes_down=call.bytes_down,
        last_at_unix_ms=call.last_at_unix_ns // 1_000_000,
        text=call.said.text,
    )


def _read_new(call: _Call, file: int) -> None:
    """Read the latest of the pieces that came since the last look."""
    said = call.said
    if len(call.new) > NEW_PIECES_MAX:
        said.miss()
    for offset in call.new[-NEW_PIECES_MAX:]:
        head = os.pread(file, HEADER_BYTES, offset)
        header = header_at(head) if len(head) == HEADER_BYTES else None
        if header is None:
            continue
        skipped = max(header.size - PIECE_BYTES_MAX, 0)
        data = os.pread(file, header.size - skipped, offset + HEADER_BYTES + skipped)
        if header.kind == Kind.MESSAGE:
            if not skipped:
                said.message(data)
            continue
        if skipped:
            said.miss()
        said.piece(data)
    call.new = array("Q")
