"""The page of a conversation, as the model saw it."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..call.ending import cut_words
from ..call.story import Entry
from ..catalog.catalog import Catalog
from ..catalog.queries import call_by_id, count_calls, find_calls
from ..catalog.rows import CallFilter, CallRow
from ..thread.cache_words import cache_miss
from ..thread.reading import read_thread
from ..thread.view import ThreadRequest, ThreadView
from .call_page import asked_call
from .call_parts import Limits, Part, part_of
from .view import Html, NotFound, Route, View

REQUESTS_PAGE = 50
REQUEST = Limits(text=4_000, part=20_000, entries=20)
"""What is shown of one request and of its response; the rest is a click away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A request of the conversation with what is shown of it. `begins` is the branch it begins.

    `cut` tells what ended a text in its midst, `cache_miss` why less was cached than might have.
    """

    request: ThreadRequest
    begins: int | None
    instructions: str | None
    new: Part
    output: Part
    cut: str
    cache_miss: str | None


def thread_page(view: View) -> Html:
    """The conversation that a call is in, a part of it at a time: the one with that call first."""
    row = asked_call(view)
    context: dict[str, object] = {"is_file": False, "row": row}
    if view.fragment in {None, "news"}:
        context |= _news(view.catalog, row)
    if view.fragment != "news":
        start = view.query.whole_number("start")
        at = row.id if start is None else None
        try:
            thread = read_thread(
                view.catalog, row.conversation, start=start or 0, limit=REQUESTS_PAGE, at=at
            )
        except KeyError:
            raise NotFound("This call is part of no conversation.") from None
        if not thread.requests:
            raise NotFound("There is no such part of this conversation.")
        context |= thread_context(thread, REQUEST)
        context |= {"first_call": call_by_id(view.catalog, row.conversation)}
    return Html("thread", context)


def thread_context(thread: ThreadView, limits: Limits) -> dict[str, object]:
    """What the templates of a thread are given of it."""
    beginnings = {branch.start: branch.number for branch in thread.branches[1:]}
    shown = {request.index for request in thread.requests}
    return {
        "thread": thread,
        "shown": shown,
        "asked": {request.index: request.call.asked for request in thread.requests},
        "limit": REQUESTS_PAGE,
        "rounds": [_round(request, beginnings, limits) for request in thread.requests],
    }


def _round(request: ThreadRequest, beginnings: dict[int, int], limits: Limits) -> Round:
    return Round(
        request=request,
        begins=beginnings.get(request.index),
        instructions=request.instructions,
        new=_part("input", request.new_input, limits),
        output=_part("output", request.output, limits),
        cut=cut_words(request.call),
        cache_miss=None if request.cache is None else cache_miss(request.cache),
    )


def _part(name: str, entries: Sequence[Entry], limits: Limits) -> Part:
    return part_of(name, tuple(enumerate(entries)), limits)


def _news(catalog: Catalog, row: CallRow) -> dict[str, object]:
    """What is latest in the conversation: a look that costs little, made at every change."""
    wanted = CallFilter(conversation=row.conversation)
    latest = find_calls(catalog, wanted, limit=1)
    return {"latest": latest[0] if latest else row, "calls": count_calls(catalog, wanted)}


ROUTES = (Route("/thread/{trace_id}/{call_id}", thread_page),)
