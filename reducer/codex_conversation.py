"""Rebuilds what each call was shown and said, in items that Codex's reducer takes."""

from collections.abc import Iterable, Mapping

from .codex_items import codex_item, text_message, without_call_id
from .conversation import TOOL_CALL_KINDS
from .exact_json import NotExactJson, compact, parse_exact, parse_payload
from .fields import list_of, text_of
from .model_item import ModelItem, same_content
from .normalize import Oddities, normalize
from .records import Call


class Node:
    """Items after others: chained requests share what they go on from."""

    __slots__ = ("before", "items")

    def __init__(self, before: "Node | None", items: list[object]) -> None:
        self.before = before
        self.items = items

    def flat(self) -> list[object]:
        """All items, first to last."""
        pieces: list[list[object]] = []
        node: Node | None = self
        while node is not None:
            pieces.append(node.items)
            node = node.before
        return [item for piece in reversed(pieces) for item in piece]


class Conversations:
    """The items of a bundle's calls as they came, noted in the order of the events."""

    def __init__(self) -> None:
        self._shown: dict[str, Node] = {}
        self._said: dict[str, list[object]] = {}
        self._after: dict[str, Node] = {}
        self._by_id: dict[tuple[str, str], object] = {}
        """The first item of each id in each thread, which references stand for."""

    def note_request(
        self, call: Call, request: Mapping[str, object], prewarm: Mapping[str, object]
    ) -> list[object]:
        """Note a call's request, and give all items that it stands for.

        `prewarm` is the request without output that it goes on from, if it does.
        """
        before: Node | None = None
        if call.parent is not None:
            before = self._after.get(call.parent.inference_call_id)
        elif call.prewarm is not None:
            before = Node(None, input_items(prewarm) + (list_of(prewarm, "output") or []))
        is_whole = text_of(request, "previous_response_id") is None
        own = self._resolved(call, input_items(request), is_whole=is_whole)
        node = Node(before, own)
        self._shown[call.inference_call_id] = self._after[call.inference_call_id] = node
        return node.flat()

    def note_response(self, call: Call, output: list[object]) -> None:
        """Note what the model said."""
        for item in output:
            self._note(call, item)
        self._said[call.inference_call_id] = output
        shown = self._shown.get(call.inference_call_id)
        self._after[call.inference_call_id] = Node(shown, output)

    def said(self, call: Call) -> list[object]:
        """What the model said, as far as it was noted."""
        return self._said.get(call.inference_call_id, [])

    def _resolved(self, call: Call, items: list[object], *, is_whole: bool) -> list[object]:
        """The items, each reference replaced by what it stands for; once each in a whole input."""
        found: list[object] = []
        used: set[int] = set()
        for item in items:
            resolved = item
            referred = reference_of(item)
            if referred is not None:
                resolved = self._by_id.get((call.thread_id, referred), item)
                if is_whole and id(resolved) in used:
                    resolved = item
            else:
                self._note(call, item)
            used.add(id(resolved))
            found.append(resolved)
        return found

    def _note(self, call: Call, item: object) -> None:
        item_id = text_of(item, "id") if isinstance(item, dict) else None
        if item_id is not None:
            self._by_id.setdefault((call.thread_id, item_id), item)


class CodexItems:
    """Projects items, and sees to it that no thread uses an id for two tool calls."""

    def __init__(self) -> None:
        self._tool_calls: dict[tuple[str, str, str], ModelItem] = {}

    def projected(
        self, items: Iterable[object], thread_id: str, raw_payload_id: str
    ) -> list[object]:
        """The items as they can stand in a payload of a thread."""
        return [self._checked(codex_item(item), thread_id, raw_payload_id) for item in items]

    def _checked(self, item: object, thread_id: str, raw_payload_id: str) -> object:
        for content in normalize([item], raw_payload_id, Oddities()):
            if content.call_id is None or content.kind not in TOOL_CALL_KINDS:
                continue
            key = (thread_id, content.kind, content.call_id)
            if not same_content(self._tool_calls.setdefault(key, content), content):
                return without_call_id(item)
        return item


def input_items(request: Mapping[str, object]) -> list[object]:
    """The items of a request, a string as the message that it stands for."""
    match request.get("input"):
        case list() as items:
            return list(items)
        case str() as text:
            return [text_message(text)]
        case _:
            return []


def reference_of(item: object) -> str | None:
    """The id of the item that this one only points to."""
    if not isinstance(item, dict):
        return None
    kind = text_of(item, "type")
    is_reference = kind == "item_reference" or (kind is None and "role" not in item)
    return text_of(item, "id") if is_reference else None


def exact_bytes(value: object) -> bytes:
    """The JSON of a parsed payload, as Codex's parser takes it."""
    text = compact(value)
    try:
        parse_exact(text)
    except NotExactJson:  # what was put around an item made it too deep
        text = compact(parse_payload(text.encode())[0])
    return text.encode()
