"""Links the items that the model saw to the tools, cells and messages that they show."""

from . import code_cells, edges, tool_calls
from .fold import Fold
from .records import Item


def note_new(fold: Fold, item: Item) -> None:
    """Let a new item be found by its call."""
    call_id = item.content.call_id
    if call_id is not None:
        fold.runtime.items_by_call.setdefault((item.thread_id, call_id), []).append(item)


def note_sighting(fold: Fold, item: Item) -> None:
    """Link an item that was seen, for the first time or again."""
    tool_calls.note_sighting(fold, item)
    code_cells.note_sighting(fold, item)
    edges.note_sighting(fold, item)


def note_end(fold: Fold) -> None:
    """Place what waited for the items of a payload, now that all of them were seen."""
    code_cells.place_waiting(fold)
