"""Masks secrets in JSON: it stays JSON, and the format's own words in it stay what they are.

A secret may be a common word or a number. Masked as text, it would hit the names and the numbers by
which a bundle is read, and one odd key of one client would make the whole bundle unreadable.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from .masking import StreamMask, mask
from .strict_json import dumps, loads_lenient

_FORMAT_KEYS = frozenset(
    {"input", "output_items", "proxy", "response_id", "token_usage", "type", "upstream_request_id"}
)
_OUR_FIELDS = frozenset(
    {
        "type",
        "thread_id",
        "codex_turn_id",
        "status",
        "inference_call_id",
        "compaction_id",
        "compaction_request_id",
    }
)
"""Fields of an event with values of ours; the ids of threads and turns are masked as they come."""


def mask_json(data: bytes, secrets: Sequence[bytes]) -> bytes:
    """Return JSON with ``secrets`` masked; the same bytes where it holds none."""
    if mask(data, secrets) == data:
        return data
    return dumps(_masked(loads_lenient(data), StreamMask(secrets)))


def mask_event(payload: Mapping[str, Any], secrets: Sequence[bytes]) -> Mapping[str, Any]:
    """Return an event's payload with ``secrets`` masked in all that came from the wire."""
    masker = StreamMask(secrets)
    return {
        name: value if name in _OUR_FIELDS else _masked(value, masker)
        for name, value in payload.items()
    }


def mask_text(text: str, secrets: Sequence[bytes]) -> str:
    """Return text with ``secrets`` masked."""
    data = text.encode(errors="replace")
    masked = mask(data, secrets)
    return text if masked == data else masked.decode(errors="replace")


def _masked(value: object, masker: StreamMask) -> object:
    match value:
        case {"raw_payload_id": _, "kind": _, "path": _}:
            return value
        case Mapping():
            return {
                key if key in _FORMAT_KEYS else _masked_text(key, masker): _masked(child, masker)
                for key, child in value.items()
            }
        case list() | tuple():
            return [_masked(item, masker) for item in value]
        case str():
            return _masked_text(value, masker)
        case int() | float() if not isinstance(value, bool):
            text = str(value)
            masked = _masked_text(text, masker)
            return value if masked == text else masked
        case _:
            return value


def _masked_text(text: str, masker: StreamMask) -> str:
    data = text.encode(errors="replace")
    masked = masker.feed(data) + masker.finish()
    return text if masked == data else masked.decode(errors="replace")
