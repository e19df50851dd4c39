"""Which calls a query asks for, and how the form that asked shows it again."""

from collections.abc import Callable
from dataclasses import dataclass

from .. import given
from ..catalog.rows import CallFilter
from .view import Query

SINCE = (("10m", "last 10 minutes"), ("1h", "last hour"), ("today", "today"), ("7d", "last 7 days"))
SLOW = (("1s", "over 1 s"), ("5s", "over 5 s"), ("30s", "over 30 s"), ("2m", "over 2 min"))
TOKENS = (("1k", "1k or more"), ("10k", "10k or more"), ("100k", "100k or more"))
"""What the form offers; a query may ask for anything between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One value of a form's field."""

    value: str
    label: str
    is_chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """A condition that the form has no field for, with the URL that does without it."""

    label: str
    without_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What was asked for. `problems` has a sentence for each value that means nothing."""

    wanted: CallFilter
    text: str
    model: str
    since: tuple[Choice, ...]
    slow: tuple[Choice, ...]
    tokens: tuple[Choice, ...]
    chips: tuple[Chip, ...]
    hidden: tuple[tuple[str, str], ...]
    """What the form keeps, without a field for it."""
    problems: tuple[str, ...]

    @property
    def is_any(self) -> bool:
        """Whether anything is asked for."""
        return self.wanted != CallFilter()


def filters_of(query: Query, now_unix_ms: int) -> Filters:
    """What a query asks for. A value that means nothing is told, and excludes no call."""
    problems: list[str] = []
    understood: dict[str, str] = {}

    def read(name: str, parse: Callable[[str], float]) -> float | None:
        value = query.get(name)
        if value is None:
            return None
        try:
            found = parse(value)
        except ValueError as error:
            problems.append(str(error))
            return None
        understood[name] = value
        return found

    slow = read("slow", given.duration_ms)
    since = read("since", lambda value: given.moment_ms(value, now_unix_ms))
    until = read("until", lambda value: given.moment_ms(value, now_unix_ms))
    tokens = read("tokens", given.tokens_count)
    text, model, thread = query.get("text"), query.get("model"), query.get("thread")
    wanted = CallFilter(
        statuses=frozenset(query.all("status")),
        outcomes=frozenset(query.all("outcome")),
        model=model,
        thread_id=thread,
        since_unix_ms=None if since is None else round(since),
        until_unix_ms=None if until is None else round(until),
        slower_than_ms=slow,
        tokens_min=None if tokens is None else round(tokens),
        text=text,
    )
    hidden = [(name, v) for name in ("thread", "outcome", "until") for v in query.all(name)]
    return Filters(
        wanted=wanted,
        text=text or "",
        model=model or "",
        since=_choices(SINCE, understood.get("since"), "since {}"),
        slow=_choices(SLOW, understood.get("slow"), "over {}"),
        tokens=_choices(TOKENS, understood.get("tokens"), "{} or more"),
        chips=tuple(
            Chip(label=f"{name} {value}", without_url="/" + query.replaced(**{name: None}))
            for name, value in hidden
        ),
        hidden=tuple(hidden),
        problems=tuple(problems),
    )


def _choices(
    offered: tuple[tuple[str, str], ...], chosen: str | None, label: str
) -> tuple[Choice, ...]:
    """What is offered, and first what was asked for where that is something else."""
    values = {value for value, _ in offered}
    other = [(chosen, label.format(chosen))] if chosen is not None and chosen not in values else []
    return tuple(
        Choice(value=value, label=text, is_chosen=value == chosen)
        for value, text in (*other, *offered)
    )
