"""Aligns the inputs of two calls, item by item, by what the model is shown of each."""

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from reducer.cache import shown_key
from reducer.fields import text_of

from .comparison_view import Sameness

CELLS_MAX = 1_000_000
"""Of the table that two inputs make, without what they begin and end with alike: what takes
about a second. Beyond it, nothing is said of what became which."""


class Pair(NamedTuple):
    """An item of either side, by its place; None where a side has none."""

    sameness: Sameness
    before: int | None
    after: int | None


class Alignment(NamedTuple):
    """All items of both sides, in the order of the later one."""

    pairs: list[Pair]
    is_complete: bool


def align(before: Sequence[object], after: Sequence[object]) -> Alignment:
    """Say of each item whether it is equal, changed, added or removed."""
    was, now = [shown_key(item) for item in before], [shown_key(item) for item in after]
    shared = min(len(was), len(now))
    head = next((i for i in range(shared) if was[i] != now[i]), shared)
    left = shared - head
    tail = next((i for i in range(left) if was[-1 - i] != now[-1 - i]), left)
    before_end, after_end = len(was) - tail, len(now) - tail
    is_complete = (before_end - head) * (after_end - head) <= CELLS_MAX
    pairs = [_equal(i, i) for i in range(head)]
    if is_complete:
        matcher = SequenceMatcher(None, was[head:before_end], now[head:after_end], autojunk=False)
        for tag, a, a_end, b, b_end in matcher.get_opcodes():
            places = range(head + a, head + a_end), range(head + b, head + b_end)
            if tag == "equal":
                pairs += [_equal(i, j) for i, j in zip(*places, strict=True)]
            else:
                pairs += _replaced(before, after, *places)
    else:
        pairs += _removed(range(head, before_end))
        pairs += _added(range(head, after_end))
    pairs += [_equal(before_end + i, after_end + i) for i in range(tail)]
    return Alignment(pairs=pairs, is_complete=is_complete)


def _replaced(
    before: Sequence[object], after: Sequence[object], olds: range, news: range
) -> Iterator[Pair]:
    """Pair items of a kind, in their order: one became the other. What has no partner stands alone.

    An old item goes with the next new one of its kind, unless a later old one took one before it.
    """
    free = 0
    partners: dict[int, int] = {}
    for old in olds:
        kind = _kind(before[old])
        for place in range(free, len(news)):
            if _kind(after[news[place]]) == kind:
                partners[news[place]] = old
                free = place + 1
                break
    told = olds.start
    for new in news:
        old_partner = partners.get(new)
        if old_partner is None:
            yield Pair(Sameness.ADDED, None, new)
            continue
        yield from _removed(range(told, old_partner))
        yield Pair(Sameness.CHANGED, old_partner, new)
        told = old_partner + 1
    yield from _removed(range(told, olds.stop))


def _kind(item: object) -> tuple[str | None, ...]:
    """What two items have in common of which one may have become the other."""
    if not isinstance(item, dict):
        return ()
    kind = text_of(item, "type") or ("message" if "role" in item else None)
    return (kind, text_of(item, "role"), text_of(item, "name"))


def _equal(before: int, after: int) -> Pair:
    return Pair(Sameness.EQUAL, before, after)


def _removed(places: range) -> Iterator[Pair]:
    return (Pair(Sameness.REMOVED, place, None) for place in places)


def _added(places: range) -> Iterator[Pair]:
    return (Pair(Sameness.ADDED, None, place) for place in places)
