"""What a request shows to the model that the request before it had not shown."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from reducer.cache import shown_key
from reducer.fields import text_of
from reducer.item_key import is_reference, item_key
from reducer.prompt import Prompt, input_of

Item = object


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """The places in a request's input of what is new; how many items are not, and are gone."""

    new: tuple[int, ...]
    repeated: int
    gone: int


def news_of(call: Prompt, before: Prompt | None) -> News:
    """Compare a request with the one before it, its response included.

    Reasoning that is not sent back does not count as gone: many clients cannot do that.
    """
    if call.body is None:
        return News(new=(), repeated=0, gone=0)
    items = input_of(call.body)
    if call.continues_by_id or before is None or before.body is None:
        return News(new=tuple(range(len(items))), repeated=0, gone=0)
    shown = input_of(before.body) if before.conversation is None else before.conversation
    known = [*shown, *before.output]
    same = _same_beginning(known, items)
    left = Counter(shown_key(item) for item in known[same:])
    ids = _ids(known)
    new = []
    for place in range(same, len(items)):
        key = _key(items[place], ids)
        if left[key] > 0:
            left[key] -= 1
        else:
            new.append(place)
    passed_over = {shown_key(item) for item in known[same:] if item_key(item) is None}
    gone = sum(count for key, count in left.items() if key not in passed_over)
    return News(new=tuple(new), repeated=len(items) - len(new), gone=gone)


def _same_beginning(known: Sequence[Item], items: Sequence[Item]) -> int:
    shared = min(len(known), len(items))
    return next((i for i in range(shared) if known[i] != items[i]), shared)


def _ids(items: Sequence[Item]) -> dict[str, Item]:
    """The items that have an id, by it: a request may point to them."""
    return {
        item_id: item
        for item in items
        if isinstance(item, dict) and (item_id := text_of(item, "id")) is not None
    }


def _key(item: Item, ids: dict[str, Item]) -> str:
    if isinstance(item, dict) and is_reference(item):
        item = ids.get(text_of(item, "id") or "", item)
    return shown_key(item)
