"""A response, told: what it gave, what it was cut in, and what came in its place."""

from collections.abc import Iterable, Mapping

from reducer.fields import object_of, text_of
from tracing.partial import PartialItems
from tracing.strict_json import NotStrictJson, loads_lenient

from ..catalog.rows import CallRow
from .captured_events import CapturedEvent
from .entries import entries_of, partial_entries_of
from .readable_json import indented
from .story import Entry

_STARTED_OR_DONE = frozenset({"completed", "running"})


def output_of(response: Mapping[str, object]) -> tuple[Entry, ...]:
    """The items that were done, then those that were in progress when the call ended."""
    partial = object_of(response, "proxy").get("partial_items")
    return (
        *entries_of(response.get("output_items"), pointer="/output_items"),
        *partial_entries_of(partial, pointer="/proxy/partial_items"),
    )


def response_so_far(events: Iterable[CapturedEvent]) -> Mapping[str, object]:
    """What stands in the place of a response's payload while the call runs."""
    items = PartialItems()
    for event in events:
        try:
            value = loads_lenient(event.data or b"")
        except NotStrictJson:
            continue
        if isinstance(value, dict):
            items.feed(value)
    return {"output_items": items.done, "proxy": {"partial_items": items.items()}}


def error_of(row: CallRow, end: Mapping[str, object], response: Mapping[str, object]) -> str | None:
    """What upstream answered in place of a response, or why none came whole."""
    if row.status in _STARTED_OR_DONE:
        return None
    body = object_of(response, "proxy").get("body")
    if isinstance(body, str):
        return body
    if body is not None:
        return indented(body)
    return text_of(end, "error") or text_of(end, "reason") or row.reason
