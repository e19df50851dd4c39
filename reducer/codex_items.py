"""Turns an item of a request or response into one that Codex's reducer takes, its text kept."""

from .exact_json import compact
from .fields import text_of
from .model_item import ModelItem
from .normalize import Oddities, normalize
from .parts import Part


def codex_item(item: object) -> object:
    """The item itself where Codex's reducer takes it, else one that reads as ours reads it."""
    oddities = Oddities()
    contents = normalize([item], "", oddities)
    if not any(oddities.messages()):
        return item
    (content,) = contents
    fields = item if isinstance(item, dict) else {"value": item}
    kind = text_of(fields, "type")
    if kind == "message" or (kind is None and "role" in fields):
        return _message(fields, content)
    if content.is_reasoning:
        return _with_ids(_reasoning(content.parts), fields)
    match content.kind:
        case "function_call":
            return _function_call(fields)
        case "function_call_output":
            output: dict[str, object] = {"type": "function_call_output", "output": fields}
            return _with_ids(output, fields)
        case _:
            parts = [_content_part(part, fields) for part in content.parts]
            message: dict[str, object] = {"type": "message", "role": content.role, "content": parts}
            return _with_ids(message, fields)


def text_message(text: str) -> dict[str, object]:
    """The message that a string `input` stands for."""
    part = {"type": "input_text", "text": text}
    return {"type": "message", "role": "user", "content": [part]}


def without_call_id(item: object) -> object:
    """The item without the id of its tool call: Codex gives up where one is used twice."""
    if not isinstance(item, dict):
        return item
    kind = text_of(item, "type")
    has_input = kind == "custom_tool_call" and text_of(item, "input") is not None
    if kind != "function_call" and not has_input:
        # The whole item is what the model is shown, its id with it.
        item = _function_call(item)
    return {key: value for key, value in item.items() if key != "call_id"}


def _message(fields: dict[str, object], content: ModelItem) -> dict[str, object]:
    message = {**fields, "type": "message", "role": content.role}
    text = text_of(fields, "content")
    if "type" not in fields and text is not None:
        part = "output_text" if content.role == "assistant" else "input_text"
        message["content"] = [{"type": part, "text": text}]
    return message


def _function_call(fields: dict[str, object]) -> dict[str, object]:
    """A call whose arguments are all of an item."""
    name = text_of(fields, "name") or text_of(fields, "type") or ""
    ids = _with_ids({"type": "function_call", "name": name}, fields)
    return {**ids, "arguments": compact(fields)}


def _reasoning(parts: tuple[Part, ...]) -> dict[str, object]:
    item: dict[str, object] = {"type": "reasoning", "summary": []}
    texts = [part.as_json["text"] for part in parts if part.type == "text"]
    # Codex takes no reasoning without anything in it, and this is the least there is.
    summaries = [part.as_json["text"] for part in parts if part.type == "summary"]
    item["summary"] = [
        {"type": "summary_text", "text": text} for text in (summaries if parts else [""])
    ]
    if texts:
        item["content"] = [{"type": "reasoning_text", "text": text} for text in texts]
    encoded = [part.as_json["value"] for part in parts if part.type == "encoded"]
    return item | ({"encrypted_content": encoded[0]} if encoded else {})


def _content_part(part: Part, fields: dict[str, object]) -> dict[str, object]:
    match part.type:
        case "text":
            return {"type": "output_text", "text": part.as_json["text"]}
        case "encoded":
            return {"type": "encrypted_content", "encrypted_content": part.as_json["value"]}
        case _:
            return {**fields, "type": part.as_json["label"]}


def _with_ids(item: dict[str, object], fields: dict[str, object]) -> dict[str, object]:
    ids = {name: text_of(fields, name) for name in ("id", "call_id")}
    return item | {name: value for name, value in ids.items() if value is not None}
