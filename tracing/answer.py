"""Reads what an observer kept of one response: the API's last word, ids, usage and items.

It runs once a call, after its end, and never on the hot path.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

from .capture import Kind, Piece
from .observer import Seen
from .partial import PartialItems
from .redaction import RawHeaders
from .sse import SSEScanner
from .strict_json import NotStrictJson, loads_lenient
from .terminal import ProtocolWord

_HTTP_STATUSES = range(100, 600)
_WORD_OF_EVENT = {
    b"response.completed": ProtocolWord.COMPLETED,
    b"response.failed": ProtocolWord.FAILED,
    b"response.incomplete": ProtocolWord.INCOMPLETE,
    b"response.cancelled": ProtocolWord.CANCELLED,
}
_WORD_OF_STATUS = {
    "completed": ProtocolWord.COMPLETED,
    "failed": ProtocolWord.FAILED,
    "incomplete": ProtocolWord.INCOMPLETE,
    "cancelled": ProtocolWord.CANCELLED,
    # A background response: the call got its answer, the response goes on without it.
    "queued": ProtocolWord.COMPLETED,
    "in_progress": ProtocolWord.COMPLETED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, as far as it came."""

    word: ProtocolWord = ProtocolWord.NONE
    text: str | None = None
    response_id: str | None = None
    response_status: str | None = None
    usage: Mapping[str, int] | None = None
    output_items: list[Any] = field(default_factory=list)
    body: object = None
    http_status: int | None = None
    """Set by an error on a WebSocket that tells one, as are ``headers``."""
    headers: RawHeaders = ()


def read_answer(seen: Seen | None, http_status: int | None, *, is_whole: bool) -> Answer:
    """Read the answer; None is where no response came.

    ``is_whole`` tells that upstream came to its end.
    """
    if seen is None:
        return Answer()
    if http_status is None:
        # A WebSocket's answers have no status, and are streams.
        return _read_stream(seen)
    if http_status >= HTTPStatus.BAD_REQUEST:
        return _read_refusal(seen, http_status)
    if seen.is_stream:
        return _read_stream(seen)
    if seen.lost_bytes and is_whole:
        # How a call ended does not depend on what there was memory for.
        return Answer(word=ProtocolWord.COMPLETED)
    return _read_body(seen, http_status)


def partial_items(pieces: Iterable[Piece], event_bytes_max: int) -> list[dict[str, Any]]:
    """Rebuild the items that a stream began and did not finish, from its capture."""
    scanner = SSEScanner(event_bytes_max)
    items = PartialItems()
    for piece in pieces:
        match piece.kind:
            case Kind.BODY:
                found = [event.data for event in scanner.feed(piece.data)]
            case Kind.MESSAGE:
                found = [piece.data]
            case Kind.HEAD:
                found = []
        for data in found:
            if isinstance(event := _parse(data), dict):
                items.feed(event)
    return items.items()


def _read_stream(seen: Seen) -> Answer:
    items = [event["item"] for event in map(_parse, seen.done_items) if _has_item(event)]
    if seen.terminal_type is not None:
        word = _WORD_OF_EVENT[seen.terminal_type]
        match _parse(seen.terminal_data):
            case {"response": dict(response)}:
                return _of_response(word, response, seen, items)
            case _:
                return _unread(word, seen, items)
    if seen.error is not None:
        error = _parse(seen.error)
        text = _error_text(error) or "error event"
        answer = _unread(ProtocolWord.ERROR, seen, items, text)
        return replace(answer, http_status=_error_status(error), headers=error_headers(error))
    cancelled = seen.response_status == "cancelled"
    return _unread(ProtocolWord.CANCELLED if cancelled else ProtocolWord.NONE, seen, items)


def _unread(word: ProtocolWord, seen: Seen, items: list[Any], text: str | None = None) -> Answer:
    """The answer of a stream whose end carried no response to read."""
    return Answer(
        word=word,
        text=text,
        response_id=seen.response_id,
        response_status=seen.response_status,
        output_items=items,
    )


