"""Places items in their thread's conversation: which of them were seen before, and which are new.

A request is compared with the conversation as the thread's latest call left it. What repeats keeps
its item; what does not becomes a new one.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from .diagnostics import Code
from .fold import Fold
from .model_item import ModelItem, compatible_ids, merged_reasoning, placed_in, same_content
from .records import Item, Thread
from .sightings import note_end, note_new, note_sighting

TOOL_CALL_KINDS = frozenset({"function_call", "custom_tool_call"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """Where and when items are seen, and what produced the new ones among them."""

    thread: Thread
    codex_turn_id: str | None
    at_unix_ms: int
    raw_payload_id: str = ""
    """The payload that shows the items; none where no payload does."""
    produced_by: dict[str, object] | None = None


def place_snapshot(
    fold: Fold, sighting: Sighting, contents: Sequence[ModelItem], previous: Sequence[Item]
) -> list[Item]:
    """Place a whole conversation. Each item of the previous one is used once, in any order."""
    candidates = _Candidates(previous)
    placed = []
    for position, content in enumerate(contents):
        if candidates.repeats(position, content):
            placed.append(previous[position])
            if content.call_id is not None:
                note_sighting(fold, previous[position])
            continue
        known = _referred(fold, sighting, content)
        if known is None or not candidates.is_free(known):
            known = candidates.at(position, content) or candidates.first(content)
        placed.append(_place(fold, sighting, content, known))
        candidates.use(placed[-1])
    note_end(fold)
    return placed


def place_output(fold: Fold, sighting: Sighting, contents: Sequence[ModelItem]) -> list[Item]:
    """Place what the model said: new items, but for those that were shown by their ids before.

    A client may repeat an item in a request before the end of the call that said it is told.
    """
    ids = {c.responses_item_id for c in contents if c.responses_item_id is not None}
    namesakes = [item for item_id in ids for item in _namesakes(fold, sighting, item_id)]
    return place_apart(fold, sighting, contents, sorted(namesakes, key=lambda item: item.ordinal))


def place_apart(
    fold: Fold, sighting: Sighting, contents: Sequence[ModelItem], previous: Sequence[Item]
) -> list[Item]:
    """Place items that may be earlier ones, each once: where they stand does not count."""
    candidates = _Candidates(previous)
    placed = []
    for content in contents:
        placed.append(_place(fold, sighting, content, candidates.first(content)))
        candidates.use(placed[-1])
    note_end(fold)
    return placed


def place_after(
    fold: Fold, sighting: Sighting, contents: Sequence[ModelItem], rest: Sequence[Item]
) -> list[Item]:
    """Place what follows a known conversation. `rest` is what followed it when it was last seen.

    Where the two differ, the conversation forks: Codex gives up there, and we go on with new items.
    """
    candidates = _Candidates(rest)
    placed: list[Item] = []
    for position, content in enumerate(contents):
        known = candidates.at(position, content)
        if known is None and position < len(rest):
            fold.odd(
                Code.FORKED_PREVIOUS_RESPONSE,
                f"another request went on differently at item {position}",
            )
            candidates, rest = _Candidates(()), ()
        if known is None:
            known = _referred(fold, sighting, content)
        placed.append(_place(fold, sighting, content, known))
        candidates.use(placed[-1])
    note_end(fold)
    return placed


def show(items: Sequence[Item]) -> None:
    """Make the items part of their thread's history: the model was shown them."""
    for item in items:
        item.is_in_history = True


def place_received(fold: Fold, sighting: Sighting, content: ModelItem) -> None:
    """Place a message that was taken into the history before any request showed it."""
    responses_item_id = content.responses_item_id
    if responses_item_id is not None and not _namesakes(fold, sighting, responses_item_id):
        item = _place(fold, sighting, content, None)
        fold.received[sighting.thread.thread_id, responses_item_id] = item


def place_marker(fold: Fold, sighting: Sighting, marker: ModelItem) -> Item:
    """Place an item that no request shows."""
    return _place(fold, sighting, marker, None)


def _create(fold: Fold, sighting: Sighting, content: ModelItem) -> Item:
    item = Item(
        ordinal=len(fold.items) + 1,
        thread_id=sighting.thread.thread_id,
        codex_turn_id=sighting.codex_turn_id,
        first_seen_at_unix_ms=sighting.at_unix_ms,
        content=placed_in(content, sighting.raw_payload_id),
        produced_by=[],
        siblings=sighting.thread.items,
        position=len(sighting.thread.items),
    )
    fold.items.append(item)
    sighting.thread.items.append(item)
    note_new(fold, item)
    return item


