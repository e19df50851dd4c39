"""Counts the ends of calls in a bundle, with nothing of ours: one call, one terminal event."""

from collections import Counter
from pathlib import Path

from .raw_bundle import TERMINALS, events


def assert_one_terminal_each(bundle: Path) -> None:
    """Every call that started has ended exactly once, and no other has."""
    started = Counter[str]()
    ended = Counter[str]()
    for event in events(bundle):
        if event["type"] == "inference_started":
            started[event["inference_call_id"]] += 1
        elif event["type"] in TERMINALS:
            ended[event["inference_call_id"]] += 1
    assert set(started.values()) <= {1}
    assert ended == started
