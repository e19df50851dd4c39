"""Read from a request which thread and turn it says it belongs to.

Only what the client says: chaining by `previous_response_id` and guessing by content are for those
who know more than one request.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from .strict_json import NotStrictJson, loads_lenient

ID_CHARS_MAX = 256
"""Ids become keys of the trace; those in use are UUIDs and names of well under 100 characters."""

TURN_METADATA_CHARS_MAX = 256 * 1024
"""It lists the workspaces of a Codex session; a header block holds 64 KiB, a body what it likes."""

_TURN_METADATA = "x-codex-turn-metadata"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a request says it is from; None where it does not say, or says what is no usable id.

    `thread_id` is from explicit sources, `conversation_id` included, `previous_response_id` not.
    """

    thread_id: str | None
    turn_id: str | None
    parent_thread_id: str | None
    session_id: str | None
    request_kind: str | None
    client_call_id: str | None
    conversation_id: str | None
    previous_response_id: str | None
    from_codex: bool


def identify(headers: Mapping[str, str], body: object) -> Identity:
    """Read the ids of a request from its headers (lower-case names) and its parsed body.

    Codex repeats its ids in several places (codex-rs/core/src/responses_metadata.rs). The order is:
    turn metadata, flat `client_metadata`, headers, then keys that others use for other ends.
    An id of more than ID_CHARS_MAX characters, or with unprintable ones, is passed over.
    """
    fields = _object(body)
    flat = _object(fields.get("client_metadata"))
    metadata = _turn_metadata(flat.get(_TURN_METADATA)) or _turn_metadata(
        headers.get(_TURN_METADATA)
    )
    from_codex = bool(metadata) or _is_codex(headers)
    conversation_id = _conversation_id(fields.get("conversation"))
    session_id = _first_id(
        metadata.get("session_id"),
        flat.get("session_id"),
        headers.get("session-id"),
        headers.get("session_id"),
    )
    thread_id = _first_id(
        metadata.get("thread_id"),
        flat.get("thread_id"),
        headers.get("thread-id"),
        headers.get("thread_id"),
        session_id,
        headers.get("conversation_id"),
        headers.get("conversation-id"),
        # Others put an id of the request, or one key for all their users, into these two.
        headers.get("x-client-request-id") if from_codex else None,
        fields.get("prompt_cache_key") if from_codex else None,
        conversation_id,
    )
    return Identity(
        thread_id=thread_id,
        turn_id=_first_id(metadata.get("turn_id"), flat.get("turn_id")),
        parent_thread_id=_first_id(
            metadata.get("parent_thread_id"),
            flat.get("x-codex-parent-thread-id"),
            headers.get("x-codex-parent-thread-id"),
        ),
        session_id=session_id,
        request_kind=_first_id(metadata.get("request_kind")),
        client_call_id=_first_id(headers.get("x-codex-inference-call-id")),
        conversation_id=conversation_id,
        previous_response_id=_first_id(fields.get("previous_response_id")),
        from_codex=from_codex,
    )


def _turn_metadata(text: object) -> Mapping[str, object]:
    if not isinstance(text, str) or len(text) > TURN_METADATA_CHARS_MAX:
        return {}
    try:
        return _object(loads_lenient(text.encode("utf-8", "replace")))
    except NotStrictJson:
        return {}


def _is_codex(headers: Mapping[str, str]) -> bool:
    """Codex names itself (`codex_cli_rs/0.169.0`, originator `codex_exec`) or sends its headers."""
    return (
        headers.get("user-agent", "").lower().startswith("codex")
        or headers.get("originator", "").lower().startswith("codex")
        or "x-codex-window-id" in headers
    )


def _conversation_id(conversation: object) -> str | None:
    """The API takes the id itself or an object that holds it."""
    return _first_id(conversation, _object(conversation).get("id"))


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _first_id(*candidates: object) -> str | None:
    for candidate in candidates:
        if isinstance(candidate, str) and _is_usable(candidate):
            return candidate
    return None


def _is_usable(text: str) -> bool:
    # Not printable: controls, line separators, bidirectional overrides, lone surrogates.
    return 0 < len(text) <= ID_CHARS_MAX and text.isprintable() and not text.isspace()