def _place(fold: Fold, sighting: Sighting, content: ModelItem, known: Item | None) -> Item:
    _check_tool_call(fold, sighting, content)
    known = _received(fold, sighting, content) if known is None else known
    item = _create(fold, sighting, content) if known is None else known
    if content.refers_to is None:
        item.seen = content if item.content.head == content.head else None
        if known is not None:
            _merge(item, content)
    if sighting.produced_by is not None and sighting.produced_by not in item.produced_by:
        item.produced_by.append(sighting.produced_by)
    if item.content.responses_item_id is not None:
        namesakes = _namesakes(fold, sighting, item.content.responses_item_id)
        if item not in namesakes:
            namesakes.append(item)
    note_sighting(fold, item)
    return item


def _merge(item: Item, seen: ModelItem) -> None:
    known = item.content
    parts = known.parts
    if known.is_reasoning:
        parts = merged_reasoning(parts, seen.parts)
    responses_item_id = known.responses_item_id
    if responses_item_id is None:
        responses_item_id = seen.responses_item_id
    if parts is not known.parts or responses_item_id is not known.responses_item_id:
        item.content = replace(known, parts=parts, responses_item_id=responses_item_id)


def _referred(fold: Fold, sighting: Sighting, content: ModelItem) -> Item | None:
    """The item that an item_reference stands for, where the thread has it."""
    if content.refers_to is None:
        return None
    return next(iter(_namesakes(fold, sighting, content.refers_to)), None)


def _received(fold: Fold, sighting: Sighting, content: ModelItem) -> Item | None:
    """The message that was received under an id; the first to show it tells how it reads."""
    if content.agent_message is None or content.responses_item_id is None:
        return None
    key = (sighting.thread.thread_id, content.responses_item_id)
    item = fold.received.pop(key, None)
    if item is not None:
        item.content = replace(item.content, parts=content.parts)
    return item


def _namesakes(fold: Fold, sighting: Sighting, responses_item_id: str) -> list[Item]:
    """The thread's items with one id of the Responses API; commonly one."""
    key = (sighting.thread.thread_id, responses_item_id)
    return fold.items_by_responses_id.setdefault(key, [])


def _check_tool_call(fold: Fold, sighting: Sighting, content: ModelItem) -> None:
    """A call id names one tool call: what comes under it again says the same."""
    if content.call_id is None or content.kind not in TOOL_CALL_KINDS:
        return
    key = (sighting.thread.thread_id, content.kind, content.call_id)
    if not same_content(fold.tool_calls_seen.setdefault(key, content), content):
        fold.odd(Code.CALL_ID_REUSED, f"call id {content.call_id} came again with other content")


class _Candidates:
    """Items that may come again, each once."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = items
        self._used: set[int] = set()
        self._by_key: dict[Hashable, list[Item]] | None = None

    def is_free(self, item: Item) -> bool:
        """Whether the item was not used yet."""
        return item.ordinal not in self._used

    def use(self, item: Item) -> None:
        """Use the item up."""
        self._used.add(item.ordinal)

    def repeats(self, position: int, content: ModelItem) -> bool:
        """Whether the item at a position was placed for this very content, if so, use it up."""
        if position >= len(self._items):
            return False
        item = self._items[position]
        if item.seen is not content or item.ordinal in self._used:
            return False
        self._used.add(item.ordinal)
        return True

    def at(self, position: int, content: ModelItem) -> Item | None:
        """The item at a position, if the content is its."""
        if position >= len(self._items):
            return None
        item = self._items[position]
        return item if self._fits(item, content) else None

    def first(self, content: ModelItem) -> Item | None:
        """The first item of which the content is another sighting."""
        if self._by_key is None:
            self._by_key = {}
            for item in self._items:
                self._by_key.setdefault(_search_key(item.content), []).append(item)
        found = self._by_key.get(_search_key(content), ())
        return next((item for item in found if self._fits(item, content)), None)

    def _fits(self, item: Item, content: ModelItem) -> bool:
        return (
            self.is_free(item)
            and same_content(item.content, content)
            and compatible_ids(item.content, content)
        )


def _search_key(content: ModelItem) -> Hashable:
    """What two sightings of one item surely share: reasoning may show other parts each time."""
    if content.is_reasoning:
        return content.head
    return (content.head, content.body)
