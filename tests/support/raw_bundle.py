"""A bundle as it lies on disk, read with nothing of ours: no reader, no reducer."""

import json
from pathlib import Path
from typing import Any

TERMINALS = ("inference_completed", "inference_failed", "inference_cancelled")

Event = dict[str, Any]


def events(bundle: Path) -> list[Event]:
    """The events' payloads, in order; their sequence numbers have no gap."""
    lines = [json.loads(line) for line in (bundle / "trace.jsonl").read_bytes().splitlines()]
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    return [line["payload"] for line in lines]


def event_types(bundle: Path) -> list[str]:
    """What happened, in order."""
    return [event["type"] for event in events(bundle)]


def only_event(bundle: Path, *types: str) -> Event:
    """The one event that is of any of these types."""
    (event,) = (event for event in events(bundle) if event["type"] in types)
    return event


def only_terminal(bundle: Path) -> Event:
    """The one terminal event of the bundle's one call."""
    return only_event(bundle, *TERMINALS)


def payload(bundle: Path, reference: dict[str, Any]) -> Any:
    """What a payload's file holds, parsed."""
    return json.loads((bundle / reference["path"]).read_bytes())


def request_payload(bundle: Path) -> Any:
    """The request of the bundle's one call."""
    return payload(bundle, only_event(bundle, "inference_started")["request_payload"])


def response_payload(bundle: Path) -> Any:
    """The response of the bundle's one call, whole or partial."""
    terminal = only_terminal(bundle)
    return payload(bundle, terminal.get("response_payload") or terminal["partial_response_payload"])


def payload_names(bundle: Path) -> list[str]:
    """The payload files, by name."""
    return sorted(path.name for path in (bundle / "payloads").iterdir())
