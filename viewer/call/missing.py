"""What of a call could not be kept or cannot be read, a sentence each, in plain words."""

from collections.abc import Iterator

from reducer.fields import list_of, object_of, text_of

from ..catalog.rows import CallRow
from .evidence import CallEvents, PayloadRead
from .pieces import Captured

NOT_KEPT = "capture is metadata"
"""What a recorder writes in the place of bodies that it was told not to keep."""


def missing_of(
    row: CallRow,
    events: CallEvents,
    request: PayloadRead,
    response: PayloadRead,
    captured: Captured,
) -> tuple[str, ...]:
    """All that is not here, in the order of the call's own course."""
    lost = [_lost(payload) for payload in (request, response)]
    if NOT_KEPT in lost:
        return ("Bodies and streams were not kept: the recorder was told to keep metadata only.",)
    return (
        *_of_request(events, request),
        *_of_response(row, events, response),
        *_of_stream(events, captured),
    )


def not_kept(what: str, payload: PayloadRead) -> str | None:
    """Why a request or a response, as `what` names it, is not what was sent or came, for whoever is
    given the payload alone; None where it is."""
    ours, lost = object_of(payload.value, "proxy"), _lost(payload)
    if lost == NOT_KEPT:
        return f"the {what} was not kept: the recorder was told to keep metadata only"
    if "body_base64" in ours:
        part = "" if lost is None else f", as far as it came: {lost}"
        return f"the {what} is no JSON; it is in proxy.body_base64{part}"
    if lost is None:
        return None
    if "output_items" in payload.value:
        return f"of the {what} these were not kept: {lost}"
    return f"the {what} was not kept: {lost}"


def _of_request(events: CallEvents, request: PayloadRead) -> Iterator[str]:
    about = object_of(events.start_proxy, "request")
    ours = object_of(request.value, "proxy")
    if request.fault:
        yield f"The request ({request.path}) cannot be read: {request.fault}."
    elif request.path is None:
        yield "The event that began the call names no request."
    if lost := text_of(ours, "lost"):
        whole = " whole" if "body_base64" in ours else ""
        yield f"The request was not kept{whole}: {lost}."
    if "body_base64" in ours:
        why = text_of(ours, "unreadable")
        yield f"The request is no JSON{f' ({why})' if why else ''}; it is shown as text."
    if count := len(list_of(about, "redacted") or ()):
        secrets = "1 secret was" if count == 1 else f"{count} secrets were"
        yield f"{secrets} taken out of the request, and reads [redacted]."
    if text_of(about, "form") == "logical":
        yield (
            "The request built on a prewarm, which is no call:"
            " it is shown as the whole request that it stands for."
        )


def _of_response(row: CallRow, events: CallEvents, response: PayloadRead) -> Iterator[str]:
    if response.fault:
        yield f"The response ({response.path}) cannot be read: {response.fault}."
    if lost := _lost(response):
        yield f"Of the response these were not kept: {lost}."
    if row.is_lost:
        yield "How the call ended nobody knows: the process that recorded it is gone."
    elif not events.end and row.status != "running":
        yield "No event tells how the call ended; its turn did."


def _of_stream(events: CallEvents, captured: Captured) -> Iterator[str]:
    capture = object_of(events.end_proxy, "capture")
    if captured.fault:
        yield f"The stream cannot be read whole: {captured.fault}."
    lost_bytes = capture.get("lost_bytes")
    if isinstance(lost_bytes, int) and lost_bytes > 0:
        yield f"Of the stream {lost_bytes:,} bytes were not kept, and nothing after them."
    if count := len(list_of(capture, "redacted") or ()):
        places = "1 place" if count == 1 else f"{count} places"
        yield f"In the stream a secret stood in {places}, and reads as asterisks."
    for note in list_of(events.end_proxy, "notes") or ():
        if note == "unterminated_final_event":
            yield "The stream ended in the middle of an event."
        elif isinstance(note, str):
            yield f"Of the stream: {note}."


def _lost(payload: PayloadRead) -> str | None:
    return text_of(object_of(payload.value, "proxy"), "lost")
