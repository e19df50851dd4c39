"""Tells what is new in a request: what was added after the model's last word."""

from .story import Entry, EntryKind, Story

_BY_THE_MODEL = frozenset({EntryKind.REASONING, EntryKind.TOOL_CALL, EntryKind.COMPACTION})


def first_new(story: Story) -> int:
    """The index in the input of the first entry that is new.

    A request that names the response before it holds new entries alone.
    """
    if story.row.previous_response_id is not None:
        return 0
    last = len(story.input) - 1
    # A request may end with the beginning of the answer; then that is new as well.
    spoken = (i for i in range(last - 1, -1, -1) if _is_models(story.input[i]))
    return next(spoken, -1) + 1


def _is_models(entry: Entry) -> bool:
    if entry.kind is EntryKind.MESSAGE:
        return entry.who == "assistant"
    return entry.kind in _BY_THE_MODEL
