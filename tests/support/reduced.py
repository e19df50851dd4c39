"""What a run's one bundle reduces to, with the few look-ups that tests of whole runs repeat."""

from pathlib import Path
from typing import Any

from reducer import reduce_bundle

from .running_proxy import RunningProxy

State = dict[str, Any]
Call = dict[str, Any]


def only(bundles: list[Path]) -> Path:
    """The one bundle of the run."""
    assert len(bundles) == 1, f"one bundle was expected: {bundles}"
    return bundles[0]


def reduced(bundles: list[Path]) -> State:
    """The state of the run's one bundle."""
    return reduce_bundle(only(bundles))


def state_after(proxy: RunningProxy) -> State:
    """What the run comes to, once the proxy has closed its bundle."""
    proxy.stop()
    return reduced(proxy.bundles())


def calls(state: State) -> list[Call]:
    """The inference calls in the order in which they started."""
    return sorted(
        state["inference_calls"].values(), key=lambda call: call["execution"]["started_seq"]
    )


def only_call(state: State) -> Call:
    """The one call of the run."""
    (call,) = calls(state)
    return call


def texts(state: State, item_ids: list[str]) -> list[tuple[str, str]]:
    """Role and text of each item; what an item holds that is no text is left out."""
    items = (state["conversation_items"][item_id] for item_id in item_ids)
    return [
        (item["role"], "".join(part.get("text", "") for part in item["body"]["parts"]))
        for item in items
    ]


def said(state: State, call: Call) -> list[tuple[str, str]]:
    """Role and text of the items that the call's response brought."""
    return texts(state, call["response_item_ids"])


def asked(state: State, call: Call) -> list[tuple[str, str]]:
    """Role and text of the items that the call's request held, its whole conversation so far."""
    return texts(state, call["request_item_ids"])
