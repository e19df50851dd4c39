"""Reads fields of parsed JSON: what is not of the type asked for counts as absent."""

from collections.abc import Mapping


def text_of(value: Mapping[str, object], key: str) -> str | None:
    """The string under a key."""
    found = value.get(key)
    return found if isinstance(found, str) else None


def list_of(value: Mapping[str, object], key: str) -> list[object] | None:
    """The array under a key."""
    found = value.get(key)
    return found if isinstance(found, list) else None


def object_of(value: Mapping[str, object], key: str) -> dict[str, object]:
    """The object under a key; empty where there is none."""
    found = value.get(key)
    return found if isinstance(found, dict) else {}
