"""The events of a response, from the pieces of its capture, and when each of them was whole."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tracing.capture import Kind, Piece
from tracing.exchange_trace import is_stream_head
from tracing.sse import SSEEvent, SSEScanner, event_type_of
from tracing.strict_json import NotStrictJson, loads_lenient

EVENT_BYTES_MAX = 64 * 1024 * 1024
"""Events larger than this are told without their data: a bound on memory."""


class CapturedEvent(NamedTuple):
    """One event, or message of a WebSocket. `data` is None where it was too large to read."""

    at_unix_ns: int
    type: str
    data: bytes | None


class Head(NamedTuple):
    """The head of a response, as far as it was kept."""

    status: int | None
    headers: tuple[tuple[str, str], ...]


def head_of(pieces: Sequence[Piece]) -> Head | None:
    """The response's head, if it was captured: then it is first. On a WebSocket there is none."""
    if not pieces or pieces[0].kind is not Kind.HEAD:
        return None
    try:
        return _head(loads_lenient(pieces[0].data))
    except NotStrictJson:
        return None


def _head(value: object) -> Head | None:
    match value:
        case {"status": int(status), "headers": dict(headers)}:
            named = ((name, value) for name, value in headers.items() if isinstance(value, str))
            return Head(status, tuple(named))
        case _:
            return None


def is_stream(pieces: Sequence[Piece], transport: str) -> bool:
    """Whether the pieces are of a stream of events; as was asked for, where no head tells."""
    if pieces and pieces[0].kind is Kind.MESSAGE:
        return True
    head = head_of(pieces)
    if head is None:
        return transport != "http"
    headers = tuple((name.encode(), value.encode("utf-8", "replace")) for name, value in head[1])
    return is_stream_head(head.status, headers)


def events_of(pieces: Sequence[Piece], transport: str) -> list[CapturedEvent]:
    """All events, in order; a response that is no stream is one, when its last byte came."""
    if not is_stream(pieces, transport):
        return _whole_body(pieces)
    return list(_stream(pieces))


def _stream(pieces: Iterable[Piece]) -> Iterator[CapturedEvent]:
    scanner = SSEScanner(EVENT_BYTES_MAX)
    is_between_events = False  # the scanner sees the first piece: there a BOM may stand
    for piece in pieces:
        if piece.kind is Kind.MESSAGE:
            yield CapturedEvent(piece.at_unix_ns, _type(event_type_of(piece.data)), piece.data)
        elif piece.kind is Kind.BODY:
            if is_between_events and (one := _one_event(piece.data)) is not None:
                yield _captured(piece, one)
                continue
            for event in scanner.feed(piece.data):
                yield _captured(piece, event)
            is_between_events = piece.data.endswith(b"\n\n")


def _captured(piece: Piece, event: SSEEvent) -> CapturedEvent:
    data = None if event.data is None else bytes(event.data)
    return CapturedEvent(piece.at_unix_ns, _type(event.type), data)


def _one_event(piece: bytes) -> SSEEvent | None:
    """The event that a piece is, whole and as OpenAI writes it: nearly every piece is one."""
    if not piece.startswith(b"event: ") or not piece.endswith(b"\n\n") or b"\r" in piece:
        return None
    end = piece.find(b"\n")
    if piece.count(b"\n") != 3 or not piece.startswith(b"data: ", end + 1):
        return None
    data = piece[end + len(b"\ndata: ") : -2]
    return SSEEvent(event_type_of(data, piece[len(b"event: ") : end]), data) if data else None


def _type(name: bytes) -> str:
    return name.decode(errors="replace")


def _whole_body(pieces: Iterable[Piece]) -> list[CapturedEvent]:
    bodies = [piece for piece in pieces if piece.kind is Kind.BODY]
    if not bodies:
        return []
    data = b"".join(piece.data for piece in bodies)
    try:
        value = loads_lenient(data)
    except NotStrictJson:
        value = None
    match value:
        case {"object": str(name)}:
            kind = name
        case {"error": _}:
            kind = "error"
        case _:
            kind = "body"
    return [CapturedEvent(bodies[-1].at_unix_ns, kind, data)]
