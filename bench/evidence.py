"""Checks that what went through the proxy is in its bundles, whole: a benchmark of less is none."""

from collections.abc import Mapping
from pathlib import Path

from tracing.bundle_reader import BundleReader, RawEvent

TERMINALS = frozenset({"inference_completed", "inference_failed", "inference_cancelled"})


def evidence_faults(trace_dir: Path, frames_of: Mapping[str, int], payload_bytes: int) -> list[str]:
    """Tell what is missing; ``frames_of`` has the frames of each response that was received.

    Every response must be one call with one terminal, completed, all its frames seen; and as many
    bytes of frames must have been captured as were received.
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
            elif event.type in TERMINALS:
                captured += _captured_bytes(event.payload)
                faults += _terminal_faults(event.payload, left)
            elif event.payload.get("event_type") == "tailrace.loss":
                faults.append(f"a loss was told: {event.payload}")
    if started != len(frames_of):
        faults.append(f"{started} calls were started, of {len(frames_of)}")
    if captured != payload_bytes:
        faults.append(f"{captured} bytes of frames were captured, of {payload_bytes}")
    if left:
        faults.append(f"{len(left)} responses have no terminal, {min(left)} for one")
    return faults


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
