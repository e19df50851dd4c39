"""What differs between two requests beside their inputs: settings one by one, tools by name."""

from collections.abc import Iterator, Mapping

from reducer.fields import list_of, text_of
from reducer.json_difference import first_difference, shown

from ..call.request_story import tool_name
from .comparison_view import SettingChange

_COMPARED_ELSEWHERE = frozenset(
    {"input", "instructions", "tools", "proxy", "previous_response_id", "client_metadata"}
)
"""The last two differ with every call."""


def setting_changes(
    before: Mapping[str, object], after: Mapping[str, object]
) -> tuple[SettingChange, ...]:
    """The members that differ, in the order of the later request, then those that are gone."""
    names = [name for name in dict.fromkeys([*after, *before]) if name not in _COMPARED_ELSEWHERE]
    found = [
        change
        for name in names
        if (change := _change(name, _pointer(name), before.get(name), after.get(name)))
    ]
    return (*found, *_tool_changes(before, after))


def _change(name: str, pointer: str, before: object, after: object) -> SettingChange | None:
    difference = first_difference(before, after, pointer)
    if difference is None:
        return None
    what = difference.what
    if None in (before, after):
        what = "is new" if before is None else "is gone"
    return SettingChange(
        name=name,
        pointer=difference.pointer,
        before=None if before is None else shown(before),
        after=None if after is None else shown(after),
        what=what,
    )


def _tool_changes(
    before: Mapping[str, object], after: Mapping[str, object]
) -> Iterator[SettingChange]:
    """Each tool that was added, removed or changed; else whether they stand in another order."""
    was, now = _tools(before), _tools(after)
    changes = []
    for name, (place, tool) in now.items():
        pointer = f"/tools/{place}"
        if name not in was:
            change = SettingChange(
                name=f"tool {name}", pointer=pointer, before=None, after=shown(tool), what="is new"
            )
            changes.append(change)
        elif found := _change(f"tool {name}", pointer, was[name][1], tool):
            changes.append(found)
    for name, (_, tool) in was.items():
        if name not in now:
            change = SettingChange(
                name=f"tool {name}",
                pointer="/tools",
                before=shown(tool),
                after=None,
                what="is gone",
            )
            changes.append(change)
    yield from changes
    if not changes and list(was) != list(now):
        yield SettingChange(
            name="tools",
            pointer="/tools",
            before=shown(list(was)),
            after=shown(list(now)),
            what=f"the same {len(now)} stand in another order",
        )


def _tools(body: Mapping[str, object]) -> dict[str, tuple[int, object]]:
    """Each tool with its place, by its name; of two with one name the second has a number."""
    found: dict[str, tuple[int, object]] = {}
    for place, tool in enumerate(list_of(body, "tools") or ()):
        name = _named(tool)
        number = 2
        while name in found:
            name = f"{_named(tool)} ({number})"
            number += 1
        found[name] = (place, tool)
    return found


def _named(tool: object) -> str:
    kind = text_of(tool, "type") if isinstance(tool, dict) else None
    name = tool_name(tool)
    return name if kind in {None, "function", name} else f"{name} ({kind})"


def _pointer(name: str) -> str:
    return f"/{name.replace('~', '~0').replace('/', '~1')}"
