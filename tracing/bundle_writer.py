"""Writes one bundle: payload files first, then the events that name them.

It keeps no state of calls. Every method that touches the disk raises OSError and can be called
again, ``close`` excepted: nothing is written twice and no sequence number is skipped.
"""

import fcntl
import os
import shutil
import zlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from . import strict_json
from .appender import Appender
from .capture import CaptureWriter
from .events import (
    EVENT_LOG_NAME,
    MANIFEST_NAME,
    PAYLOADS_NAME,
    SCHEMA_VERSION,
    STREAMS_NAME,
    PayloadKind,
)
from .json_masking import mask_event
from .masking import mask

JsonObject = Mapping[str, Any]
PayloadRef = Mapping[str, Any]


class BundleWriter:
    """An open bundle. It holds the lock that tells others that its writer lives."""

    def __init__(
        self,
        trace_dir: Path,
        trace_id: UUID,
        *,
        root_thread_id: str,
        started_unix_ms: int,
        producer: JsonObject,
        survives_power_loss: bool = False,
    ) -> None:
        """Make the bundle's directory and files. Raises OSError, and leaves no bundle then.

        With ``survives_power_loss`` a flush returns when all is on the medium itself.
        """
        self.path = trace_dir / f"trace-{trace_id}"
        # As text: a path object for each payload costs as much as its file.
        self._payloads_dir = str(self.path / PAYLOADS_NAME)
        self._rollout_id = root_thread_id
        self._sequence = 0
        self._payloads = 0
        self._payload_bytes = 0
        self._survives_power_loss = survives_power_loss
        self._unsynced: dict[str | Path, None] = {}
        """Files and directories that were changed since the last flush, in that order."""
        manifest = {
            "schema_version": SCHEMA_VERSION,
            "trace_id": str(trace_id),
            "rollout_id": root_thread_id,
            "root_thread_id": root_thread_id,
            "started_at_unix_ms": started_unix_ms,
            "raw_event_log": EVENT_LOG_NAME,
            "payloads_dir": PAYLOADS_NAME,
            "producer": producer,
        }
        data = strict_json.dumps(manifest)
        try:
            self._make_files(data)
        except OSError:
            shutil.rmtree(self.path, ignore_errors=True)
            raise
        self.append(
            {
                "type": "rollout_started",
                "trace_id": str(trace_id),
                "root_thread_id": root_thread_id,
                "proxy": {"manifest_crc32": zlib.crc32(data)},
            },
            at_unix_ms=started_unix_ms,
        )

    def _make_files(self, manifest: bytes) -> None:
        self.path.mkdir(mode=0o700, parents=True)
        (self.path / PAYLOADS_NAME).mkdir(mode=0o700)
        (self.path / STREAMS_NAME).mkdir(mode=0o700)
        with ExitStack() as undo:
            self._log = Appender(self.path / EVENT_LOG_NAME)
            undo.callback(self._log.close)
            self.capture = CaptureWriter(self.path / STREAMS_NAME)
            undo.callback(self.capture.close)
            self._lock = _write_locked(self.path / MANIFEST_NAME, manifest)
            self._note_unsynced(
                self.path / MANIFEST_NAME,
                self.path / PAYLOADS_NAME,
                self.path / STREAMS_NAME,
                self.path,
                self.path.parent,
                self.path.parent.parent,  # the trace directory may be new itself
            )
            undo.pop_all()

    @property
    def size(self) -> int:
        """Bytes that the bundle takes, those included that wait for a flush."""
        return self._log.size + self.capture.size + self._payload_bytes

    def add_payload(self, kind: PayloadKind, data: bytes) -> PayloadRef:
        """Write a payload file and return the reference that events name it by. Raises OSError."""
        number = self._payloads + 1
        path = f"{self._payloads_dir}/{number}.json"
        try:
            write_file(path, data)
        except FileNotFoundError:
            # Somebody deleted the directory under us.
            Path(self._payloads_dir).mkdir(mode=0o700)
            self._note_unsynced(self.path)
            write_file(path, data)
        self._note_unsynced(path, self._payloads_dir)
        self._payloads = number
        self._payload_bytes += len(data)
        return payload_ref(kind, number, data)

    def append(
        self,
        payload: JsonObject,
        *,
        at_unix_ms: int,
        thread_id: str | None = None,
        turn_id: str | None = None,
        secrets: Sequence[bytes] = (),
    ) -> None:
        """Buffer an event, with ``secrets`` masked wherever they stand in its payload."""
        self._sequence += 1
        line = self._line(payload, at_unix_ms, thread_id, turn_id)
        if mask(line, secrets) != line:
            line = self._line(mask_event(payload, secrets), at_unix_ms, thread_id, turn_id)
        self._log.append(checksummed(line))

    def _line(
        self, payload: JsonObject, at_unix_ms: int, thread_id: str | None, turn_id: str | None
    ) -> bytes:
        return event_line(
            payload,
            sequence=self._sequence,
            at_unix_ms=at_unix_ms,
            rollout_id=self._rollout_id,
            thread_id=thread_id,
            turn_id=turn_id,
        )

    def flush(self) -> None:
        """Write what is buffered, captures first, since events cite them. Raises OSError."""
        self.capture.flush()
        if self._survives_power_loss:
            # In two steps: the disk is free to write in any order what is not waited for, and
            # no event may be there without what it names.
            self.capture.sync()
            self._sync_files()
        self._log.flush()
        if self._survives_power_loss:
            self._log.sync()

    def _note_unsynced(self, *paths: str | Path) -> None:
        if self._survives_power_loss:
            self._unsynced.update(dict.fromkeys(paths))

    def _sync_files(self) -> None:
        for path in list(self._unsynced):
            with suppress(FileNotFoundError):  # somebody deleted it: there is nothing to wait for
                _sync(path)
            del self._unsynced[path]

    def is_deleted(self) -> bool:
        """Tell whether somebody deleted the bundle under us, or moved it. Raises OSError."""
        return self._log.is_gone() or self.capture.is_gone()

    def close(self) -> None:
        """Close the files and free the lock; what is still buffered is lost.

        Raises OSError where the disk tells of an error only then; all is closed all the same.
        """
        lock, self._lock = self._lock, -1
        with ExitStack() as closing:
            closing.callback(os.close, lock)
            closing.callback(self.capture.close)
            closing.callback(self._log.close)


