"""Reads a conversation: all of its shape, and the payloads of the part that is asked for."""

from collections.abc import Mapping

from reducer.cache import compare_prompts
from reducer.fields import list_of
from reducer.prompt import input_of

from ..call.entries import entry_of, tool_names
from ..call.request_story import instructions_of
from ..call.response_story import output_of
from ..call.story import Entry
from ..catalog.catalog import Catalog
from ..catalog.queries import calls_by_ids
from ..catalog.rows import CallRow, Usage
from .news import news_of
from .prompts import CallRead, Prompts
from .shape import Node, read_shape
from .view import ThreadRequest, ThreadView

BYTES_MAX = 48 * 1024 * 1024
"""Of payloads that are read for one part: about half a second of parsing."""

CHAINED_MAX = 64
"""How many calls back a conversation is put together, where a request only names the response
before it and the next one sends all again."""

NEW_ITEMS_MAX = 400
"""Of one request: the latest ones are shown, and the call's own page has them all."""


def read_thread(
    catalog: Catalog, conversation: int, *, start: int = 0, limit: int = 50, at: int | None = None
) -> ThreadView:
    """Read `limit` requests of a conversation, from `start` on, or around those of a call.

    `conversation` and `at` are calls by their ids in the catalog. Raises KeyError where there is
    no such conversation, or no such call in it.
    """
    shape = read_shape(catalog.connection, conversation)
    if not shape.nodes:
        raise KeyError(conversation)
    if at is not None:
        start = max(shape.place_of[at] - limit // 2, 0)
    start = min(max(start, 0), len(shape.nodes))
    nodes = shape.nodes[start : start + max(limit, 0)]
    return ThreadView(
        conversation=conversation,
        requests=_requests(catalog, nodes),
        start=start,
        request_count=len(shape.nodes),
        call_count=len(shape.place_of),
        branches=shape.branches,
        started_at_unix_ms=min(node.started_at_unix_ms for node in shape.nodes),
        latest_at_unix_ms=max(node.started_at_unix_ms for node in shape.nodes),
        usage=_usage(catalog, conversation),
    )


def _requests(catalog: Catalog, nodes: tuple[Node, ...]) -> tuple[ThreadRequest, ...]:
    ids = {call for node in nodes for call in node.attempts}
    rows = calls_by_ids(catalog, sorted(ids))
    # What each one continues: most are in the part themselves.
    befores = {row.continues for row in rows.values() if row.continues is not None}
    rows |= calls_by_ids(catalog, sorted(befores - ids))
    prompts = Prompts(catalog, bytes_max=BYTES_MAX, chained_max=CHAINED_MAX)
    # A bundle may be removed while we read.
    there = (node for node in nodes if any(call in rows for call in node.attempts))
    return tuple(_request(node, rows, prompts) for node in there)


def _request(node: Node, rows: Mapping[int, CallRow], prompts: Prompts) -> ThreadRequest:
    attempts = tuple(rows[call] for call in node.attempts if call in rows)
    row = attempts[-1]
    before_row = None if row.continues is None else rows.get(row.continues)
    before = None if before_row is None else prompts.of(before_row)
    call = prompts.of(row)
    before_prompt = None if before is None else before.prompt
    if before_row is not None and call.prompt.conversation is not None:
        before_prompt = prompts.whole(before_row)
    news = news_of(call.prompt, before_prompt)
    shown = news.new[-NEW_ITEMS_MAX:]
    return ThreadRequest(
        index=node.index,
        branch=node.branch,
        depth=node.depth,
        parent=None if node.parent is None else node.parent.index,
        children=tuple(child.index for child in node.children),
        attempts=attempts,
        instructions=_new_instructions(call, before),
        new_input=_entries(call, before, shown),
        not_shown=len(news.new) - len(shown),
        repeated=news.repeated,
        gone=news.gone,
        # Only of what nobody went on from yet: a capture may have to be gone through for it.
        output=output_of(call.response if node.children else prompts.answer(row)),
        cache=None if call.prompt.body is None else compare_prompts(call.prompt, before_prompt),
        missing=call.missing,
    )


def _new_instructions(call: CallRead, before: CallRead | None) -> str | None:
    """The instructions where they are new; a request that could not be read has told none."""
    if call.prompt.body is None:
        return None
    now = instructions_of(call.request)
    was = "" if before is None else instructions_of(before.request)
    return None if now == was else now


def _entries(call: CallRead, before: CallRead | None, places: tuple[int, ...]) -> tuple[Entry, ...]:
    items = input_of(call.request)
    said = [] if before is None else list_of(before.response, "output_items") or []
    names = tool_names([*said, *items])
    is_text = isinstance(call.request.get("input"), str)
    return tuple(
        entry_of(
            items[place],
            pointer="/input" if is_text else f"/input/{place}",
            tool_names=names,
        )
        for place in places
    )


def _usage(catalog: Catalog, conversation: int) -> Usage:
    sums = catalog.connection.execute(
        "SELECT coalesce(sum(input_tokens), 0), coalesce(sum(cached_input_tokens), 0),"
        " coalesce(sum(output_tokens), 0), coalesce(sum(reasoning_output_tokens), 0)"
        " FROM calls WHERE conversation = ?",
        (conversation,),
    ).fetchone()
    return Usage(
        input_tokens=sums[0],
        cached_input_tokens=sums[1],
        output_tokens=sums[2],
        reasoning_output_tokens=sums[3],
    )
