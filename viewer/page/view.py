"""What a page is made of and what it answers: plain data, without the server."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlencode

from ..call.live import LiveCalls
from ..catalog.catalog import Catalog

NUMBER_DIGITS_MAX = 9


@dataclass(frozen=True, slots=True)
class Query:
    """A URL's query: names and values in their order, a name once or several times."""

    pairs: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str | None:
        """The first value of a name, without the space around it; None where it is empty."""
        return next(iter(self.all(name)), None)

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a name but the empty ones."""
        found = (value.strip() for key, value in self.pairs if key == name)
        return tuple(value for value in found if value)

    def whole_number(self, name: str) -> int | None:
        """The whole number that a name stands for; anything else counts as left out."""
        return whole_number(self.get(name) or "")

    def replaced(self, **values: str | None) -> str:
        """The query with these names set anew, or taken out; as it stands in a URL, `?` and all."""
        kept = [(key, value) for key, value in self.pairs if key not in values]
        new = [(key, value) for key, value in values.items() if value is not None]
        return encoded([*kept, *new])


def whole_number(given: str) -> int | None:
    """The number that a text stands for; None where it stands for none, or for one too large."""
    is_number = given.isascii() and given.isdecimal() and len(given) <= NUMBER_DIGITS_MAX
    return int(given) if is_number else None


def encoded(pairs: Iterable[tuple[str, str]]) -> str:
    """A query as it stands in a URL, `?` and all; empty where there is nothing to ask."""
    text = urlencode(list(pairs), errors="replace")
    return f"?{text}" if text else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What somebody wants to see. `path` has the parts of the URL's path by their names.

    `fragment` is the one region of the page that is asked for, or None. `live` follows the calls
    that still run.
    """

    catalog: Catalog
    live: LiveCalls
    path: Mapping[str, str]
    query: Query
    fragment: str | None
    now_unix_ms: int


@dataclass(frozen=True, slots=True)
class Html:
    """A page, or a region of it: what to put into the template of this name."""

    template: str
    context: Mapping[str, object] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes as they were recorded; no browser takes them for a page."""

    body: bytes
    content_type: Literal["application/json", "text/plain"]


class NotFound(Exception):
    """What was asked for is not there; the message says it in a sentence."""


@dataclass(frozen=True, slots=True)
class Route:
    """Which pages a function makes: those at a path such as `/call/{trace_id}/{call_id}`."""

    path: str
    page: Callable[[View], Html | Raw]
