"""Holds an export for Codex against our own reading of the bundle that it was made from."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from reducer import reduce_bundle
from reducer.export_codex import Selection, export_codex
from viewer.export import write_bundle

from .codex_cli import codex_reduces, require_codex

State = dict[str, Any]

WHOLE = Selection()


def exported_state(bundle: Path, selection: Selection = WHOLE) -> State:
    """What Codex's reducer makes of an export, which it must take."""
    with TemporaryDirectory() as directory:
        export = Path(directory) / "export"
        write_bundle(export, export_codex(bundle, selection))
        state = codex_reduces(require_codex(), export, Path(directory) / "state.json")
    assert isinstance(state, dict), f"codex refused the export: {state}"
    return state


def assert_export_agrees(bundle: Path, selection: Selection = WHOLE) -> State:
    """Hold that the export's calls show and say the text that ours do; give the export's state."""
    theirs = exported_state(bundle, selection)
    ours: State = reduce_bundle(bundle)
    calls = ours["inference_calls"].values()
    chosen = [call for call in calls if selection_has(selection, call)]
    assert sorted(theirs["inference_calls"]) == sorted(c["inference_call_id"] for c in chosen)
    for call in chosen:
        other = theirs["inference_calls"][call["inference_call_id"]]
        for items in ("request_item_ids", "response_item_ids"):
            assert visible(theirs, other[items]) == visible(ours, call[items])
        for key in ("model", "response_id", "upstream_request_id", "thread_id"):
            assert other[key] == call[key], key
    return theirs


def selection_has(selection: Selection, call: State) -> bool:
    """Whether a call of the state is among those that are exported."""
    if selection.call_id is not None:
        return bool(call["inference_call_id"] == selection.call_id)
    return selection.thread_id in (None, call["thread_id"])


def visible(state: State, item_ids: list[str]) -> list[tuple[str, list[str]]]:
    """What the model was shown: role and texts of each item."""
    items = [state["conversation_items"][item_id] for item_id in item_ids]
    return [
        (item["role"], [shown for part in item["body"]["parts"] for shown in texts_of(part)])
        for item in items
    ]


def texts_of(part: dict[str, str]) -> list[str]:
    """The texts of a part: its own, its summary of JSON, or what is encrypted in it."""
    return [part[key] for key in ("text", "summary", "value", "source") if part.get(key)]
