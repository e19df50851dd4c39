"""A request's body, told: instructions, settings, tools, input."""

import base64
import binascii
from collections.abc import Mapping

from reducer.fields import list_of, object_of, text_of
from tracing.strict_json import dumps

from .content import Content
from .entries import entries_of
from .event_summary import on_one_line
from .readable_json import indented
from .story import Entry, EntryKind, Setting

_TOLD_ELSEWHERE = frozenset({"input", "instructions", "tools", "proxy"})


def instructions_of(request: Mapping[str, object]) -> str:
    """The instructions, which the API takes as a string, and gives back as items at times."""
    value = request.get("instructions")
    if value is None or isinstance(value, str):
        return Content(value or "").text
    return "\n\n".join(entry.text for entry in entries_of(value, pointer="/instructions"))


def settings_of(request: Mapping[str, object]) -> tuple[Setting, ...]:
    """The other members of a body, in its own order."""
    return tuple(
        Setting(
            name=name,
            value=on_one_line(value if isinstance(value, str) else dumps(value).decode()),
            pointer=f"/{name.replace('~', '~0').replace('/', '~1')}",
        )
        for name, value in request.items()
        if name not in _TOLD_ELSEWHERE
    )


def tools_of(request: Mapping[str, object]) -> tuple[str, ...]:
    """The tools that were offered, by name; those of upstream by their type."""
    return tuple(tool_name(tool) for tool in list_of(request, "tools") or ())


def tool_name(tool: object) -> str:
    """What a tool that was offered goes by."""
    if not isinstance(tool, dict):
        return on_one_line(indented(tool))
    kind = text_of(tool, "type") or "tool"
    named = text_of(tool, "name") or text_of(object_of(tool, "function"), "name")
    if kind == "mcp" and (server := text_of(tool, "server_label")):
        return f"mcp {server}"
    return named or kind


def input_of(request: Mapping[str, object], earlier_tools: Mapping[str, str]) -> tuple[Entry, ...]:
    """What was sent to be answered; a body that is no JSON as the text that it is.

    `earlier_tools` are those that the call before called, by the ids of their calls.
    """
    entries = entries_of(request.get("input"), pointer="/input", earlier_tools=earlier_tools)
    body = text_of(object_of(request, "proxy"), "body_base64")
    if body is not None and not entries:
        entries = [_unread_body(body)]
    return tuple(entries)


def _unread_body(encoded: str) -> Entry:
    try:
        text = base64.b64decode(encoded, validate=True).decode(errors="replace")
    except (binascii.Error, ValueError):
        text = encoded
    return Entry(
        kind=EntryKind.OTHER,
        who="body",
        text=text,
        notes=("no JSON",),
        call_id=None,
        pointer="/proxy/body_base64",
        is_partial=False,
    )
