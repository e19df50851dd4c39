"""Builds what the end of a call becomes: its terminal event and its response payload."""

from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .answer import Answer, partial_items, read_answer
from .apart import Apart, Content, NotRead, is_large
from .call import CallEnded, CallSummary
from .capture import Piece
from .json_masking import mask_json, mask_text
from .observer import ResponseObserver, Seen
from .open_call import OpenCall
from .redaction import RawHeaders, kept_headers
from .request_ids import upstream_request_id
from .strict_json import dumps
from .terminal import ProtocolWord, Terminal, TerminalType, TransportEnd, decide

ReadPieces = Callable[["array[int]"], Iterator[Piece]]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndRecord:
    """What the end of a call becomes. ``event`` lacks only the reference to ``payload``."""

    answer: Answer
    terminal: Terminal
    payload: bytes
    event: dict[str, Any]
    summary: CallSummary

    def event_naming(self, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the terminal event with the reference to its payload."""
        match self.event["type"]:
            case "inference_completed" | "compaction_request_completed":
                return {**self.event, "response_payload": payload}
            case "compaction_request_failed":
                # Codex's event has no place for one.
                return {**self.event, "proxy": {**self.event["proxy"], "response_payload": payload}}
            case _:
                return {**self.event, "partial_response_payload": payload}


def end_record(
    call: OpenCall,
    ended: CallEnded,
    *,
    capture_name: str,
    read_pieces: ReadPieces,
    event_bytes_max: int,
    keep_bodies: bool,
    apart: Apart,
) -> EndRecord:
    """Decide how the call ended, and build its terminal event and response payload.

    Raises OSError where the capture is needed for partial items and cannot be read.
    """
    seen = None if ended.observer is None else ended.observer.seen()
    is_whole = ended.end is TransportEnd.EOF
    if seen is not None and _is_for_apart(seen) and not call.is_prewarm:
        answer, payload = _read_apart(apart, call, ended, seen, keep_bodies=keep_bodies)
    else:
        answer = read_answer(seen, ended.http_status, is_whole=is_whole)
        ended = with_headers_of(answer, ended)
        partial: list[dict[str, Any]] = []
        if seen is not None and seen.is_stream and answer.word is not ProtocolWord.COMPLETED:
            partial = partial_items(read_pieces(call.offsets), event_bytes_max)
        record = response_payload(answer, ended.headers, partial, seen, keep_bodies=keep_bodies)
        payload = mask_json(dumps(record), call.secrets)
    terminal = decide(answer.word, answer.text, ended.end, ended.end_text)
    request_id, _ = upstream_request_id(ended.headers)
    capture = _capture(call, ended, capture_name) if keep_bodies else None
    proxy = terminal_proxy(ended, answer, terminal, bytes_up=call.bytes_up, capture=capture)
    return EndRecord(
        answer=answer,
        terminal=terminal,
        payload=payload,
        event={**_event(call, terminal, answer.response_id, request_id), "proxy": proxy},
        summary=_summary(call, ended, answer, terminal, request_id),
    )


def _is_for_apart(seen: Seen) -> bool:
    """Whether a response is large, and nothing in it can be in progress: a capture stays here."""
    is_settled = not seen.is_stream or seen.terminal_type == b"response.completed"
    return is_settled and is_large(seen.kept_bytes)


def _read_apart(
    apart: Apart, call: OpenCall, ended: CallEnded, seen: Seen, *, keep_bodies: bool
) -> tuple[Answer, bytes]:
    """Have a response read; how the call ended is told also where that fails."""
    facts: dict[str, Any] = {
        "http_status": ended.http_status,
        "headers": ended.headers,
        "is_whole": ended.end is TransportEnd.EOF,
        "keep_bodies": keep_bodies,
        "secrets": call.secrets,
    }
    content = Content(call_id=call.call_id, what="response_bytes", size=seen.kept_bytes)
    try:
        return apart.run(content, read_settled, seen, **facts)
    except NotRead as error:
        return read_settled(_without_content(seen), **facts, lost=str(error))


def _without_content(seen: Seen) -> Seen:
    """Return what the observer knew of a settled response before anybody had read it."""
    return replace(
        seen,
        terminal_data=None,
        done_items=[],
        body=[],
        lost_bytes=seen.lost_bytes + seen.kept_bytes,
    )


def read_settled(
    seen: Seen,
    *,
    http_status: int | None,
    headers: RawHeaders,
    is_whole: bool,
    keep_bodies: bool,
    secrets: tuple[bytes, ...],
    lost: str | None = None,
) -> tuple[Answer, bytes]:
    """Read a response with nothing in progress, and build its payload.

    The answer that is returned with it has no content.
    """
    answer = read_answer(seen, http_status, is_whole=is_whole)
    payload = response_payload(answer, headers, [], seen, keep_bodies=keep_bodies, lost=lost)
    return replace(answer, output_items=[], body=None), mask_json(dumps(payload), secrets)


def with_headers_of(answer: Answer, ended: CallEnded) -> CallEnded:
    """Take the status and headers that an error on a WebSocket told, if it did."""
    if answer.http_status is None and not answer.headers:
        return ended
    return replace(ended, http_status=answer.http_status, headers=answer.headers)


def terminal_proxy(
    ended: CallEnded,
    answer: Answer,
    terminal: Terminal,
    *,
    bytes_up: int,
    capture: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return what stands under ``proxy`` of a terminal event. Times are ms from the arrival."""
    observer = ended.observer
    _, request_id_header = upstream_request_id(ended.headers)
    proxy: dict[str, Any] = {
        "http_status": ended.http_status,
        "response_id": answer.response_id,
        "upstream_request_id_header": request_id_header,
        "response_status": answer.response_status,
        "outcome": {"protocol": answer.word, "transport": ended.end, "reason": terminal.text},
        "timing": _timing(ended, observer),
        "events": observer.events if observer else 0,
        "bytes_up": bytes_up,
        "bytes_down": ended.bytes_down,
        "last_sequence_number": observer.last_sequence_number() if observer else None,
        "capture": capture,
        "response_headers": kept_headers(ended.headers),
        "notes": _notes(ended),
    }
    if ended.waits.client_blocked_ns:
        proxy["client_blocked"] = [
            [_ms(at_ns - ended.arrived_ns) for at_ns in stretch]
            for stretch in ended.waits.client_blocked_ns
        ]
    return proxy


def _event(
    call: OpenCall, terminal: Terminal, response_id: str | None, request_id: str | None
) -> dict[str, Any]:
    if call.is_compaction:
        if terminal.type is TerminalType.COMPLETED:
            return {"type": "compaction_request_completed", **call.compaction_ids()}
        # Codex knows no cancelled compaction: it failed, and ``proxy.outcome`` tells how.
        return {
            "type": "compaction_request_failed",
            **call.compaction_ids(),
            "error": terminal.text,
        }
    event: dict[str, Any] = {
        "type": terminal.type,
        "inference_call_id": call.call_id,
        "upstream_request_id": request_id,
    }
    match terminal.type:
        case TerminalType.COMPLETED:
            event["response_id"] = response_id
        case TerminalType.FAILED:
            event["error"] = terminal.text
        case TerminalType.CANCELLED:
            event["reason"] = terminal.text
    return event


def response_payload(
    answer: Answer,
    headers: RawHeaders,
    partial: list[dict[str, Any]],
    seen: Seen | None,
    *,
    keep_bodies: bool,
    lost: str | None = None,
) -> Mapping[str, Any]:
    """Return the payload that a terminal event names; ``lost`` says why it has no content."""
    request_id, _ = upstream_request_id(headers)
    proxy: dict[str, Any] = {}
    if not keep_bodies:
        proxy["lost"] = "capture is metadata"
    elif lost is not None:
        proxy["lost"] = lost
    elif seen is not None and seen.lost_bytes:
        proxy["lost"] = f"{seen.lost_bytes} bytes, for want of memory"
    if partial and keep_bodies:
        proxy["partial_items"] = partial
    if answer.body is not None and keep_bodies:
        proxy["body"] = answer.body
    return {
        "response_id": answer.response_id,
        "upstream_request_id": request_id,
        "token_usage": answer.usage,
        "output_items": answer.output_items if keep_bodies else [],
        "proxy": proxy,
    }


def _timing(ended: CallEnded, observer: ResponseObserver | None) -> Mapping[str, float | None]:
    def since_arrival(at_ns: int | None) -> float | None:
        return None if at_ns is None else _ms(at_ns - ended.arrived_ns)

    return {
        "request_ended": since_arrival(ended.request_ended_ns),
        "upstream_headers": since_arrival(ended.headers_ns),
        "first_event": since_arrival(observer.first_event_ns) if observer else None,
        "first_text": since_arrival(observer.first_text_ns) if observer else None,
        "last_event": since_arrival(observer.last_event_ns) if observer else None,
        "ended": since_arrival(ended.ended_ns),
        "waited_on_upstream": _ms(ended.waits.upstream_ns),
        "waited_on_client": _ms(ended.waits.client_ns),
        "max_gap": _ms(observer.max_gap_ns) if observer else None,
    }


def _capture(call: OpenCall, ended: CallEnded, name: str) -> Mapping[str, Any]:
    lost_bytes = ended.lost_bytes + call.capture_lost_bytes
    wire_sha256, kept_sha256 = call.sha256
    if ended.wire_sha256 is not None:
        wire_sha256 = ended.wire_sha256
    return {
        "file": name,
        "offset": call.offsets[0] if call.offsets else None,
        "bytes": call.kept_bytes,
        "sha256": kept_sha256,
        "wire_sha256": None if ended.lost_bytes and not ended.wire_sha256 else wire_sha256,
        "lost_bytes": lost_bytes,
        "redacted": call.masked_ranges,
    }


def _notes(ended: CallEnded) -> list[str]:
    notes = []
    if ended.observer is not None and ended.observer.unterminated_event:
        notes.append("unterminated_final_event")
    if ended.observer is not None and ended.observer.lost_events:
        notes.append(f"larger than what is kept of an event: {ended.observer.lost_events}")
    if ended.decode_error is not None:
        notes.append(f"not decoded: {ended.decode_error}")
    return notes


def _summary(
    call: OpenCall,
    ended: CallEnded,
    answer: Answer,
    terminal: Terminal,
    request_id: str | None,
) -> CallSummary:
    first_ns = ended.observer.first_event_ns if ended.observer else None

    def masked(text: str | None) -> str | None:
        # Upstream may repeat a secret: in an error's message, or in an id made from a client's.
        return None if text is None else mask_text(text, call.secrets)

    return CallSummary(
        call_id=call.call_id,
        terminal=terminal.type.removeprefix("inference_"),
        text=masked(terminal.text),
        model=mask_text(call.model, call.secrets),
        response_id=masked(answer.response_id),
        upstream_request_id=masked(request_id),
        http_status=ended.http_status,
        path=mask_text(call.head.path, call.secrets),
        duration_ms=_ms(ended.ended_ns - ended.arrived_ns),
        first_event_ms=None if first_ns is None else _ms(first_ns - ended.arrived_ns),
        events=ended.observer.events if ended.observer else 0,
        bytes_up=call.bytes_up,
        bytes_down=ended.bytes_down,
    )


def _ms(duration_ns: int) -> float:
    return round(duration_ns / 1e6, 3)
