"""One output item while its deltas come: texts that grow, parts that are added.

Knows the shapes of items, not of events.
"""

from collections.abc import Mapping
from typing import Any

Spot = tuple[str] | tuple[str, int, str]
"""Where a text grows: a field of the item, or a field of an entry in one of its lists."""

COMMANDS = "commands"
"""The list in a shell call's `action`. Its entries are bare strings, kept here under `text`."""

_SKELETONS: Mapping[str, Mapping[str, Any]] = {
    "message": {"role": "assistant", "content": []},
    "reasoning": {"summary": []},
}
"""What is sure of an item known from its deltas alone, the event that added it being lost."""


def skeleton(item_type: str, item_id: object) -> dict[str, Any]:
    """Return an item of a type as it is when it begins."""
    identified = {"id": item_id} if isinstance(item_id, str) else {}
    return {**identified, "type": item_type, **_SKELETONS.get(item_type, {})}


class PartialItem:
    """An item that was begun. The object given to it, and those in it, are never changed."""

    def __init__(self, item: Mapping[str, Any]) -> None:
        self._item = dict(item)
        # By index, not in a list: an index may come late, or be absurd.
        self._entries: dict[str, dict[int, dict[str, Any]]] = {}
        self._texts: dict[Spot, list[str]] = {}

    def put_entry(self, entries: str, index: int, entry: Mapping[str, Any]) -> None:
        """Set a part as a whole, as its `added` and `done` events carry it."""
        self._entries_of(entries)[index] = _own(entry)
        for spot in [spot for spot in self._texts if spot[:2] == (entries, index)]:
            del self._texts[spot]

    def has_entry(self, entries: str, index: int) -> bool:
        return index in self._entries_of(entries)

    def append_to_entry(self, entries: str, index: int, field: str, value: object) -> None:
        """Append to a list in a part: an annotation."""
        entry = self._entries_of(entries).setdefault(index, {})
        if not isinstance(entry.get(field), list):
            entry[field] = []
        entry[field].append(value)

    def grow(self, spot: Spot, delta: str) -> None:
        """Append to a text."""
        pieces = self._texts.get(spot)
        if pieces is None:
            pieces = self._texts[spot] = [self._text_at(spot)]
        pieces.append(delta)

    def set_text(self, spot: Spot, text: str) -> None:
        """Set a text as a whole, as its `done` event carries it."""
        if len(spot) == 3:
            self._entries_of(spot[0])
        self._texts[spot] = [text]

    def item(self) -> dict[str, Any]:
        """The item as far as it came, shaped as when done, with status `incomplete`."""
        item = dict(self._item)
        lists = {
            name: {index: _own(entry) for index, entry in entries.items()}
            for name, entries in self._entries.items()
        }
        for spot, pieces in self._texts.items():
            match spot:
                case (field,):
                    item[field] = "".join(pieces)
                case (name, index, field):
                    lists.setdefault(name, {}).setdefault(index, {})[field] = "".join(pieces)
        for name, entries in lists.items():
            ordered = [entries[index] for index in sorted(entries)]
            if name == COMMANDS:
                action = item.get("action")
                commands = [entry["text"] for entry in ordered]
                known = action if isinstance(action, dict) else {}
                item["action"] = {**known, COMMANDS: commands}
            else:
                item[name] = ordered
        item["status"] = "incomplete"
        return item

    def _entries_of(self, name: str) -> dict[int, dict[str, Any]]:
        if name not in self._entries:
            self._entries[name] = dict(enumerate(self._entries_given(name)))
        return self._entries[name]

    def _entries_given(self, name: str) -> list[dict[str, Any]]:
        if name == COMMANDS:
            action = self._item.get("action")
            commands = action.get(COMMANDS) if isinstance(action, dict) else None
            given = commands if isinstance(commands, list) else []
            return [{"text": command} for command in given if isinstance(command, str)]
        parts = self._item.get(name)
        given = parts if isinstance(parts, list) else []
        return [_own(part) for part in given if isinstance(part, dict)]

    def _text_at(self, spot: Spot) -> str:
        match spot:
            case (field,):
                text = self._item.get(field)
            case (name, index, field):
                text = self._entries_of(name).get(index, {}).get(field)
        return text if isinstance(text, str) else ""


def _own(part: Mapping[str, Any]) -> dict[str, Any]:
    """A part whose lists may grow without changing the event that it came in."""
    return {key: list(value) if isinstance(value, list) else value for key, value in part.items()}
