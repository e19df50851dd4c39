"""The page of two calls side by side: what differs, and what broke the prompt cache."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from urllib.parse import unquote

from ..call.story import Entry
from ..catalog.catalog import Catalog
from ..catalog.queries import call_by_key
from ..catalog.rows import CallRow
from ..thread.cache_words import cache_words
from ..thread.comparing import compare
from ..thread.comparison_view import ItemChange, Sameness
from .differing import Difference, difference
from .links import name_in
from .texts import Excerpt, excerpt
from .view import Html, NotFound, Route, View

ITEMS_MAX = 200
"""Items that differ, of each kind in a row; a page of more nobody reads."""

TEXT_CHARACTERS = 6_000
EQUAL_CHARACTERS = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownItem:
    """An item that differs, or does not, with as much of its texts as is shown.

    `difference` is there where both texts are; `text` is that of the one that there is.
    """

    change: ItemChange
    entry: Entry
    text: Excerpt
    difference: Difference | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Items one after the other of which the same became. `left_out` more of them follow."""

    sameness: Sameness
    items: tuple[ShownItem, ...]
    left_out: int

    @property
    def count(self) -> int:
        """All of them, shown or not."""
        return len(self.items) + self.left_out


def comparison_page(view: View) -> Html:
    """Two calls that the query names, `a` before and `b` after."""
    before, after = (_named(view.catalog, view.query.get(name), name) for name in ("a", "b"))
    comparison = compare(view.catalog, before, after)
    was, now = comparison.before.instructions, comparison.after.instructions
    context = {
        "row": after,
        "comparison": comparison,
        "instructions": None if was == now else difference(was, now, TEXT_CHARACTERS),
        "cache_words": cache_words(comparison.cache),
        "runs": list(runs_of(comparison.items)),
        "counts": {str(kind): comparison.count(kind) for kind in Sameness},
    }
    return Html("comparison", context)


def runs_of(items: Iterable[ItemChange]) -> Iterator[Run]:
    """Put together what became the same of items that follow each other."""
    for sameness, group in groupby(items, key=lambda item: item.sameness):
        changes = list(group)
        shown = tuple(_shown(change) for change in changes[:ITEMS_MAX])
        yield Run(sameness=sameness, items=shown, left_out=len(changes) - len(shown))


def _shown(change: ItemChange) -> ShownItem:
    entry = change.after or change.before
    assert entry is not None
    differs = None
    if change.sameness is Sameness.CHANGED and change.before and change.after:
        differs = difference(change.before.text, change.after.text, TEXT_CHARACTERS)
    limit = EQUAL_CHARACTERS if change.sameness is Sameness.EQUAL else TEXT_CHARACTERS
    return ShownItem(
        change=change, entry=entry, text=excerpt(entry.text, limit), difference=differs
    )


def _named(catalog: Catalog, key: str | None, name: str) -> CallRow:
    """The call that a key such as `TRACE/CALL` names. Raises NotFound."""
    trace_id, slash, call_id = (key or "").partition("/")
    names = (name_in(unquote(part)) for part in (trace_id, call_id))
    row = call_by_key(catalog, *names) if slash else None
    if row is None:
        raise NotFound(f"There is no such call as the one to compare that {name} names.")
    return row


ROUTES = (Route("/diff", comparison_page),)