def _of_response(
    word: ProtocolWord, response: Mapping[str, Any], seen: Seen, items: list[Any]
) -> Answer:
    output = response.get("output")
    return Answer(
        word=word,
        text=_response_text(word, response),
        response_id=_text(response.get("id")) or seen.response_id,
        response_status=_text(response.get("status")) or seen.response_status,
        usage=_usage(response.get("usage")),
        output_items=items or (output if isinstance(output, list) else []),
    )


def _read_body(seen: Seen, http_status: int) -> Answer:
    body = _parse(b"".join(seen.body))
    match body:
        case {"object": "response.compaction", "output": list()}:
            return _of_response(ProtocolWord.COMPLETED, body, seen, [])
        case {"status": str(status)} if status in _WORD_OF_STATUS:
            return _of_response(_WORD_OF_STATUS[status], body, seen, [])
        case _:
            what = "could not be kept" if seen.lost_bytes else "is no response object"
            text = f"http {http_status}: the answer {what}"
            word = ProtocolWord.ERROR if body is not None else ProtocolWord.NONE
            return Answer(word=word, text=text, body=body)


def _read_refusal(seen: Seen, http_status: int) -> Answer:
    raw = b"".join(seen.body)
    body = _parse(raw)
    if body is None and raw:
        body = raw.decode(errors="replace")
    message = _error_text(body)
    text = f"http {http_status}: {message}" if message else f"http {http_status}"
    return Answer(word=ProtocolWord.ERROR, text=text, body=body)


def _parse(data: bytes | bytearray | None) -> Any:
    if not data:
        return None
    try:
        return loads_lenient(data)
    except NotStrictJson:
        return None


def _has_item(event: object) -> bool:
    return isinstance(event, dict) and isinstance(event.get("item"), dict)


def _response_text(word: ProtocolWord, response: Mapping[str, Any]) -> str | None:
    """Tell what went wrong, in Codex's words where it has some (codex-rs, sse/responses.rs)."""
    match word, response:
        case ProtocolWord.INCOMPLETE, {"incomplete_details": {"reason": str(reason)}}:
            return f"Incomplete response returned, reason: {reason}"
        case ProtocolWord.INCOMPLETE, _:
            return "Incomplete response returned, reason: unknown"
        case ProtocolWord.FAILED, _:
            return _error_text(response) or "response.failed event received"
        case _:
            return None


def _error_text(body: object) -> str | None:
    """Find code and message in OpenAI's error shapes: nested under ``error``, or flat."""
    match body:
        case {"error": {"message": str(message), **error}}:
            code = error.get("code")
        case {"message": str(message), **error}:
            code = error.get("code")
        case {"error": str(message)}:
            return message
        case _:
            return None
    return f"{code}: {message}" if isinstance(code, str) else message


def _error_status(error: object) -> int | None:
    """Return the status that an error on a WebSocket tells, under either of its names."""
    match error:
        case {"status": int(status)} | {"status_code": int(status)} if status in _HTTP_STATUSES:
            return status
        case _:
            return None


def error_headers(error: object) -> RawHeaders:
    """Return the headers in an error on a WebSocket: inside for the SDK, beside it for Codex."""
    match error:
        case {"error": {"headers": dict(headers)}} | {"headers": dict(headers)}:
            return tuple(
                (name.encode(errors="replace"), value.encode(errors="replace"))
                for name, value in headers.items()
                if isinstance(value, str)
            )
        case _:
            return ()


def _usage(usage: object) -> Mapping[str, int] | None:
    """Return the usage under the names that Codex's traces have for it."""
    if not isinstance(usage, dict):
        return None
    read = usage.get("input_tokens_details")
    written = usage.get("output_tokens_details")
    named = {
        "input_tokens": usage.get("input_tokens"),
        "cached_input_tokens": read.get("cached_tokens", 0) if isinstance(read, dict) else 0,
        "cache_write_input_tokens": (
            read.get("cache_write_tokens", 0) if isinstance(read, dict) else 0
        ),
        "output_tokens": usage.get("output_tokens"),
        "reasoning_output_tokens": (
            written.get("reasoning_tokens", 0) if isinstance(written, dict) else 0
        ),
        "total_tokens": usage.get("total_tokens"),
    }
    return {name: count for name, count in named.items() if isinstance(count, int)}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
