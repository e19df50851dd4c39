"""Says in SQL which calls a filter means."""

from dataclasses import dataclass, field

from .call_rows import IS_LIVE
from .rows import CallFilter, Cursor

LAST_CHARACTER = "\U0010ffff"
"""No text goes on with it, so it ends the range of all that begin alike."""


@dataclass(slots=True, kw_only=True)
class Conditions:
    """Conditions that must all hold, with their parameters. `c` is the call."""

    terms: list[str] = field(default_factory=list)
    parameters: list[object] = field(default_factory=list)

    def add(self, term: str, *parameters: object) -> None:
        """One more that must hold."""
        self.terms.append(term)
        self.parameters += parameters

    @property
    def sql(self) -> str:
        """An expression; true where nothing was asked."""
        return " AND ".join(self.terms) or "TRUE"


def conditions_of(
    wanted: CallFilter, *, after: Cursor | None = None, before: Cursor | None = None
) -> Conditions:
    """What holds of the calls that are wanted, between places where they are given."""
    conditions = Conditions()
    if wanted.statuses:
        _add_statuses(conditions, wanted.statuses)
    if wanted.outcomes:
        marks = _marks(wanted.outcomes)
        outcomes = [bindable(outcome) for outcome in sorted(wanted.outcomes)]
        term = f"(c.protocol IN ({marks}) OR c.transport_end IN ({marks}))"
        conditions.add(term, *outcomes, *outcomes)
    for term, value in (
        # The plus keeps the order in time, where a pattern fits most calls.
        ("+c.model GLOB ?", None if wanted.model is None else glob_of(wanted.model)),
        ("c.thread_id = ?", wanted.thread_id),
        ("c.conversation = ?", wanted.conversation),
        ("c.started_at_unix_ms >= ?", wanted.since_unix_ms),
        ("c.started_at_unix_ms < ?", wanted.until_unix_ms),
        ("c.ended_ms > ?", wanted.slower_than_ms),
        ("c.input_tokens + c.output_tokens >= ?", wanted.tokens_min),
    ):
        if value is not None:
            conditions.add(term, _taken(value))
    if wanted.text is not None:
        _add_text(conditions, wanted.text)
    for place, sign in ((after, "<"), (before, ">")):
        if place is not None:
            values = (_taken(place.started_at_unix_ms), _taken(place.id))
            conditions.add(f"(c.started_at_unix_ms, c.id) {sign} (?, ?)", *values)
    return conditions


def _add_statuses(conditions: Conditions, statuses: frozenset[str]) -> None:
    """`running` and `lost` are one status in the bundle, told apart by its writer."""
    ended = [bindable(status) for status in sorted(statuses - {"running", "lost"})]
    terms = [f"c.status IN ({_marks(ended)})"] if ended else []
    if "running" in statuses:
        terms.append(f"(c.status = 'running' AND {IS_LIVE})")
    if "lost" in statuses:
        terms.append(f"(c.status = 'running' AND NOT {IS_LIVE})")
    conditions.add(f"({' OR '.join(terms)})", *ended)


def _add_text(conditions: Conditions, text: str) -> None:
    words = words_expression(text)
    if words is None:
        conditions.add("FALSE")
        return
    # The plus keeps the order in time: a common word is in more calls than a page shows.
    found = "SELECT i.call FROM texts JOIN items i ON i.id = texts.rowid WHERE texts MATCH ?"
    conditions.add(f"+c.id IN ({found})", words)


def words_expression(text: str) -> str | None:
    """A text as FTS5 searches it: its words in their order, the last one perhaps only begun.

    Whatever the text holds, it is no syntax. None where there is no word in it.
    """
    if not any(map(_is_of_word, text)):
        return None
    # The characters that would end the phrase, or all of it.
    words = bindable(text).replace('"', " ").replace("\0", " ")
    return f'"{words}"{"*" if _ends_with_beginning(text) else ""}'


def _ends_with_beginning(text: str) -> bool:
    """One letter begins too many words to go through them all, but where it is a word's worth."""
    text = text.rstrip("*")  # as one may write it; it is meant anyway
    if not text or not _is_of_word(text[-1]):
        return False
    return not text[-1].isascii() or (len(text) > 1 and _is_of_word(text[-2]))


def _is_of_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def glob_of(pattern: str) -> str:
    """A pattern in which only `*` has a meaning, as GLOB takes it."""
    return pattern.replace("[", "[[]").replace("?", "[?]")


def bindable(text: str) -> str:
    """A text as SQLite takes it: what is no Unicode, such as bytes of an argument, is `?`."""
    return text.encode(errors="replace").decode()


def _taken(value: str | float) -> str | float:
    """A value as SQLite takes it; a number beyond its largest excludes as much as that."""
    match value:
        case str():
            return bindable(value)
        case int():
            return max(-(2**63), min(value, 2**63 - 1))
        case _:
            return value


def _marks(values: frozenset[str] | list[str]) -> str:
    return ", ".join("?" * len(values))
