"""Rebuild, from a stream's events, the output items that had begun and were not done.

Total: events that are odd, out of place or of an unknown kind change nothing and raise nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .partial_item import COMMANDS, PartialItem, Spot, skeleton

_Event = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class _PartText:
    """A text that is a field of a part: of what part, in which of the item's lists."""

    item_type: str
    entries: str
    index_key: str
    field: str
    new_part: Mapping[str, Any]


_PART_TEXTS = {
    "response.output_text": _PartText(
        item_type="message",
        entries="content",
        index_key="content_index",
        new_part={"type": "output_text", "annotations": []},
        field="text",
    ),
    "response.refusal": _PartText(
        item_type="message",
        entries="content",
        index_key="content_index",
        new_part={"type": "refusal"},
        field="refusal",
    ),
    "response.reasoning_text": _PartText(
        item_type="reasoning",
        entries="content",
        index_key="content_index",
        new_part={"type": "reasoning_text"},
        field="text",
    ),
    "response.reasoning_summary_text": _PartText(
        item_type="reasoning",
        entries="summary",
        index_key="summary_index",
        new_part={"type": "summary_text"},
        field="text",
    ),
}

# Texts that are a field of the item itself: (item type, field).
_FIELD_TEXTS = {
    "response.function_call_arguments": ("function_call", "arguments"),
    "response.custom_tool_call_input": ("custom_tool_call", "input"),
    "response.mcp_call_arguments": ("mcp_call", "arguments"),
    "response.code_interpreter_call_code": ("code_interpreter_call", "code"),
}


class PartialItems:
    """Folds the events of one response, in the order in which they came.

    `done` holds the items of `response.output_item.done`. Items are known by `output_index`, as the
    API numbers them; an event that lacks it is placed by its `item_id`.
    """

    def __init__(self) -> None:
        self.done: list[dict[str, Any]] = []
        self._open: dict[int, PartialItem] = {}
        self._index_of: dict[str, int] = {}
        self._done_indexes: set[int] = set()

    def items(self) -> list[dict[str, Any]]:
        """The open items as `{"output_index", "item"}`, each shaped as when done but incomplete."""
        return [
            {"output_index": index, "item": item.item()}
            for index, item in sorted(self._open.items(), key=lambda opened: opened[0])
        ]

    def feed(self, event: Mapping[str, object]) -> None:
        """Take the next event, parsed."""
        event_type = event.get("type")
        if not isinstance(event_type, str):
            return
        kind, _, step = event_type.rpartition(".")
        if kind in _PART_TEXTS:
            self._take_part_text(_PART_TEXTS[kind], step, event)
        elif kind in _FIELD_TEXTS:
            self._take_field_text(*_FIELD_TEXTS[kind], step, event)
        match kind:
            case "response.output_item":
                self._take_item(step, event)
            case "response.content_part":
                self._take_part("content", "content_index", event)
            case "response.reasoning_summary_part":
                self._take_part("summary", "summary_index", event)
            case "response.output_text.annotation":
                self._take_annotation(event)
            case "response.shell_call_command":
                self._take_command(step, event)
            case "response.shell_call_output_content":
                self._take_shell_output(step, event)
            case "response.image_generation_call" if step == "partial_image":
                self._take_image(event)

    def _take_item(self, step: str, event: _Event) -> None:
        item = event.get("item")
        if not isinstance(item, dict):
            return
        index = self._index(event.get("output_index"), item.get("id"))
        if step == "done":
            self.done.append(item)
            if index is not None:
                self._open.pop(index, None)
                self._done_indexes.add(index)
        elif step == "added" and index is not None and index not in self._done_indexes:
            self._begin(index, item)

    def _take_part(self, entries: str, index_key: str, event: _Event) -> None:
        part = event.get("part")
        at = _natural(event.get(index_key))
        if not isinstance(part, dict) or at is None:
            return
        is_reasoning = entries == "summary" or part.get("type") == "reasoning_text"
        if item := self._item_of(event, "reasoning" if is_reasoning else "message"):
            item.put_entry(entries, at, part)

    def _take_part_text(self, text: _PartText, step: str, event: _Event) -> None:
        at = _natural(event.get(text.index_key))
        value = event.get(text.field if step == "done" else "delta")
        if at is None or not isinstance(value, str):
            return
        if item := self._item_of(event, text.item_type):
            if not item.has_entry(text.entries, at):
                item.put_entry(text.entries, at, text.new_part)
            _write(item, step, (text.entries, at, text.field), value)

    def _take_field_text(self, item_type: str, field: str, step: str, event: _Event) -> None:
        value = event.get(field if step == "done" else "delta")
        if isinstance(value, str) and (item := self._item_of(event, item_type)):
            _write(item, step, (field,), value)

    def _take_annotation(self, event: _Event) -> None:
        annotation = event.get("annotation")
        at = _natural(event.get("content_index"))
        if not isinstance(annotation, dict) or at is None:
            return
        if item := self._item_of(event, "message"):
            item.append_to_entry("content", at, "annotations", annotation)

    def _take_command(self, step: str, event: _Event) -> None:
        value = event.get("delta" if step == "delta" else "command")
        at = _natural(event.get("command_index"))
        if not isinstance(value, str) or at is None:
            return
        if item := self._item_of(event, "shell_call"):
            _write(item, step, (COMMANDS, at, "text"), value)

    def _take_shell_output(self, step: str, event: _Event) -> None:
        at = _natural(event.get("command_index"))
        item = self._item_of(event, "shell_call_output")
        if at is None or item is None:
            return
        match event.get("output" if step == "done" else "delta"):
            case list(outputs):
                for index, output in enumerate(outputs, start=at):
                    if isinstance(output, dict):
                        item.put_entry("output", index, output)
            case dict(delta):
                for stream in ("stdout", "stderr"):
                    text = delta.get(stream)
                    if isinstance(text, str):
                        item.grow(("output", at, stream), text)

    def _take_image(self, event: _Event) -> None:
        image = event.get("partial_image_b64")
        if isinstance(image, str) and (item := self._item_of(event, "image_generation_call")):
            item.set_text(("result",), image)

    def _item_of(self, event: _Event, item_type: str) -> PartialItem | None:
        """The open item that an event is about, begun here if its own beginning was lost."""
        item_id = event.get("item_id")
        index = self._index(event.get("output_index"), item_id)
        if index is None or index in self._done_indexes:
            return None
        return self._open.get(index) or self._begin(index, skeleton(item_type, item_id))

    def _begin(self, index: int, item: Mapping[str, Any]) -> PartialItem:
        item_id = item.get("id")
        if isinstance(item_id, str):
            self._index_of[item_id] = index
        self._open[index] = PartialItem(item)
        return self._open[index]

    def _index(self, output_index: object, item_id: object) -> int | None:
        index = _natural(output_index)
        if index is None and isinstance(item_id, str):
            return self._index_of.get(item_id)
        return index


def _write(item: PartialItem, step: str, spot: Spot, text: str) -> None:
    if step == "delta":
        item.grow(spot, text)
    else:
        item.set_text(spot, text)


def _natural(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None
