"""A comparison of two calls, as scripts get it."""

from collections.abc import Mapping

import orjson

from tracing.strict_json import dumps

from ..call.story import Entry
from ..catalog.rows import CallRow
from ..thread.comparison_view import Comparison, Side
from .call_json import call_json


def comparison_json(comparison: Comparison, linked: Mapping[int, CallRow]) -> object:
    """The whole comparison. `linked` has the calls that the two continue and try again."""
    before, after = comparison.before, comparison.after
    value = {
        "before": _side_json(before, linked),
        "after": _side_json(after, linked),
        "is_same_call": comparison.is_same_call,
        "is_continuation": comparison.is_continuation,
        "has_both_requests": comparison.has_both_requests,
        "settings": [
            {
                "name": change.name,
                "pointer": change.pointer,
                "before": change.before,
                "after": change.after,
                "what": change.what,
            }
            for change in comparison.settings
        ],
        "items": [
            {
                "sameness": str(item.sameness),
                "what": item.what,
                "before": None if item.before is None else _entry_json(item.before),
                "after": None if item.after is None else _entry_json(item.after),
            }
            for item in comparison.items
        ],
        "common": None if comparison.common is None else comparison.common.call_id,
        "is_aligned": comparison.is_aligned,
        "cache": comparison.cache.as_json(),
    }
    # What an upstream or a file name put into a text may be no text that JSON can have.
    return orjson.loads(dumps(value))


def _side_json(side: Side, linked: Mapping[int, CallRow]) -> dict[str, object]:
    return {
        "call": call_json(side.row, linked),
        "is_whole": side.is_whole,
        "instructions": side.instructions,
        "output": [_entry_json(entry) for entry in side.output],
        "error": side.error,
        "missing": list(side.missing),
    }


def _entry_json(entry: Entry) -> dict[str, object]:
    return {
        "kind": str(entry.kind),
        "who": entry.who,
        "text": entry.text,
        "notes": list(entry.notes),
        "call_id": entry.call_id,
        "pointer": entry.pointer,
        "is_partial": entry.is_partial,
    }
