"""The items of a request or a response, each as a person would read it.

Whatever stands among them is told somehow: nothing in a bundle is sure to be what the API defines.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from reducer.fields import text_of

from .content import Content, encrypted_note, joined, read_content
from .readable_json import indented
from .story import Entry, EntryKind
from .tool_items import read_call, read_output, tool_name

_COMPACTIONS = frozenset({"compaction", "compaction_summary", "context_compaction"})
_CALLS = frozenset({"mcp_list_tools", "mcp_approval_request"})
_OUTPUTS = frozenset({"mcp_approval_response"})
_CALL_ENDS = ("_call",)
_OUTPUT_ENDS = ("_output", "_response")


@dataclass(frozen=True, slots=True)
class _Reading:
    kind: EntryKind
    who: str
    content: Content


def entries_of(
    items: object, *, pointer: str, earlier_tools: Mapping[str, str] | None = None
) -> list[Entry]:
    """Read what stands under `input`, `output` or `output_items`, which `pointer` names.

    A string is a user's message, as the API takes it. `earlier_tools` are those that were called
    before, by the ids of their calls. It never raises, whatever the JSON.
    """
    match items:
        case None:
            return []
        case str():
            reading = _Reading(EntryKind.MESSAGE, "user", Content(items))
            return [_entry(reading, None, pointer=pointer, partial=False)]
        case list():
            names = {**(earlier_tools or {}), **tool_names(items)}
            return [
                entry_of(item, pointer=f"{pointer}/{index}", tool_names=names)
                for index, item in enumerate(items)
            ]
        case _:
            return [entry_of(items, pointer=pointer)]


def partial_entries_of(partial_items: object, *, pointer: str) -> list[Entry]:
    """Read `[{"output_index", "item"}]`: the items that were in progress when a call ended."""
    if not isinstance(partial_items, list):
        return []
    return [
        entry_of(partial["item"], pointer=f"{pointer}/{index}/item", partial=True)
        for index, partial in enumerate(partial_items)
        if isinstance(partial, dict) and "item" in partial
    ]


def entry_of(
    item: object,
    *,
    pointer: str,
    partial: bool = False,
    tool_names: Mapping[str, str] | None = None,
) -> Entry:
    """Read one item. `tool_names` tells whose output a call id stands for."""
    if not isinstance(item, dict):
        reading = _Reading(EntryKind.OTHER, "item", Content(indented(item)))
        return _entry(reading, None, pointer=pointer, partial=partial)
    call_id = text_of(item, "call_id") or text_of(item, "approval_request_id")
    return _entry(_read(item, tool_names or {}), call_id, pointer=pointer, partial=partial)


def _read(item: Mapping[str, object], tool_names: Mapping[str, str]) -> _Reading:
    kind = text_of(item, "type") or ""
    if kind == "message" or (not kind and "role" in item):
        return _Reading(
            EntryKind.MESSAGE, text_of(item, "role") or "user", read_content(item.get("content"))
        )
    if kind == "agent_message":
        who = text_of(item, "author") or "agent"
        return _Reading(EntryKind.MESSAGE, who, read_content(item.get("content")))
    if kind == "reasoning":
        return _Reading(EntryKind.REASONING, "assistant", _reasoning(item))
    if kind in _COMPACTIONS:
        return _Reading(EntryKind.COMPACTION, "assistant", _compaction(item))
    if kind in _CALLS or kind.endswith(_CALL_ENDS):
        return _Reading(EntryKind.TOOL_CALL, tool_name(item), read_call(item))
    if kind in _OUTPUTS or kind.endswith(_OUTPUT_ENDS):
        named = tool_names.get(text_of(item, "call_id") or "")
        return _Reading(EntryKind.TOOL_OUTPUT, named or tool_name(item), read_output(item))
    return _other(kind, item)


def _other(kind: str, item: Mapping[str, object]) -> _Reading:
    item_id = text_of(item, "id")
    if kind == "item_reference" or (not kind and set(item) == {"id"} and item_id):
        what = f"the item {item_id or '?'}, which upstream keeps"
        return _Reading(EntryKind.OTHER, "item_reference", Content(notes=(what,)))
    rest = {key: value for key, value in item.items() if key not in {"type", "id"}}
    text = indented(rest) if rest else ""
    return _Reading(EntryKind.OTHER, kind or "item", Content(text))


def _reasoning(item: Mapping[str, object]) -> Content:
    told = [read_content(item.get("summary")), read_content(item.get("content"))]
    return joined([*told, _encrypted(item)], "\n\n")


def _compaction(item: Mapping[str, object]) -> Content:
    told = [read_content(item.get(key)) for key in ("summary", "content", "text") if key in item]
    return joined([*told, _encrypted(item)], "\n\n")


def _encrypted(item: Mapping[str, object]) -> Content:
    value = text_of(item, "encrypted_content")
    return Content(notes=(encrypted_note(value),) if value else ())


def tool_names(items: list[object]) -> Mapping[str, str]:
    """The tools by the ids of their calls, so that an output can be told by its tool's name."""
    return {
        call_id: tool_name(item)
        for item in items
        if isinstance(item, dict)
        and (text_of(item, "type") or "").endswith(_CALL_ENDS)
        and (call_id := text_of(item, "call_id"))
    }


def has_output_of_unknown(items: object) -> bool:
    """Whether an output among the items is of a tool that was called before them."""
    if not isinstance(items, list):
        return False
    names = tool_names(items)
    return any(
        isinstance(item, dict)
        and (text_of(item, "type") or "").endswith(_OUTPUT_ENDS)
        and text_of(item, "call_id") not in names
        for item in items
    )


def _entry(reading: _Reading, call_id: str | None, *, pointer: str, partial: bool) -> Entry:
    return Entry(
        kind=reading.kind,
        who=_whole(reading.who),
        text=_whole(reading.content.text),
        notes=tuple(map(_whole, reading.content.notes)),
        call_id=None if call_id is None else _whole(call_id),
        pointer=pointer,
        is_partial=partial,
    )


def _whole(text: str) -> str:
    """A text without halves of surrogate pairs, which cannot be written anywhere."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
