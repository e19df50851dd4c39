"""Reads the items of requests and responses, as Codex's reducer reads them.

What that refuses is read as well as it can be, and the oddity is told. Nothing here knows of the
conversation that the items belong to.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from .diagnostics import Code
from .exact_json import NotExactJson, parse_exact
from .fields import list_of, text_of
from .model_item import ModelItem
from .parts import (
    Part,
    code_part,
    encoded_part,
    hashed_part,
    json_part,
    summary_part,
    text_part,
    unread_part,
)
from .shared_json import SharedObject

ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
CHANNELS = {"commentary": "commentary", "final_answer": "final", "summary": "summary"}
TEXT_TYPES = frozenset({"input_text", "output_text", "text"})
REASONING_TEXT_TYPES = frozenset({"reasoning_text", "text"})


class Oddities:
    """What was odd in the items of one payload, counted by code: a history repeats its oddities."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[Code, str]] = Counter()

    def add(self, code: Code, what: str) -> None:
        """Note one odd item; `what` says how it is odd, in words that fit all such items."""
        self._counts[code, what] += 1

    def messages(self) -> Iterable[tuple[Code, str]]:
        """A code and a message for each kind of oddity, in the order of their first cases."""
        for (code, what), count in self._counts.items():
            yield code, what if count == 1 else f"{what} ({count} items)"


@dataclass(frozen=True, slots=True)
class _Reading:
    """What an item reads as, and what was odd in it; no content where it is no conversation."""

    content: ModelItem | None
    oddities: tuple[tuple[Code, str], ...]


def normalize(items: Iterable[object], raw_payload_id: str, oddities: Oddities) -> list[ModelItem]:
    """Read the items of a payload. Tool definitions that stand among them are no conversation."""
    found = []
    for item in items:
        reading = item.reading if type(item) is SharedObject else None
        if not isinstance(reading, _Reading):
            reading = _read(item, raw_payload_id)
            if isinstance(item, SharedObject) and not _is_tied(reading):
                item.reading = reading
        if reading.content is not None:
            found.append(reading.content)
        for code, what in reading.oddities:
            oddities.add(code, what)
    return found


def _read(item: object, raw_payload_id: str) -> _Reading:
    oddities = Oddities()
    if not isinstance(item, dict):
        oddities.add(Code.UNTYPED_ITEM, "an item is no object")
        item = {"value": item}
    kind = text_of(item, "type")
    is_conversation = kind != "additional_tools"
    content = _Reader(item, raw_payload_id, oddities).read(kind) if is_conversation else None
    return _Reading(content, tuple(oddities.messages()))


def _is_tied(reading: _Reading) -> bool:
    """Whether the reading holds for one payload only."""
    return reading.content is not None and any(part.is_tied for part in reading.content.parts)


def text_message(text: str) -> ModelItem:
    """The user message that a string `input` stands for (Responses API reference, create)."""
    return ModelItem(role="user", kind="message", parts=(text_part(text),))


