"""What there is to tell of a conversation: plain data, that the terminal and the page both show."""

from dataclasses import dataclass

from reducer.cache import CacheReport

from ..call.story import Entry
from ..catalog.rows import CallRow, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """One of the ways that a conversation went; its requests stand one after the other.

    `start` is its first request, by index, and `forks_from` the one that it leaves another branch
    at. The first branch is the main one, on which most of the requests lie.
    """

    number: int
    start: int
    length: int
    forks_from: int | None
    started_at_unix_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadRequest:
    """One request as the client meant it: a call, or a call and its retries.

    `index` is its place in the whole conversation, branch after branch; `parent` and `children` are
    such places too. `depth` is how many requests lie before it on its way from the first one.
    """

    index: int
    branch: int
    depth: int
    parent: int | None
    children: tuple[int, ...]
    attempts: tuple[CallRow, ...]
    """The first one first; the last one is the one that the entries are of."""
    instructions: str | None
    """Where they are not those of the request before; empty where they were taken away."""
    new_input: tuple[Entry, ...]
    """What the request before was not shown, and had not said."""
    not_shown: int
    """How many new items there are before these, which are left out since there are too many."""
    repeated: int
    """How many items of the input were shown before, or said by the model."""
    gone: int
    """How many items of the request and response before are not shown to the model any more."""
    output: tuple[Entry, ...]
    cache: CacheReport | None
    """How it stood with the prompt cache next to the request before; None where it was not read."""
    missing: tuple[str, ...]
    """What could not be kept or cannot be read, a sentence each."""

    @property
    def call(self) -> CallRow:
        """The attempt that the request ended with."""
        return self.attempts[-1]

    @property
    def is_branch_point(self) -> bool:
        """Whether the conversation goes on in several ways from here."""
        return len(self.children) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadView:
    """A part of a conversation: `requests` are those from `start` on, of `request_count`."""

    conversation: int
    requests: tuple[ThreadRequest, ...]
    start: int
    request_count: int
    call_count: int
    branches: tuple[Branch, ...]
    started_at_unix_ms: int
    latest_at_unix_ms: int
    """When its latest call began."""
    usage: Usage
    """Of all its calls together, as far as they told."""

    @property
    def next_start(self) -> int | None:
        """Where the next part begins; None at the end."""
        end = self.start + len(self.requests)
        return end if end < self.request_count else None
