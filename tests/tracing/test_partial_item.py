"""One item that grows."""

from tracing.partial_item import COMMANDS, PartialItem, skeleton


def test_a_part_set_as_a_whole_replaces_its_deltas() -> None:
    """The part of a `done` event has the last word on its texts, and no other part loses any."""
    item = PartialItem({"type": "message"})
    item.grow(("content", 0, "text"), "dra")
    item.grow(("content", 1, "text"), "kept")
    item.put_entry("content", 0, {"type": "output_text", "text": "final"})
    assert item.item()["content"] == [{"type": "output_text", "text": "final"}, {"text": "kept"}]


def test_growth_goes_on_from_what_was_there() -> None:
    """A field or part that came with some text keeps it."""
    item = PartialItem({"arguments": "{", "summary": [{"text": "a"}]})
    item.grow(("arguments",), "}")
    item.grow(("summary", 0, "text"), "b")
    assert item.item() == {"arguments": "{}", "summary": [{"text": "ab"}], "status": "incomplete"}


def test_a_command_set_first_keeps_the_others() -> None:
    """Commands that the item came with stay beside one that is set whole."""
    item = PartialItem({"action": {COMMANDS: ["ls", "old"]}})
    item.set_text((COMMANDS, 1, "text"), "new")
    assert item.item()["action"] == {COMMANDS: ["ls", "new"]}


def test_an_item_without_a_usable_id_has_none() -> None:
    """What an item begins with, when its own beginning was lost."""
    assert skeleton("function_call", 7) == {"type": "function_call"}
    assert skeleton("reasoning", "rs_1") == {"id": "rs_1", "type": "reasoning", "summary": []}
