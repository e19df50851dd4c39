"""Checks that what went through the proxy is in its bundles, whole: a benchmark of less is none."""

from collections import Counter
from collections.abc import Mapping
from enum import Enum, auto
from pathlib import Path

from tracing.bundle_reader import BundleReader, PayloadRef, RawEvent


class Demand(Enum):
    """What a relay's bundles must hold of what passed."""

    NONE = auto()
    RECORDS = auto()
    """Each call's start and its terminal; content may be lost, if that was told."""
    WHOLE = auto()


TERMINALS = frozenset({"inference_completed", "inference_failed", "inference_cancelled"})


def evidence_faults(trace_dir: Path, frames_of: Mapping[str, int], payload_bytes: int) -> list[str]:
    """Tell what is missing; ``frames_of`` has the frames of each response that was received.

    Every response must be one call with one terminal, completed, all its frames seen, its payload
    files there; and as many bytes of frames must have been captured as were received. Over HTTP a
    frame is an event, and a request's payload must be as long as the request was.
    """
    left = dict(frames_of)
    faults: list[str] = []
    started = captured = 0
    for bundle in sorted(trace_dir.glob("trace-*")):
        for event in BundleReader(bundle).events():
            if not isinstance(event, RawEvent):
                faults.append(f"{bundle.name}: {event}")
            elif event.type == "inference_started":
                started += 1
                faults += _request_faults(event.payload, bundle)
            elif event.type in TERMINALS:
                captured += _captured_bytes(event.payload)
                faults += _terminal_faults(event.payload, left)
                faults += _payload_faults(event.payload.get("response_payload"), bundle)
            elif event.payload.get("event_type") == "tailrace.loss":
                faults.append(f"a loss was told: {event.payload}")
    if started != len(frames_of):
        faults.append(f"{started} calls were started, of {len(frames_of)}")
    if captured != payload_bytes:
        faults.append(f"{captured} bytes of frames were captured, of {payload_bytes}")
    if left:
        faults.append(f"{len(left)} responses have no terminal, {min(left)} for one")
    return faults


def record_faults(trace_dir: Path, calls: int) -> list[str]:
    """Tell if any of so many calls has no start or no terminal in the bundles, content aside."""
    kinds = Counter(
        event.type
        for bundle in sorted(trace_dir.glob("trace-*"))
        for event in BundleReader(bundle).events()
        if isinstance(event, RawEvent)
    )
    counts = {
        "starts": kinds["inference_started"],
        "terminals": sum(kinds[terminal] for terminal in TERMINALS),
    }
    return [f"{count} {what}, of {calls}" for what, count in counts.items() if count != calls]


def _request_faults(payload: Mapping[str, object], bundle: Path) -> list[str]:
    match payload:
        case {
            "request_payload": reference,
            "proxy": {"transport": "http" | "sse", "request": {"bytes": int(size)}},
        }:
            return _payload_faults(reference, bundle, size)
        case _:
            return _payload_faults(payload.get("request_payload"), bundle)


def _payload_faults(reference: object, bundle: Path, size: int | None = None) -> list[str]:
    parsed = PayloadRef.parse(reference)
    path = bundle / parsed.path if parsed else None
    if path is None or not path.is_file():
        return [f"{bundle.name}: no payload at {reference}"]
    kept = path.stat().st_size
    if size is not None and kept != size:
        return [f"{path.name} has {kept} bytes, of {size}"]
    return []


def _terminal_faults(payload: Mapping[str, object], left: dict[str, int]) -> list[str]:
    match payload:
        case {
            "type": "inference_completed",
            "response_id": str(response_id),
            "proxy": {"events": int(events), "capture": {"bytes": int(), "lost_bytes": 0}},
        } if left.pop(response_id, None) == events:
            return []
        case _:
            return [f"not a whole call: {payload}"]


def _captured_bytes(payload: Mapping[str, object]) -> int:
    match payload:
        case {"proxy": {"capture": {"bytes": int(size)}}}:
            return size
        case _:
            return 0
