"""What our trace of a Codex run must have in common with the one that Codex writes itself."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import orjson

from .codex_cli import codex_reduces, require_codex
from .events import function_call_item
from .reduced import State, only, reduced, texts

TOOL_CALL = function_call_item("exec_command", {"cmd": "echo from-the-tool"}, call_id="call_7")
SAID_BY_BOTH = (
    "thread_id",
    "codex_turn_id",
    "model",
    "response_id",
    "upstream_request_id",
    "usage",
)
"""What the two traces must agree on word for word."""


def codex_state(bundle: Path, tmp_path: Path) -> State:
    """What Codex's reducer makes of a bundle, which it must accept."""
    state = codex_reduces(require_codex(), bundle, tmp_path / f"{bundle.name}.json")
    assert isinstance(state, dict), f"codex refused the bundle: {state}"
    return state


def shapes(state: State, item_ids: list[str]) -> list[tuple[Any, ...]]:
    """Each item as both traces must have it, without the ids and files of the one bundle."""
    items = [state["conversation_items"][item_id] for item_id in item_ids]
    return [
        (item["role"], item["kind"], item["channel"], item["call_id"], *text)
        for item, text in zip(items, texts(state, item_ids), strict=True)
    ]


def agreed(state: State, call: dict[str, Any]) -> dict[str, Any]:
    """What a call comes to in either trace."""
    return {
        **{key: call[key] for key in SAID_BY_BOTH},
        "status": call["execution"]["status"],
        "request": shapes(state, call["request_item_ids"]),
        "response": shapes(state, call["response_item_ids"]),
    }


def assert_reduces_as_codex_reduces(bundles: list[Path], tmp_path: Path) -> None:
    """Our state of the one bundle is Codex's, but for what stands under our own keys."""
    ours = reduced(bundles)
    assert ours.pop("diagnostics") == []
    assert without_proxy(ours) == codex_state(only(bundles), tmp_path)


def without_proxy(value: object) -> object:
    """The value without every `proxy` key in it."""
    match value:
        case dict():
            return {key: without_proxy(part) for key, part in value.items() if key != "proxy"}
        case list():
            return [without_proxy(part) for part in value]
        case _:
            return value


def payloads(bundle: Path, event_types: Collection[str], field: str) -> list[dict[str, Any]]:
    """The payloads that the bundle's events of these types name in the field, in their order."""
    lines = (bundle / "trace.jsonl").read_bytes().splitlines()
    events = [orjson.loads(line)["payload"] for line in lines]
    named = [event[field]["path"] for event in events if event["type"] in event_types]
    return [orjson.loads((bundle / path).read_bytes()) for path in named]
