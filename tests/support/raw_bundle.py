"""A bundle as it lies on disk, read with nothing of ours: no reader, no reducer."""

import json
from pathlib import Path
from typing import Any

TERMINALS = ("inference_completed", "inference_failed", "inference_cancelled")

Event = dict[str, Any]


def events(bundle: Path) -> list[Event]:
    """The events' payloads, in order, without checksums; their sequence numbers have no gap."""
    read = lines(bundle)
    assert [line["seq"] for line in read] == list(range(1, len(read) + 1))
    return [line["payload"] for line in read]


def lines(bundle: Path) -> list[Event]:
    """The events in their envelopes, without checksums, which `verify` is there to check."""
    read = [json.loads(line) for line in (bundle / "trace.jsonl").read_bytes().splitlines()]
    for line in read:
        line.pop("proxy", None)
        if line["payload"]["type"] == "rollout_started":
            line["payload"].pop("proxy", None)
        for fields in (line["payload"], line["payload"].get("proxy", {})):
            for value in fields.values():
                if isinstance(value, dict) and "raw_payload_id" in value:
                    value.pop("proxy", None)
    return read


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
