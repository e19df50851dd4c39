"""Chooses what of a call's request and response its page shows at once, so that it stays small."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..call.new_entries import first_new
from ..call.story import Entry, Story
from .texts import Excerpt, excerpt


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much is shown: characters of one text, of all texts of a part, and entries of a part."""

    text: int
    part: int
    entries: int


PAGE = Limits(text=20_000, part=200_000, entries=100)
"""A browser lays out some hundred KB of text at once without being noticed."""

FILE = Limits(text=1_000_000, part=5_000_000, entries=10_000)
"""A file that is sent to somebody has nothing to page through."""

THREAD_FILE = Limits(text=100_000, part=500_000, entries=500)
"""Of each request of a conversation in a file, which may have a thousand of them."""

TEXT_MIN = 200
"""What is shown of each text when a part's characters are used up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An entry with as much of its text as is shown. `place` names it, such as `input.3`."""

    entry: Entry
    excerpt: Excerpt
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some entries of a request or a response; `left_out` more stand before those shown."""

    shown: tuple[Shown, ...]
    left_out: int

    @property
    def count(self) -> int:
        """All entries, shown or not."""
        return len(self.shown) + self.left_out


@dataclass(frozen=True, slots=True, kw_only=True)
class CallParts:
    """What is shown of a call: `earlier` is the conversation so far, `new` what this call added."""

    instructions: Excerpt
    earlier: Part
    new: Part
    output: Part


def parts_of(story: Story, limits: Limits) -> CallParts:
    """Choose what is shown of a call."""
    fresh = first_new(story)
    entries = tuple(enumerate(story.input))
    return CallParts(
        instructions=excerpt(story.instructions, limits.text),
        earlier=part_of("input", entries[:fresh], limits),
        new=part_of("input", entries[fresh:], limits),
        output=part_of("output", tuple(enumerate(story.output)), limits),
    )


def page_of_input(story: Story, start: int, limits: Limits) -> Part:
    """The entries of the input from one on, as many as the limits say."""
    entries = tuple(enumerate(story.input))[start : start + limits.entries]
    return part_of("input", entries, limits)


def part_of(name: str, entries: Sequence[tuple[int, Entry]], limits: Limits) -> Part:
    """Show the latest of some entries, each with its number; `name` begins their places."""
    chosen = entries[max(len(entries) - limits.entries, 0) :]
    shown = list(_excerpts(name, reversed(chosen), limits))
    return Part(shown=tuple(reversed(shown)), left_out=len(entries) - len(shown))


def _excerpts(name: str, entries: Iterable[tuple[int, Entry]], limits: Limits) -> Iterable[Shown]:
    """The latest first, which get more of what there is."""
    left = limits.part
    for index, entry in entries:
        found = excerpt(entry.text, max(min(limits.text, left), min(limits.text, TEXT_MIN)))
        left -= len(found.text)
        yield Shown(entry=entry, excerpt=found, place=f"{name}.{index}")
