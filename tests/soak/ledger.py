"""The evidence of a soak: every call that the bundles hold, each checked and then let go."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import orjson

from tests.support import raw_bundle

from .calls import UNFINISHED, Kind, SoakCall, call_of

_END = b'"recording_completed"'
_TAIL_BYTES = 4096


class Ledger:
    """Reads bundles that were closed, and deletes them, so that a long soak fills no disk."""

    def __init__(self, trace_dir: Path) -> None:
        self.recorded: Counter[SoakCall] = Counter()
        self.faults: list[str] = []
        self.bundles = 0
        self._trace_dir = trace_dir

    def settle_closed(self) -> None:
        """Take in the bundles that are closed by now."""
        for bundle in sorted(self._trace_dir.glob("trace-*")):
            if _is_closed(bundle):
                self._settle(bundle)
                shutil.rmtree(bundle)
                self.bundles += 1

    def _settle(self, bundle: Path) -> None:
        calls: dict[str, SoakCall] = {}
        for event in raw_bundle.events(bundle):
            if event["type"] == "inference_started":
                request = raw_bundle.payload(bundle, event["request_payload"])
                if "metadata" not in request:
                    self.faults.append(f"a request is {str(request)[:200]}")
                    continue
                calls[event["inference_call_id"]] = call_of(request)
            elif event["type"] in raw_bundle.TERMINALS:
                if (call := calls.pop(event["inference_call_id"], None)) is None:
                    self.faults.append(f"an unknown call ended with {str(event)[:200]}")
                else:
                    self._end(bundle, call, event)
            elif event.get("event_type") == "tailrace.loss":
                self.faults.append(f"lost: {raw_bundle.payload(bundle, event['event_payload'])}")
        self.faults += [f"{call} did not end" for call in calls.values()]

    def _end(self, bundle: Path, call: SoakCall, event: dict[str, Any]) -> None:
        self.recorded[call] += 1
        if event["type"] != call.terminal:
            self.faults.append(f"{call} ended with {event['type']}")
        reference = event.get("response_payload") or event["partial_response_payload"]
        response = raw_bundle.payload(bundle, reference)
        output = response["output_items"]
        if call.kind in UNFINISHED:
            output = [held["item"] for held in response["proxy"].get("partial_items", ())]
        said = "".join(map(_text, output))
        whole = "" if call.kind is Kind.REFUSED else call.text
        if said != whole and not (call.kind in UNFINISHED and said and whole.startswith(said)):
            self.faults.append(f"{call} said {said[:50]!r}: {event['proxy']} {response['proxy']}")


def _text(item: Any) -> str:
    match item:
        case {"content": [{"text": str(text)}, *_]}:
            return text
        case _:
            return ""


def _is_closed(bundle: Path) -> bool:
    log = bundle / "trace.jsonl"
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            last = file.read().splitlines(keepends=True)[-1:]
    except OSError:
        return False  # it is being made
    return bool(last) and last[0].endswith(b"\n") and _END in last[0] and _is_json(last[0])


def _is_json(line: bytes) -> bool:
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True
