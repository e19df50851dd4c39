"""What two calls were shown, as far as it has to be read to compare them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reducer.fields import list_of
from reducer.prompt import Prompt, input_of

from ..call.entries import entry_of, tool_names
from ..call.story import Entry
from ..catalog.catalog import Catalog
from ..catalog.queries import calls_by_ids
from ..catalog.rows import CallRow
from .prompts import Prompts

ANCESTORS_MAX = 10_000
"""How far back a call is looked for from which both went on by previous_response_id."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Items that a call was shown. The last ones are those that its own request holds."""

    items: Sequence[object]
    own_count: int
    tool_names: Mapping[str, str]

    def entry(self, place: int) -> Entry:
        """An item to be read. It points nowhere where another request held it."""
        own_place = place - (len(self.items) - self.own_count)
        pointer = f"/input/{own_place}" if own_place >= 0 else ""
        return entry_of(self.items[place], pointer=pointer, tool_names=self.tool_names)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownToBoth:
    """What is compared of two calls: all where both are known whole, else what can be.

    `common` is the call that both went on from, where the conversation before it was left out:
    it is the same for both.
    """

    before: Shown
    after: Shown
    is_whole: bool
    common: CallRow | None


def shown_to_both(catalog: Catalog, a: CallRow, b: CallRow, prompts: Prompts) -> ShownToBoth:
    """Read what both were shown, and no more of a long chain than what sets them apart."""
    before, after = prompts.whole(a), prompts.whole(b)
    if before.conversation is not None and after.conversation is not None:
        return ShownToBoth(
            before=_shown(before, before.conversation),
            after=_shown(after, after.conversation),
            is_whole=True,
            common=None,
        )
    ways = _ways_from_common(catalog, a, b, prompts.chained_max)
    if ways is None:
        return ShownToBoth(
            before=_shown(before, input_of(before.body or {})),
            after=_shown(after, input_of(after.body or {})),
            is_whole=False,
            common=None,
        )
    was, now = (_shown(prompts.of(way[-1]).prompt, _along(way, prompts)) for way in ways)
    return ShownToBoth(before=was, after=now, is_whole=False, common=ways[0][0])


def _shown(prompt: Prompt, items: Sequence[object]) -> Shown:
    return Shown(items, len(input_of(prompt.body or {})), tool_names(list(items)))


def _along(way: Sequence[CallRow], prompts: Prompts) -> list[object]:
    """The items of some calls that each continue the one before."""
    items: list[object] = []
    for row in way:
        read = prompts.of(row)
        items += input_of(read.request)
        if row is not way[-1]:
            items += list_of(read.response, "output_items") or ()
    return items


def _ways_from_common(
    catalog: Catalog, a: CallRow, b: CallRow, length_max: int
) -> tuple[list[CallRow], list[CallRow]] | None:
    """The calls from the latest one that both went on from, to each; None where none is near."""
    to_a, to_b = (_ancestors(catalog, row.id) for row in (a, b))
    places = {call: place for place, call in enumerate(to_a)}
    common = next((call for call in to_b if call in places), None)
    if common is None:
        return None
    ids = to_a[: places[common] + 1][::-1], to_b[: to_b.index(common) + 1][::-1]
    if max(map(len, ids)) > length_max:
        return None
    rows = calls_by_ids(catalog, sorted({*ids[0], *ids[1]}))
    before, after = ([rows[call] for call in way if call in rows] for way in ids)
    return (before, after) if before and after else None


def _ancestors(catalog: Catalog, call: int) -> list[int]:
    """A call and those before it, the latest first, as far as each names the response before."""
    found = catalog.connection.execute(
        "WITH RECURSIVE up (id, steps) AS (SELECT ?, 0 UNION ALL"
        " SELECT c.continues, up.steps + 1 FROM up JOIN calls c ON c.id = up.id"
        " WHERE c.continues_by = 'previous_response_id' AND up.steps < ?)"
        " SELECT id FROM up ORDER BY steps",
        (call, ANCESTORS_MAX),
    )
    return [ancestor for (ancestor,) in found]
