"""What an event of a stream adds, on one line."""

from collections.abc import Mapping

from reducer.fields import object_of, text_of
from tracing.strict_json import dumps

from .readable_json import blob_note

SUMMARY_CHARACTERS_MAX = 200

_TEXTS = ("delta", "text", "refusal", "arguments", "input", "code")
"""Where the text of a delta, or of what is done, stands."""


def event_summary(event: object) -> str:
    """Tell what a parsed event adds: a text, an item, a status. Empty where nothing is to tell."""
    if not isinstance(event, dict):
        return ""
    return on_one_line(_summary(event))


def on_one_line(text: str) -> str:
    """A text with its line ends marked, cut where it is long."""
    beginning = text[: SUMMARY_CHARACTERS_MAX + 1]
    line = beginning.replace("\r\n", "\u21b5").replace("\n", "\u21b5").replace("\r", "\u21b5")
    is_cut = len(text) > SUMMARY_CHARACTERS_MAX
    return line[:SUMMARY_CHARACTERS_MAX] + "…" if is_cut else line


def _summary(event: Mapping[str, object]) -> str:
    match event:
        case {"response": dict(response)}:
            return _response(response)
        case {"item": dict(item)}:
            return _item(item)
        case {"partial_image_b64": str(image)}:
            return blob_note("image", image)
        case {"annotation": dict(annotation)}:
            return text_of(annotation, "url") or text_of(annotation, "filename") or ""
        case {"part": dict(part)}:
            return text_of(part, "text") or text_of(part, "type") or ""
        case {"error": dict() as error} | ({"type": "error"} as error):
            return _error(error)
        case {"output": list(), "status": str()}:
            return _response(event)
    for key in _TEXTS:
        match event.get(key):
            case str(text):
                return text
            case dict(delta):
                return dumps(delta).decode()
    return ""


def _response(response: Mapping[str, object]) -> str:
    """A response's id, status and tokens."""
    usage = object_of(response, "usage")
    sent, got = usage.get("input_tokens"), usage.get("output_tokens")
    tokens = f"{sent} tokens in, {got} out" if isinstance(sent, int) else None
    incomplete = text_of(object_of(response, "incomplete_details"), "reason")
    error = _error(object_of(response, "error"))
    told = (text_of(response, "id"), text_of(response, "status"), incomplete, error, tokens)
    return ", ".join(part for part in told if part)


def _item(item: Mapping[str, object]) -> str:
    told = (text_of(item, "type"), text_of(item, "name"), text_of(item, "status"))
    return " ".join(part for part in told if part)


def _error(error: Mapping[str, object]) -> str:
    told = (text_of(error, "code"), text_of(error, "message"))
    return ": ".join(part for part in told if part)
