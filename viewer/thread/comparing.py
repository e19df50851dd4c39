"""Compares two calls: what they were asked item by item, their settings, and what they answered."""

from collections.abc import Iterable, Iterator

from reducer.cache import CacheReport, compare_prompts
from reducer.item_key import without_labels
from reducer.json_difference import first_difference

from ..call.request_story import instructions_of
from ..call.response_story import error_of, output_of
from ..catalog.catalog import Catalog
from ..catalog.rows import CallRow
from .alignment import Pair, align
from .comparison_view import Comparison, ItemChange, Sameness, Side
from .prompts import CallRead, Prompts
from .setting_changes import setting_changes
from .shown import Shown, shown_to_both

BYTES_MAX = 256 * 1024 * 1024
"""Of payloads: two of the largest requests, and a long chain of common ones."""

CHAINED_MAX = 200
"""How many calls back a conversation is put together that goes on by previous_response_id."""


def compare(catalog: Catalog, a: CallRow, b: CallRow) -> Comparison:
    """Compare call `a`, the one before, with call `b`. What cannot be read is told in the sides."""
    prompts = Prompts(catalog, bytes_max=BYTES_MAX, chained_max=CHAINED_MAX)
    before, after = prompts.of(a), prompts.of(b)
    shown = shown_to_both(catalog, a, b, prompts)
    bodies = before.prompt.body, after.prompt.body
    has_both = None not in bodies
    alignment = align(shown.before.items, shown.after.items)
    pairs = alignment.pairs if has_both else ()
    before_prompt = prompts.whole(a) if shown.is_whole else before.prompt
    return Comparison(
        before=_side(before, prompts, shown.before),
        after=_side(after, prompts, shown.after),
        common=shown.common if has_both else None,
        has_both_requests=has_both,
        settings=setting_changes(*(body or {} for body in bodies)) if has_both else (),
        items=tuple(_item_changes(shown.before, shown.after, pairs)),
        is_aligned=alignment.is_complete,
        cache=compare_prompts(after.prompt, before_prompt),
        is_continuation=b.continues == a.id,
    )


def cache_report(catalog: Catalog, before: CallRow, row: CallRow) -> CacheReport | None:
    """How a call stood with the prompt cache, next to the one that it continues; None where its
    request cannot be read."""
    prompts = Prompts(catalog, bytes_max=BYTES_MAX, chained_max=CHAINED_MAX)
    prompt = prompts.of(row).prompt
    if prompt.body is None:
        return None
    has_all = prompt.conversation is not None
    return compare_prompts(prompt, prompts.whole(before) if has_all else prompts.of(before).prompt)


def _side(call: CallRead, prompts: Prompts, shown: Shown) -> Side:
    return Side(
        row=call.row,
        is_whole=prompts.whole(call.row).conversation is not None,
        items=len(shown.items),
        instructions=instructions_of(call.request),
        output=output_of(prompts.answer(call.row)),
        error=error_of(call.row, {}, call.response),
        missing=call.missing,
    )


def _item_changes(was: Shown, now: Shown, pairs: Iterable[Pair]) -> Iterator[ItemChange]:
    for sameness, before, after in pairs:
        old = None if before is None else was.entry(before)
        new = None if after is None else now.entry(after)
        what = None
        if sameness is Sameness.CHANGED and before is not None and after is not None:
            old_item, new_item = without_labels(was.items[before]), without_labels(now.items[after])
            difference = first_difference(old_item, new_item)
            what = None if difference is None else difference.what
        yield ItemChange(sameness=sameness, before=old, after=new, what=what)
