"""The page of one call, and what is one click away from it: whole texts and raw bytes."""

import orjson

from ..call.curl import NothingToRepeat, curl_command
from ..call.ending import cut_words, ending
from ..call.reading import (
    raw_request,
    raw_response,
    raw_stream,
    read_story,
    stream_events,
)
from ..call.story import Entry, Story
from ..call.support import support_packet
from ..catalog.queries import call_before, call_by_key
from ..catalog.relatives import relatives
from ..catalog.rows import CallRow
from .call_parts import PAGE, Limits, page_of_input, parts_of
from .event_table import EVENTS_PAGE, EventPage, event_page
from .links import name_in
from .view import Html, NotFound, Raw, Route, View, whole_number
from .waterfall_bars import chart_of

TEXT_PAGE = 100_000
"""Characters of a long text on one page."""

ENTRIES_PAGE = Limits(text=20_000, part=400_000, entries=50)
"""Of a long conversation, what one page of its entries shows."""


def call_page(view: View) -> Html:
    """A call: what was asked, what came and when, and how it ended."""
    row = asked_call(view)
    context: dict[str, object] = {"is_file": False, "row": row}
    if view.fragment in {None, "events"}:
        start = view.query.whole_number("from") or 0
        context |= {"events": events_of(row, start, EVENTS_PAGE)}
    if view.fragment != "events":
        context |= story_context(_story(view, row), PAGE)
    if view.fragment in {None, "headline"}:
        context |= {"relatives": relatives(view.catalog, row)}
    return Html("call", context)


def _story(view: View, row: CallRow) -> Story:
    return read_story(row, call_before(view.catalog, row))


def story_context(story: Story, limits: Limits) -> dict[str, object]:
    """What the templates of a call are given of its story."""
    characters = sum(len(entry.text) for entry in story.output)
    return {
        "row": story.row,  # of a call that runs it knows more than the catalog
        "story": story,
        "ending": ending(story.row, characters=characters),
        "chart": chart_of(story.waterfall),
        "parts": parts_of(story, limits),
        "cut": cut_words(story.row),
    }


def events_of(row: CallRow, start: int, limit: int) -> EventPage:
    """The events from one place on; of a place behind the last, the last page."""
    # The one before comes along: how long after it the first came is told as well.
    before = 1 if start else 0
    events, total = stream_events(row, start=start - before, limit=limit + before)
    if 0 < total <= start:
        return events_of(row, (total - 1) // limit * limit, limit)
    before_ms = events[0].at_ms if before and events else None
    return event_page(events[before:], start=start, limit=limit, total=total, before_ms=before_ms)


def text_page(view: View) -> Html:
    """One long text of a call, a page at a time."""
    row = asked_call(view)
    story = _story(view, row)
    place = view.query.get("of") or "instructions"
    title, text = _text_at(story, place)
    pages = max(-(-len(text) // TEXT_PAGE), 1)
    page = min(max(view.query.whole_number("page") or 1, 1), pages)
    context = {
        "row": row,
        "title": title,
        "place": place,
        "text": text[(page - 1) * TEXT_PAGE : page * TEXT_PAGE],
        "characters": len(text),
        "page": page,
        "pages": pages,
    }
    return Html("call_text", context)


def input_page(view: View) -> Html:
    """All that a request's input holds, a page at a time, the beginning first."""
    row = asked_call(view)
    story = _story(view, row)
    pages = max(-(-len(story.input) // ENTRIES_PAGE.entries), 1)
    page = min(max(view.query.whole_number("page") or 1, 1), pages)
    start = (page - 1) * ENTRIES_PAGE.entries
    part = page_of_input(story, start, ENTRIES_PAGE)
    context = {"row": row, "part": part, "start": start, "page": page, "pages": pages}
    return Html("call_input", context | {"count": len(story.input), "cut": cut_words(row)})


def raw_request_page(view: View) -> Raw:
    """The request's payload, as the bundle has it."""
    return _raw(raw_request(asked_call(view)), "request")


def raw_response_page(view: View) -> Raw:
    """The response's payload, as the bundle has it."""
    return _raw(raw_response(asked_call(view)), "response")


def raw_stream_page(view: View) -> Raw:
    """The stream as it came, as far as it was kept."""
    body = raw_stream(asked_call(view))
    if body is None:
        raise NotFound("Nothing was kept of this call's stream.")
    return Raw(body, content_type="text/plain")


def asked_call(view: View) -> CallRow:
    """The call that the URL names. Raises NotFound."""
    trace_id, call_id = (name_in(view.path[name]) for name in ("trace_id", "call_id"))
    row = call_by_key(view.catalog, trace_id, call_id)
    if row is None:
        raise NotFound("There is no such call. Its bundle may have been pruned or removed.")
    return row


def _raw(body: bytes | None, what: str) -> Raw:
    if body is None:
        raise NotFound(f"Nothing was kept of this call's {what}, or it cannot be read.")
    return Raw(body, content_type="application/json")


def _text_at(story: Story, place: str) -> tuple[str, str]:
    """The title and the text of a place such as `input.3`. Raises NotFound."""
    if place == "instructions":
        return "Instructions", story.instructions
    part, _, number = place.partition(".")
    entries: dict[str, tuple[Entry, ...]] = {"input": story.input, "output": story.output}
    index = whole_number(number)
    if part not in entries or index is None or index >= len(entries[part]):
        raise NotFound("This call has no such text.")
    entry = entries[part][index]
    return f"{part.capitalize()} {index + 1}: {entry.who}", entry.text


def support_page(view: View) -> Raw:
    """What is safe to share of the call: no text of anybody's."""
    packet = support_packet(asked_call(view))
    return Raw(orjson.dumps(packet, option=orjson.OPT_INDENT_2), content_type="application/json")


def curl_page(view: View) -> Raw:
    """A shell command that sends the request again, without the key."""
    try:
        command = curl_command(asked_call(view))
    except NothingToRepeat as error:
        raise NotFound(str(error)) from None
    script = command.head.encode() + command.body + command.tail.encode()
    return Raw(script, content_type="text/plain")


ROUTES = (
    Route("/call/{trace_id}/{call_id}", call_page),
    Route("/call/{trace_id}/{call_id}/text", text_page),
    Route("/call/{trace_id}/{call_id}/input", input_page),
    Route("/call/{trace_id}/{call_id}/request.json", raw_request_page),
    Route("/call/{trace_id}/{call_id}/response.json", raw_response_page),
    Route("/call/{trace_id}/{call_id}/stream.txt", raw_stream_page),
    Route("/call/{trace_id}/{call_id}/support.json", support_page),
    Route("/call/{trace_id}/{call_id}/curl.txt", curl_page),
)
