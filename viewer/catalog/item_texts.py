"""What can be searched for in an item of a request or response, and what a list shows of it."""

import re
from collections.abc import Mapping, Sequence

from reducer.fields import list_of, object_of, text_of
from tracing.strict_json import NotStrictJson, loads_strict

INDEXED_CHARS_MAX = 262_144
"""Of one item. A tool that printed a whole log is found by its beginning, and does not make the
index as large as the bundles."""

PREVIEW_CHARS_MAX = 200
"""More than a line of any terminal shows."""

_PREVIEWED_CHARS = 4 * PREVIEW_CHARS_MAX
"""Of a text of which a preview is made: white space in it becomes less."""

TOOLS_MAX = 64
"""Tool calls of one response that are named in a list."""

_NOT_READABLE = frozenset(
    {
        *("type", "role", "id", "call_id", "status", "phase", "logprobs", "obfuscation"),
        *("encrypted_content", "file_data", "data", "result_base64", "partial_image_b64"),
    }
)
"""Members that hold no words: names of the protocol's own, ids, and encoded bytes."""

_MARKS = re.compile("[\0\ue000\ue001\ud800-\udfff]")
"""No text in a database; and the two characters that mark what was found."""


def clean(text: str) -> str:
    """A text as the catalog can hold it."""
    if text.isascii():
        return text.replace("\0", " ")
    return _MARKS.sub(" ", text)


def label_of(item: object) -> str:
    """What an item is: a message's role, or the type of anything else."""
    if not isinstance(item, dict):
        return "item"
    kind, role = text_of(item, "type"), text_of(item, "role")
    if kind in {None, "", "message"}:
        return role or kind or "item"
    return kind or "item"


def text_of_item(item: object, chars_max: int = INDEXED_CHARS_MAX) -> str:
    """All that can be read of an item, a text a line, up to a number of characters."""
    texts = _Texts(chars_max)
    if isinstance(item, dict) and item.get("type") == "image_generation_call":
        item = {name: value for name, value in item.items() if name != "result"}
    texts.add(item)
    return clean("\n".join(texts.found))


class _Texts:
    """Gathers the texts of a value, in their order, until there are enough."""

    def __init__(self, chars_max: int) -> None:
        self.found: list[str] = []
        self._left = chars_max

    def add(self, value: object) -> None:
        """Gather what a value holds; payloads are no deeper than their reader lets through."""
        match value:
            case str():
                self._add_text(value)
            case dict():
                for name, member in value.items():
                    if name == "arguments" and isinstance(member, str):
                        self._add_arguments(member)
                    elif name not in _NOT_READABLE:
                        self.add(member)
            case list():
                for member in value:
                    if self._left <= 0:
                        return
                    self.add(member)

    def _add_text(self, text: str) -> None:
        if text and self._left > 0 and not text.startswith("data:"):
            self.found.append(text[: self._left])
            self._left -= len(text) + 1

    def _add_arguments(self, written: str) -> None:
        """Arguments as they are meant: in their JSON, a line end is two characters of a word."""
        try:
            arguments = loads_strict(written.encode(errors="replace"))
        except NotStrictJson:
            arguments = None
        if not isinstance(arguments, dict):
            self._add_text(written)
            return
        for name, value in arguments.items():
            self._add_text(f"{name}:")
            self.add(value)


def preview(text: str) -> str:
    """The beginning of a text, on one line."""
    return clean(" ".join(text[:_PREVIEWED_CHARS].split())[:PREVIEW_CHARS_MAX])


def asked_in(request: Mapping[str, object]) -> str:
    """The beginning of what was asked last: the latest item with any text."""
    asked = request.get("input")
    if isinstance(asked, str):
        return preview(asked)
    for item in reversed(asked if isinstance(asked, list) else []):
        if text := text_of_item(item, _PREVIEWED_CHARS):
            return preview(text)
    return ""


def answered_in(response: Mapping[str, object]) -> str:
    """The beginning of what came: the first text that was said, else the first tool called.

    Items that were in progress count where none was done.
    """
    items = [item for item in said_in(response) if isinstance(item, dict)]
    for item in items:
        if item.get("type") == "message" and (text := text_of_item(item, _PREVIEWED_CHARS)):
            return preview(text)
    for item in items:
        if name := tool_of(item):
            return preview(f"{name} {text_of(item, 'arguments') or text_of(item, 'input') or ''}")
    return ""


def tools_in(response: Mapping[str, object]) -> list[str]:
    """The tools that a response called, by name."""
    names = [tool_of(item) for item in said_in(response)]
    return [name for name in names if name is not None][:TOOLS_MAX]


def tool_of(item: object) -> str | None:
    """The name of the tool that an item calls, or its type where it has none."""
    if not isinstance(item, dict):
        return None
    kind = text_of(item, "type") or ""
    return preview(text_of(item, "name") or kind) if kind.endswith("_call") else None


def said_in(response: Mapping[str, object]) -> Sequence[object]:
    """The items of a response: those that were done, then those in progress."""
    return [*done_in(response), *partial_in(response)]


def done_in(response: Mapping[str, object]) -> Sequence[object]:
    """The items of a response that were done; Codex's compactions have upstream's name for them."""
    return list_of(response, "output_items") or list_of(response, "output") or []


def partial_in(response: Mapping[str, object]) -> Sequence[object]:
    """The items of a response that were in progress when it ended."""
    partial = list_of(object_of(response, "proxy"), "partial_items") or []
    return [entry["item"] for entry in partial if isinstance(entry, dict) and "item" in entry]
