"""What a bundle holds of one call: its two events, its two payloads and its capture.

Only these are read, from where the catalog says that they stand.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reducer.fields import object_of
from tracing.bundle_reader import BundleReader, DamagedPayload, NotABundle, PayloadRef, RawEvent
from tracing.events import EVENT_LOG_NAME
from tracing.strict_json import NotStrictJson, loads_lenient

from ..catalog.rows import CallRow
from .bundle_file import event_at
from .pieces import Captured, pieces_of, pieces_so_far

_IDS = ("inference_call_id", "compaction_request_id")
_STARTS = frozenset({"inference_started", "compaction_request_started"})


class CallUnreadable(Exception):
    """The bundle does not hold the call where it was; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEvents:
    """The payloads of a call's start and of its end, `{}` where it has not ended."""

    start: Mapping[str, object]
    end: Mapping[str, object]

    @property
    def start_proxy(self) -> Mapping[str, object]:
        """What the recorder says of the request."""
        return object_of(self.start, "proxy")

    @property
    def end_proxy(self) -> Mapping[str, object]:
        """What the recorder says of how it went."""
        return object_of(self.end, "proxy")


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadRead:
    """A payload as far as it can be had. `value` is `{}` where it is no JSON object."""

    path: str | None = None
    data: bytes | None = None
    value: Mapping[str, object]
    fault: str | None = None


def read_events(row: CallRow) -> CallEvents:
    """Read the call's events. Raises CallUnreadable."""
    start = _event(row, row.start_offset)
    if start.type not in _STARTS:
        raise _moved(row, row.start_offset)
    end = None if row.end_offset is None else _event(row, row.end_offset)
    return CallEvents(start=start.payload, end={} if end is None else end.payload)


def _event(row: CallRow, offset: int) -> RawEvent:
    try:
        event = event_at(row.bundle, offset)
    except FileNotFoundError:
        raise CallUnreadable(f"{row.bundle} is gone: it was pruned, or moved away") from None
    except OSError as error:
        what = error.strerror or str(error)
        raise CallUnreadable(f"{row.bundle / EVENT_LOG_NAME} cannot be read: {what}") from None
    if event is None or row.call_id not in {event.payload.get(key) for key in _IDS}:
        raise _moved(row, offset)
    return event


def _moved(row: CallRow, offset: int) -> CallUnreadable:
    return CallUnreadable(
        f"{row.bundle / EVENT_LOG_NAME} has no event of call {row.call_id} at byte {offset}, where"
        " it was: the file was replaced or damaged. Try again; `tailrace verify` tells more"
    )


def read_payload(bundle: Path, path: str | None) -> PayloadRead:
    """Read a payload; what is wrong with it is told and not raised."""
    if path is None:
        return PayloadRead(value={})
    try:
        ref = PayloadRef(raw_payload_id="", kind="", path=path)
        data = BundleReader(bundle, needs_manifest=False).payload_bytes(ref)
    except NotABundle as error:
        return PayloadRead(path=path, value={}, fault=str(error))
    if isinstance(data, DamagedPayload):
        return PayloadRead(path=path, value={}, fault=str(data.fault))
    try:
        value = loads_lenient(data)
    except NotStrictJson:
        return PayloadRead(path=path, data=data, value={}, fault="it is no JSON")
    if not isinstance(value, dict):
        return PayloadRead(path=path, data=data, value={}, fault="it is no JSON object")
    return PayloadRead(path=path, data=data, value=value)


def read_captured(row: CallRow, events: CallEvents) -> Captured:
    """Read what was captured of the response; nothing where captures are not kept."""
    if not events.end:
        return pieces_so_far(row.bundle, row.call_id)
    capture = object_of(events.end_proxy, "capture")
    return pieces_of(row.bundle, row.call_id, capture) if capture else Captured()
