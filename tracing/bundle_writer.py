"""Writes one bundle: payload files first, then the events that name them.

It keeps no state of calls. Every method that touches the disk raises OSError and can be called
again: nothing is written twice and no sequence number is skipped.
"""

import fcntl
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
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
    ) -> None:
        """Make the bundle's directory and files. Raises OSError, and leaves no bundle then."""
        self.path = trace_dir / f"trace-{trace_id}"
        self._rollout_id = root_thread_id
        self._sequence = 0
        self._payloads = 0
        self._payload_bytes = 0
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
        try:
            self._make_files(strict_json.dumps(manifest))
        except OSError:
            shutil.rmtree(self.path, ignore_errors=True)
            raise
        self.append(
            {
                "type": "rollout_started",
                "trace_id": str(trace_id),
                "root_thread_id": root_thread_id,
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
            undo.pop_all()

    @property
    def size(self) -> int:
        """Bytes that the bundle takes, those included that wait for a flush."""
        return self._log.size + self.capture.size + self._payload_bytes

    def add_payload(self, kind: PayloadKind, data: bytes) -> PayloadRef:
        """Write a payload file and return the reference that events name it by. Raises OSError."""
        number = self._payloads + 1
        path = self.path / PAYLOADS_NAME / f"{number}.json"
        path.parent.mkdir(mode=0o700, exist_ok=True)
        write_file(path, data)
        self._payloads = number
        self._payload_bytes += len(data)
        return payload_ref(kind, number)

    def append(
        self,
        payload: JsonObject,
        *,
        at_unix_ms: int,
        thread_id: str | None = None,
        turn_id: str | None = None,
        secrets: Sequence[bytes] = (),
    ) -> None:
        """Buffer an event, with ``secrets`` masked wherever they stand in it."""
        self._sequence += 1
        line = event_line(
            payload,
            sequence=self._sequence,
            at_unix_ms=at_unix_ms,
            rollout_id=self._rollout_id,
            thread_id=thread_id,
            turn_id=turn_id,
        )
        self._log.append(mask_json(line, secrets) + b"\n")

    def flush(self) -> None:
        """Write what is buffered, captures first, since events cite them. Raises OSError."""
        self.capture.flush()
        self._log.flush()

    def is_deleted(self) -> bool:
        """Tell whether somebody deleted the bundle under us."""
        return self._log.is_unlinked() or self.capture.is_unlinked()

    def close(self) -> None:
        """Close the files and free the lock; what is still buffered is lost."""
        self._log.close()
        self.capture.close()
        os.close(self._lock)


def payload_ref(kind: PayloadKind, number: int) -> PayloadRef:
    """Return the reference to payload ``number``, as Codex writes it."""
    return {
        "raw_payload_id": f"raw_payload:{number}",
        "kind": {"type": kind},
        "path": f"{PAYLOADS_NAME}/{number}.json",
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
    """Return an event in its envelope, without the line end."""
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


def mask_json(data: bytes, secrets: Sequence[bytes]) -> bytes:
    """Mask ``secrets`` in JSON so that it stays JSON, even where one was all digits."""
    masked = mask(data, secrets)
    if masked == data:
        return data
    try:
        strict_json.loads_strict(masked)
    except strict_json.NotStrictJson:
        return strict_json.dumps(_mask_value(strict_json.loads_lenient(data), secrets))
    return masked


def _mask_value(value: object, secrets: Sequence[bytes]) -> object:
    match value:
        case dict():
            return {_mask_text(k, secrets): _mask_value(v, secrets) for k, v in value.items()}
        case list():
            return [_mask_value(item, secrets) for item in value]
        case str():
            return _mask_text(value, secrets)
        case int() | float() if not isinstance(value, bool):
            text = str(value)
            masked = _mask_text(text, secrets)
            return value if masked == text else masked
        case _:
            return value


def _mask_text(text: str, secrets: Sequence[bytes]) -> str:
    return mask(text.encode(errors="surrogatepass"), secrets).decode(errors="replace")


def write_file(path: Path, data: bytes) -> None:
    """Write a new file whole, or leave none. Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
    except OSError:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(fd)


def _write_locked(path: Path, data: bytes) -> int:
    """Write the manifest and return the descriptor that locks it.

    It is locked before it has its name, so that nobody ever finds it without its lock.
    """
    unnamed = path.with_suffix(".tmp")
    write_file(unnamed, data)
    fd = os.open(unnamed, os.O_RDONLY | os.O_CLOEXEC)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    unnamed.rename(path)
    return fd
