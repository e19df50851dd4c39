"""What the time until an event was spent on: reasoning, text, a tool, or a wait for any of them."""

from collections.abc import Iterable

from tracing.strict_json import NotStrictJson, loads_lenient

from .captured_events import CapturedEvent
from .story import Phase
from .tool_items import tool_name
from .waterfall import Mark

_ITEM_ADDED = "response.output_item.added"
_BEFORE_OUTPUT = frozenset({"queued", "in_progress"})
_KEEPALIVE = "keepalive"
"""It brings nothing, and interrupts nothing."""
_ITEM_EVENTS = frozenset({_ITEM_ADDED, "response.output_item.done"})
_TEXT_KINDS = ("output_text", "refusal", "audio")

_What = tuple[Phase, str | None]


def marks_of(events: Iterable[tuple[float, CapturedEvent]]) -> list[Mark]:
    """Tell what each event, which comes with its time, was waited for.

    Of several that follow each other and are of the same, the last one stands for all.
    """
    found: list[Mark] = []
    known: dict[str, _What | None] = {}
    item: _What = (Phase.OTHER, None)
    for at_ms, event in events:
        if event.type == _KEEPALIVE:
            continue
        if event.type in _ITEM_EVENTS:
            item = _of_item(event.data) or item
            # Until an item began, nothing of it was written.
            what = (Phase.OUTPUT, None) if event.type == _ITEM_ADDED else item
        else:
            if event.type not in known:
                known[event.type] = _of_type(event.type)
            # Of what item a part or an argument is, its beginning told.
            what = known[event.type] or item
        if found and (found[-1].phase, found[-1].name) == what:
            found.pop()
        found.append(Mark(at_ms, *what))
    return found


def _of_type(event_type: str) -> _What | None:
    """What all events of a type are; None where that depends on the item that they are of."""
    kind = event_type.removeprefix("response.").partition(".")[0]
    if kind in _BEFORE_OUTPUT:
        return Phase.OUTPUT, None
    if kind.startswith("reasoning"):
        return Phase.REASONING, None
    if kind.startswith(_TEXT_KINDS):
        return Phase.TEXT, None
    if kind == "content_part" or "_call" in kind or kind.startswith("mcp_"):
        return None
    return Phase.OTHER, None


def _of_item(data: bytes | None) -> _What | None:
    try:
        event = loads_lenient(data or b"")
    except NotStrictJson:
        return None
    match event:
        case {"item": {"type": "message"}}:
            return Phase.TEXT, None
        case {"item": {"type": "reasoning"}}:
            return Phase.REASONING, None
        case {"item": {"type": str(kind)} as item} if kind.endswith("_call"):
            return Phase.TOOL, tool_name(item)
        case {"item": {"type": str(kind)} as item} if kind.startswith("mcp_"):
            return Phase.TOOL, tool_name(item)
        case _:
            return Phase.OTHER, None
