"""Looks into a state, typed as tests want it."""

from pathlib import Path
from typing import Any

from reducer import reduce_bundle

State = dict[str, Any]


def state_of(bundle: Path) -> State:
    """The state of a bundle."""
    return reduce_bundle(bundle)


def call_of(state: State, call: str) -> State:
    """A call of the state."""
    found: State = state["inference_calls"][call]
    return found


def texts_of(state: State, item_ids: list[str]) -> list[str]:
    """The texts of items, one string an item."""
    found = []
    for item_id in item_ids:
        parts = state["conversation_items"][item_id]["body"]["parts"]
        found.append(" ".join(part.get("text", part["type"]) for part in parts))
    return found


def codes_of(state: State) -> list[str]:
    """The codes of the diagnostics, in their order."""
    return [diagnostic["code"] for diagnostic in state["diagnostics"]]