class _Reader:
    """Reads one item."""

    def __init__(self, item: dict[str, object], raw_payload_id: str, oddities: Oddities) -> None:
        self._item = item
        self._payload = raw_payload_id
        self._oddities = oddities

    def read(self, kind: str | None) -> ModelItem:
        """Read the item, whose type is `kind`."""
        if kind is None:
            return self._untyped()
        reader = _READERS.get(kind)
        return self._unknown(kind) if reader is None else reader(self)

    def _made(
        self,
        role: str,
        kind: str,
        parts: Iterable[Part],
        *,
        channel: str | None = None,
        agent_message: tuple[str, str] | None = None,
        refers_to: str | None = None,
    ) -> ModelItem:
        has_call = kind not in {"message", "reasoning"}
        return ModelItem(
            role=role,
            kind=kind,
            parts=tuple(parts),
            channel=channel,
            call_id=text_of(self._item, "call_id") if has_call else None,
            responses_item_id=text_of(self._item, "id"),
            agent_message=agent_message,
            refers_to=refers_to,
        )

    def message(self) -> ModelItem:
        parts = self._content("content", label="content")
        channel = CHANNELS.get(text_of(self._item, "phase") or "")
        return self._made(self._role(), "message", parts, channel=channel)

    def agent_message(self) -> ModelItem:
        author, recipient = text_of(self._item, "author"), text_of(self._item, "recipient")
        parts: list[Part] = []
        has_odd_id = not isinstance(self._item.get("id"), str | None)
        is_odd = author is None or recipient is None or has_odd_id
        for content in list_of(self._item, "content") or ():
            part = _agent_part(content)
            is_odd |= part is None
            parts.extend([part] if part else [])
        if is_odd or not parts:
            self._oddities.add(Code.ODD_ITEM, "an agent_message lacks fields or readable content")
        return self._made(
            "assistant",
            "message",
            parts,
            channel="analysis",
            agent_message=(author or "", recipient or ""),
        )

    def reasoning(self) -> ModelItem:
        parts = [
            *self._reasoning_parts("content", REASONING_TEXT_TYPES, text_part),
            *self._reasoning_parts("summary", {"summary_text"}, summary_part),
        ]
        encrypted = self._item.get("encrypted_content")
        if isinstance(encrypted, str):
            parts.append(encoded_part(encrypted))
        elif encrypted is not None:
            self._oddities.add(Code.ODD_ITEM, "a reasoning item has odd encrypted_content")
        if not parts:
            self._oddities.add(Code.EMPTY_REASONING, "a reasoning item has no content at all")
        return self._made("assistant", "reasoning", parts, channel="analysis")

    def function_call(self) -> ModelItem:
        return self._call("function_call", [self._arguments()])

    def function_call_output(self) -> ModelItem:
        return self._output("function_call_output", self._tool_output())

    def custom_tool_call(self) -> ModelItem:
        source = text_of(self._item, "input")
        if source is None:
            part = self._whole()
        elif self._item.get("name") == "exec":
            part = code_part(source)
        else:
            part = text_part(source)
        return self._call("custom_tool_call", [part])

    def custom_tool_call_output(self) -> ModelItem:
        return self._output("custom_tool_call_output", self._tool_output())

    def hosted_call(self) -> ModelItem:
        return self._call("function_call", [self._whole()])

    def hosted_output(self) -> ModelItem:
        return self._output("function_call_output", [self._whole()])

    def compaction(self) -> ModelItem:
        encrypted = text_of(self._item, "encrypted_content")
        if encrypted is None:
            self._oddities.add(Code.ODD_ITEM, "a compaction item has no encrypted_content")
        parts = [] if encrypted is None else [encoded_part(encrypted)]
        return self._made("assistant", "message", parts, channel="summary")

    def _untyped(self) -> ModelItem:
        """The API takes messages without a type, and references with nothing but an id."""
        self._oddities.add(Code.UNTYPED_ITEM, "an item has no type")
        if "role" in self._item:
            text = text_of(self._item, "content")
            parts = self._content("content", label="content") if text is None else [text_part(text)]
            return self._made(self._role(), "message", parts)
        return self._reference() if text_of(self._item, "id") else self._other("item")

    def _unknown(self, kind: str) -> ModelItem:
        self._oddities.add(Code.UNKNOWN_ITEM, f"Codex knows no item type {kind}")
        if kind == "item_reference":
            return self._reference()
        if kind.endswith("_call"):
            return self.hosted_call()
        if kind.endswith(("_output", "_response")):
            return self.hosted_output()
        return self._other(kind)

    def _reference(self) -> ModelItem:
        part = hashed_part("item_reference", self._item)
        return self._made("assistant", "message", [part], refers_to=text_of(self._item, "id"))

    def _other(self, label: str) -> ModelItem:
        role = text_of(self._item, "role")
        part = hashed_part(label, self._item)
        return self._made(role if role in ROLES else "assistant", "message", [part])

    def _call(self, kind: str, parts: Iterable[Part]) -> ModelItem:
        return self._made("assistant", kind, parts, channel="commentary")

    def _output(self, kind: str, parts: Iterable[Part]) -> ModelItem:
        return self._made("tool", kind, parts, channel="commentary")

    def _role(self) -> str:
        role = text_of(self._item, "role")
        if role in ROLES:
            return role
        self._oddities.add(Code.ODD_ITEM, "a message has no role that Codex knows")
        return "user"

    def _whole(self) -> Part:
        return json_part(self._item)

    def _arguments(self) -> Part:
        """A function's arguments: JSON in a string, though a model may write what is none."""
        if "arguments" not in self._item:
            return unread_part("payload", self._payload)
        arguments = self._item["arguments"]
        if not isinstance(arguments, str):
            return json_part(arguments)
        try:
            return json_part(parse_exact(arguments))
        except NotExactJson:
            return text_part(arguments)

    def _tool_output(self) -> list[Part]:
        if "output" not in self._item:
            return [unread_part("tool_output", self._payload)]
        match self._item["output"]:
            case str() as text:
                return [text_part(text)]
            case list():
                return self._content("output", label="content")
            case value:
                return [json_part(value)]

    def _content(self, key: str, *, label: str) -> list[Part]:
        """The parts of an array of content; text without a text is left out, as Codex does."""
        content = list_of(self._item, key)
        if content is None:
            return [unread_part(label, self._payload)]
        parts = []
        for part in content:
            kind = text_of(part, "type") if isinstance(part, dict) else None
            if kind not in TEXT_TYPES:
                parts.append(hashed_part(kind or label, part))
            elif text := _text(part):
                parts.append(text)
        return parts

    def _reasoning_parts(
        self, key: str, types: Iterable[str], make: Callable[[str], Part]
    ) -> list[Part]:
        content = self._item.get(key)
        if content is None and (key == "content" or key not in self._item):
            return []
        parts = []
        is_odd = not isinstance(content, list)
        for part in content if isinstance(content, list) else ():
            text = text_of(part, "text") if isinstance(part, dict) else None
            if text is None or part.get("type") not in types:
                is_odd = True
            else:
                parts.append(make(text))
        if is_odd:
            self._oddities.add(Code.ODD_ITEM, f"a reasoning item has odd {key}")
        return parts


def _text(part: object) -> Part | None:
    text = text_of(part, "text") if isinstance(part, dict) else None
    return None if text is None else text_part(text)


def _agent_part(content: object) -> Part | None:
    if not isinstance(content, dict):
        return None
    match content:
        case {"type": "input_text", "text": str(text)}:
            return text_part(text)
        case {"type": "encrypted_content", "encrypted_content": str(value)}:
            return encoded_part(value)
        case _:
            return None


_READERS: Mapping[str, Callable[[_Reader], ModelItem]] = {
    "message": _Reader.message,
    "agent_message": _Reader.agent_message,
    "reasoning": _Reader.reasoning,
    "function_call": _Reader.function_call,
    "function_call_output": _Reader.function_call_output,
    "custom_tool_call": _Reader.custom_tool_call,
    "custom_tool_call_output": _Reader.custom_tool_call_output,
    "tool_search_call": _Reader.hosted_call,
    "web_search_call": _Reader.hosted_call,
    "image_generation_call": _Reader.hosted_call,
    "local_shell_call": _Reader.hosted_call,
    "tool_search_output": _Reader.hosted_output,
    "mcp_tool_call_output": _Reader.hosted_output,
    "compaction": _Reader.compaction,
    "compaction_summary": _Reader.compaction,
    "context_compaction": _Reader.compaction,
}
