"""Finds the stretch in which two texts differ, for a page to mark it."""

from dataclasses import dataclass

AROUND_CHARACTERS = 240
"""Of what both have, what is shown before and after the difference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What stands before and after in both texts, and between these in each.

    `head` and `tail` are shortened towards the difference, `before` and `after` at their ends;
    what is left out of each is counted.
    """

    head: str
    head_left_out: int
    before: str
    before_left_out: int
    after: str
    after_left_out: int
    tail: str
    tail_left_out: int


def difference(before: str, after: str, characters: int) -> Difference:
    """Where two texts differ. Of each text's own part `characters` are given."""
    start = _alike(before, after)
    was, now = before[start:], after[start:]
    same = _alike(was[::-1], now[::-1])
    was, now = was[: len(was) - same], now[: len(now) - same]
    end = len(before) - same
    head = before[max(start - AROUND_CHARACTERS, 0) : start]
    tail = before[end : end + AROUND_CHARACTERS]
    return Difference(
        head=head,
        head_left_out=start - len(head),
        before=was[:characters],
        before_left_out=max(len(was) - characters, 0),
        after=now[:characters],
        after_left_out=max(len(now) - characters, 0),
        tail=tail,
        tail_left_out=same - len(tail),
    )


def _alike(one: str, other: str) -> int:
    """How many characters two texts have in common at their beginnings."""
    pairs = zip(one, other, strict=False)
    unlike = (index for index, (a, b) in enumerate(pairs) if a != b)
    return next(unlike, min(len(one), len(other)))
