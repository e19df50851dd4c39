"""What is new in a request."""

import pytest

from tests.support.stories import row, said, story
from viewer.call.new_entries import first_new
from viewer.call.story import Entry, EntryKind

USER = said("user", "u")
ASSISTANT = said("assistant", "a")
REASONING = said("assistant", "r", kind=EntryKind.REASONING)
CALLED = said("shell", "c", kind=EntryKind.TOOL_CALL)
OUTPUT = said("shell", "o", kind=EntryKind.TOOL_OUTPUT)
COMPACTED = said("assistant", "s", kind=EntryKind.COMPACTION)


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ((), 0),
        ((USER,), 0),
        ((said("system", "s"), USER), 0),
        ((USER, ASSISTANT, USER), 2),
        ((USER, REASONING, CALLED, OUTPUT), 3),
        ((USER, ASSISTANT, USER, OUTPUT, USER), 2),
        ((COMPACTED, USER), 1),
        ((USER, ASSISTANT), 0),
        ((USER, ASSISTANT, USER, ASSISTANT), 2),
    ],
)
def test_new_is_what_follows_the_models_last_word(asked: tuple[Entry, ...], first: int) -> None:
    """Before it lies the conversation so far; the beginning of an answer at the end is new."""
    assert first_new(story(asked=asked)) == first


def test_all_of_a_chained_request_is_new() -> None:
    """Upstream has what came before."""
    chained = row(previous_response_id="resp_0")
    assert first_new(story(chained, asked=(USER, ASSISTANT, USER))) == 0
