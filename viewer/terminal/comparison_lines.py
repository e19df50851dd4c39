"""A comparison of two calls as lines: what went has a `-` before it, what came a `+`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from enum import StrEnum

from ..call.story import Entry, EntryKind
from ..call.tool_items import ANY_TOOL
from ..catalog.rows import CallRow
from ..figures import duration, moment
from ..thread.cache_words import cache_words
from ..thread.comparison_view import Comparison, ItemChange, Sameness, Side
from .link_words import link_words

LINE_PAIRS_MAX = 4_000_000
"""Of two texts, above which they are not compared line by line: what takes about a second."""

CONTEXT_LINES = 2


class Tone(StrEnum):
    """What a line is, beside what its mark says."""

    HEADING = "heading"
    BEFORE = "before"
    AFTER = "after"
    BOTH = "both"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Line:
    """One line, its mark included; what stands in it of a bundle is not escaped."""

    tone: Tone
    text: str


def comparison_lines(comparison: Comparison) -> Iterator[Line]:
    """All there is to tell, in sections; a section without any difference says so in a line."""
    before, after = comparison.before, comparison.after
    if comparison.is_same_call:
        yield Line(Tone.BOTH, f"Both are the same call: {_call_words(after.row)}")
        return
    yield Line(Tone.BEFORE, f"--- {_call_words(before.row)}")
    yield Line(Tone.AFTER, f"+++ {_call_words(after.row)}")
    if comparison.is_continuation:
        how = link_words(after.row.continues_by)
        yield Line(Tone.NOTE, f"The second one continues the first, {how}.")
    for side, name in ((before, "first"), (after, "second")):
        for sentence in side.missing:
            yield Line(Tone.NOTE, f"Of the {name} one: {sentence}")
    if comparison.has_both_requests:
        yield from _settings(comparison)
        yield from _instructions(before, after)
        yield from _items(comparison)
    else:
        yield from _heading("Settings, instructions and input items: not known of both")
    yield from _outputs(before, after)
    yield from _heading("Prompt cache of the second one")
    for sentence in cache_words(comparison.cache):
        yield Line(Tone.BOTH, f"  {sentence}")


def _heading(text: str) -> Iterator[Line]:
    yield Line(Tone.BOTH, "")
    yield Line(Tone.HEADING, text)


def _call_words(row: CallRow) -> str:
    status = row.shown_status
    words = [f"call {row.call_id}", row.model, status, moment(row.started_at_unix_ms)]
    if row.usage is not None:
        usage = row.usage
        words.append(
            f"{usage.input_tokens:,} tokens in ({usage.cached_input_tokens:,} cached),"
            f" {usage.output_tokens:,} out"
        )
    if row.duration_ms is not None:
        words.append(duration(row.duration_ms))
    return "  ".join(word for word in words if word)


def _settings(comparison: Comparison) -> Iterator[Line]:
    if not comparison.settings:
        yield from _heading("Settings and tools: the same")
        return
    yield from _heading("Settings and tools")
    for change in comparison.settings:
        is_plain = change.what == f"{change.before} became {change.after}"
        what = "" if is_plain else f": {change.what}"
        yield Line(Tone.NOTE, f"  {change.name} ({change.pointer}){what}")
        if change.before is not None:
            yield Line(Tone.BEFORE, f"- {change.before}")
        if change.after is not None:
            yield Line(Tone.AFTER, f"+ {change.after}")


def _instructions(before: Side, after: Side) -> Iterator[Line]:
    if before.instructions == after.instructions:
        yield from _heading(f"Instructions: {'the same' if after.instructions else 'none'}")
        return
    yield from _heading("Instructions")
    yield from _text_lines(before.instructions, after.instructions)


def _items(comparison: Comparison) -> Iterator[Line]:
    counts = [
        f"{comparison.count(sameness):,} {word}"
        for sameness, word in (
            (Sameness.EQUAL, "equal"),
            (Sameness.CHANGED, "changed"),
            (Sameness.ADDED, "added"),
            (Sameness.REMOVED, "removed"),
        )
        if comparison.count(sameness)
    ]
    yield from _heading(f"Input items: {', '.join(counts) or 'none'}")
    if comparison.common is not None:
        what = f"Both go on from call {comparison.common.call_id}: what came before it is left out."
        yield Line(Tone.NOTE, f"  {what}")
    elif not (comparison.before.is_whole and comparison.after.is_whole):
        yield Line(Tone.NOTE, "  Only what each request holds itself: the rest is not known.")
    if not comparison.is_aligned:
        yield Line(Tone.NOTE, "  Too many items differ to say which of them became which.")
    equal = 0
    for place, item in enumerate(comparison.items, start=1):
        if item.sameness is Sameness.EQUAL:
            equal += 1
            continue
        yield from _equal_items(equal)
        equal = 0
        yield from _item(place, item)
    yield from _equal_items(equal)


def _equal_items(count: int) -> Iterator[Line]:
    if count:
        yield Line(Tone.BOTH, f"  {count:,} {'item' if count == 1 else 'items'} as before")


def _item(place: int, item: ItemChange) -> Iterator[Line]:
    if item.before is not None and item.after is not None:
        yield Line(Tone.NOTE, f"  {place}. {_title(item.after)}: {item.what or 'changed'}")
        yield from _text_lines(_text(item.before), _text(item.after))
    elif item.before is not None:
        yield from _entry(Tone.BEFORE, "-", item.before, place)
    elif item.after is not None:
        yield from _entry(Tone.AFTER, "+", item.after, place)


def _outputs(before: Side, after: Side) -> Iterator[Line]:
    yield from _heading("Response")
    was, now = (_output_text(side) for side in (before, after))
    if was == now and was:
        yield Line(Tone.BOTH, "  the same in both")
        return
    for tone, mark, side in ((Tone.BEFORE, "-", before), (Tone.AFTER, "+", after)):
        if not side.output and not side.error:
            yield Line(tone, f"{mark} none")
        for entry in side.output:
            yield from _entry(tone, mark, entry)
        if side.error:
            yield Line(tone, f"{mark} ended with: {_first_line(side.error)}")


def _output_text(side: Side) -> list[tuple[str, str]]:
    entries = [(_title(entry), _text(entry)) for entry in side.output]
    return [*entries, ("", side.error)] if side.error else entries


def _entry(tone: Tone, mark: str, entry: Entry, place: int | None = None) -> Iterator[Line]:
    number = "" if place is None else f"{place}. "
    yield Line(tone, f"{mark} {number}{_title(entry)}")
    for line in _text(entry).split("\n"):
        yield Line(tone, f"{mark}   {line}".rstrip())


def _title(entry: Entry) -> str:
    match entry.kind:
        case EntryKind.TOOL_CALL:
            title = f"calls {entry.who}"
        case EntryKind.TOOL_OUTPUT:
            title = "tool output" if entry.who == ANY_TOOL else f"output of {entry.who}"
        case EntryKind.REASONING | EntryKind.COMPACTION:
            title = str(entry.kind)
        case _:
            title = entry.who
    call = f" ({entry.call_id})" if entry.call_id else ""
    return f"{title}{call}{', cut' if entry.is_partial else ''}"


def _text(entry: Entry) -> str:
    return "\n".join([*([entry.text] if entry.text else []), *(f"[{n}]" for n in entry.notes)])


def _first_line(text: str) -> str:
    return " ".join(text.split())


def _text_lines(before: str, after: str) -> Iterator[Line]:
    """What changed of a text, line by line, with a little around it."""
    was, now = before.split("\n") if before else [], after.split("\n") if after else []
    if len(was) * len(now) > LINE_PAIRS_MAX:
        lines: Sequence[str] = [f"-{len(was):,} lines", f"+{len(now):,} lines"]
    else:
        lines = list(unified_diff(was, now, n=CONTEXT_LINES, lineterm=""))[2:]
    for line in lines:
        match line[:1]:
            case "-":
                yield Line(Tone.BEFORE, f"-   {line[1:]}".rstrip())
            case "+":
                yield Line(Tone.AFTER, f"+   {line[1:]}".rstrip())
            case "@":
                yield Line(Tone.NOTE, f"    {line}")
            case _:
                yield Line(Tone.BOTH, f"    {line[1:]}".rstrip())
