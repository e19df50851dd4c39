"""Says where two JSON values first differ, and how, in a few words."""

from collections.abc import Sequence
from dataclasses import dataclass

from .exact_json import compact
from .fields import text_of

EXCERPT_CHARS = 24
"""Of a text that changed, what is shown on either side of the change."""

VALUE_CHARS_MAX = 60
"""Of a value that is shown whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference. `pointer` is a JSON pointer (RFC 6901) into the later value."""

    pointer: str
    what: str


def first_difference(before: object, after: object, pointer: str = "") -> Difference | None:
    """The first difference in the order of the later value; None where the two are written alike.

    Keys in another order are a difference: a model is shown a schema as it is written.
    """
    match before, after:
        case dict(), dict():
            return _of_objects(before, after, pointer)
        case list(), list():
            return _of_arrays(before, after, pointer)
        case str(), str():
            return None if before == after else _of_texts(before, after, pointer)
    if compact(before) == compact(after):
        return None
    return Difference(pointer=pointer, what=f"{shown(before)} became {shown(after)}")


def shown(value: object) -> str:
    """A value in one line, cut where it is long."""
    text = compact(value)
    return text if len(text) <= VALUE_CHARS_MAX else text[:VALUE_CHARS_MAX] + "…"


def label_of(value: object) -> str:
    """What an object of a list is called: by its type and its name, id or role, or as it is."""
    if not isinstance(value, dict):
        return shown(value)
    names = (text_of(value, key) for key in ("name", "call_id", "server_label", "role"))
    words = [text_of(value, "type") or "object", next((name for name in names if name), "")]
    return " ".join(word for word in words if word)


def moved(before: Sequence[str], after: Sequence[str], index: int) -> str | None:
    """Whether an item at an index of two lists was put in there (`new`) or taken out (`gone`)."""
    if before[index] in after[index + 1 :]:
        return None if after[index] in before[index + 1 :] else "new"
    return "gone" if after[index] in before[index + 1 :] else None


def _of_objects(
    before: dict[str, object], after: dict[str, object], pointer: str
) -> Difference | None:
    for key, value in after.items():
        place = f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
        if key not in before:
            return Difference(pointer=place, what=f"{shown(value)} is new")
        found = first_difference(before[key], value, place)
        if found is not None:
            return found
    for key, value in before.items():
        if key not in after:
            return Difference(pointer=pointer, what=f"{key}: {shown(value)} is gone")
    if list(before) != list(after):
        return Difference(pointer=pointer, what="the keys stand in another order")
    return None


def _of_arrays(before: list[object], after: list[object], pointer: str) -> Difference | None:
    was, now = [compact(value) for value in before], [compact(value) for value in after]
    if was == now:
        return None
    if sorted(was) == sorted(now):
        return Difference(pointer=pointer, what=f"the same {len(now)} stand in another order")
    shared = min(len(was), len(now))
    index = next((i for i in range(shared) if was[i] != now[i]), shared)
    place = f"{pointer}/{index}"
    if index == len(was):
        return Difference(pointer=place, what=f"{label_of(after[index])} is new")
    if index == len(now):
        return Difference(pointer=place, what=f"{label_of(before[index])} is gone")
    match moved(was, now, index):
        case "new":
            return Difference(pointer=place, what=f"{label_of(after[index])} is new")
        case "gone":
            return Difference(pointer=place, what=f"{label_of(before[index])} is gone")
    return first_difference(before[index], after[index], place)


def _of_texts(before: str, after: str, pointer: str) -> Difference:
    shared = min(len(before), len(after))
    at = next((i for i in range(shared) if before[i] != after[i]), shared)
    was, now = (_excerpt(text, at) for text in (before, after))
    return Difference(pointer=pointer, what=f"from character {at}: {was} became {now}")


def _excerpt(text: str, at: int) -> str:
    """What stands around a place, of whole words where a blank is near."""
    begin, end = max(at - EXCERPT_CHARS, 0), at + EXCERPT_CHARS
    if begin:
        begin = text.find(" ", begin, at) + 1 or begin
    if end < len(text) and (blank := text.rfind(" ", at + 1, end)) > 0:
        end = blank
    left, right = "…" if begin else "", "…" if end < len(text) else ""
    return compact(left + text[begin:end] + right)
