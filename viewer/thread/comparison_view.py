"""What differs between two calls: plain data, that the terminal and the page both show."""

from dataclasses import dataclass
from enum import StrEnum

from reducer.cache import CacheReport

from ..call.story import Entry
from ..catalog.rows import CallRow


class Sameness(StrEnum):
    """What became of an item from one call to the other."""

    EQUAL = "equal"
    CHANGED = "changed"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemChange:
    """An item that the models were shown. Ids and states do not count.

    Both entries are there but where it was added or removed. `what` tells of a change in a few
    words: the first difference.
    """

    sameness: Sameness
    before: Entry | None
    after: Entry | None
    what: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingChange:
    """A member of the request beside its input, or one tool, that differs.

    `before` and `after` are on one line and shortened, None where there was none.
    """

    name: str
    pointer: str
    before: str | None
    after: str | None
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two calls. `is_whole` is whether all that it was shown is known and compared.

    Where it continues a response by its id, that is put together from the calls before it; else
    only the items that the request itself holds are compared. Entries of what another request
    showed point nowhere. `error` is what upstream answered in place of a response, or why none
    came.
    """

    row: CallRow
    is_whole: bool
    items: int
    instructions: str
    output: tuple[Entry, ...]
    error: str | None
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two calls side by side. `cache` says what of it broke the prompt cache of the second one.

    `is_aligned` is False where the inputs have too many items between their common beginning and
    their common end to say which of these became which.
    """

    before: Side
    after: Side
    has_both_requests: bool
    """Whether both requests could be read; without, neither settings nor items are compared."""
    settings: tuple[SettingChange, ...]
    items: tuple[ItemChange, ...]
    common: CallRow | None
    """A call that both went on from, where what was shown before its request is left out, since it
    is long, and the same for both; None where nothing is left out, or it is not known."""
    is_aligned: bool
    cache: CacheReport
    is_continuation: bool
    """Whether the second call continues the first one."""

    @property
    def is_same_call(self) -> bool:
        """Whether it is one call, named twice: then there is nothing to compare."""
        return self.before.row.id == self.after.row.id

    def count(self, sameness: Sameness) -> int:
        """How many items are so."""
        return sum(item.sameness is sameness for item in self.items)