def payload_ref(kind: PayloadKind, number: int, data: bytes) -> PayloadRef:
    """Return the reference to payload ``number``, as Codex writes it, with its checksum."""
    return {
        "raw_payload_id": f"raw_payload:{number}",
        "kind": {"type": kind},
        "path": f"{PAYLOADS_NAME}/{number}.json",
        "proxy": {"bytes": len(data), "crc32": zlib.crc32(data)},
    }


def event_line(
    payload: JsonObject,
    *,
    sequence: int,
    at_unix_ms: int,
    rollout_id: str,
    thread_id: str | None,
    turn_id: str | None,
) -> bytes:
    """Return an event in its envelope; ``checksummed`` makes it a line of the log."""
    return strict_json.dumps(
        {
            "schema_version": SCHEMA_VERSION,
            "seq": sequence,
            "wall_time_unix_ms": at_unix_ms,
            "rollout_id": rollout_id,
            "thread_id": thread_id,
            "codex_turn_id": turn_id,
            "payload": payload,
        }
    )


def checksummed(event: bytes) -> bytes:
    """Return an event as a line, whose last member is the checksum of the event without it."""
    return b'%b,"proxy":{"crc32":%d}}\n' % (event[:-1], zlib.crc32(event))


def write_file(path: Path | str, data: bytes) -> None:
    """Write a file whole, or leave none. Raises OSError, and can then be called again."""
    # Not O_EXCL: a disk that refused the write may have refused to remove what came of it, too.
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(path, flags, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
    except OSError:
        Path(path).unlink(missing_ok=True)
        raise
    finally:
        os.close(fd)


def _sync(path: str | Path) -> None:
    """Wait until a file or a directory would survive a loss of power. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _write_locked(path: Path, data: bytes) -> int:
    """Write the manifest and return the descriptor that locks it.

    It is locked before it has its name, so that nobody ever finds it without its lock.
    """
    unnamed = path.with_suffix(".tmp")
    write_file(unnamed, data)
    fd = os.open(unnamed, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        unnamed.rename(path)
    except OSError:
        os.close(fd)
        raise
    return fd
