"""The parts of a conversation item's body, and when two parts are the same."""

import hashlib
from dataclasses import dataclass

from .exact_json import canonical, compact

SUMMARY_BYTES_MAX = 240
"""Where codex-cli 0.169.0 cuts the text of a JSON part, before the character that crosses it."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part. `identity` is what is compared when a later request repeats the item.

    A part that names its payload does not say which, until it is placed: it may have been read from
    another one that holds the same.
    """

    type: str
    as_json: dict[str, object]
    identity: tuple[str, ...]

    @property
    def names_a_payload(self) -> bool:
        """Whether it is still open which payload the part names."""
        return self.as_json.get("raw_payload_id", "") is None

    @property
    def is_tied(self) -> bool:
        """Whether the part is the same only in one payload."""
        return self.as_json.get("raw_payload_id") is not None

    def placed_in(self, raw_payload_id: str) -> "Part":
        """The part as it stands in a payload."""
        if not self.names_a_payload:
            return self
        fields = {**self.as_json, "raw_payload_id": raw_payload_id}
        return Part(self.type, fields, self.identity)


def text_part(text: str) -> Part:
    """Text of a message, a tool's input or output, or readable reasoning."""
    return Part("text", {"type": "text", "text": text}, ("text", text))


def summary_part(text: str) -> Part:
    """A summary of reasoning."""
    return Part("summary", {"type": "summary", "text": text}, ("summary", text))


def encoded_part(value: str) -> Part:
    """Encrypted content."""
    fields: dict[str, object] = {"type": "encoded", "label": "encrypted_content", "value": value}
    return Part("encoded", fields, ("encoded", value))


def code_part(source: str) -> Part:
    """JavaScript that the model gave to Codex's `exec` tool."""
    fields: dict[str, object] = {"type": "code", "language": "javascript", "source": source}
    return Part("code", fields, ("code", source))


def json_part(value: object) -> Part:
    """A JSON value. Two are the same where their summaries are: as Codex compares them."""
    summary = _summary(compact(value))
    fields: dict[str, object] = {
        "type": "json",
        "summary": summary,
        "raw_payload_id": None,
    }
    return Part("json", fields, ("json", summary))


def unread_part(label: str, raw_payload_id: str) -> Part:
    """Content that stays in its payload, so that it is the same only where the payload is."""
    fields: dict[str, object] = {
        "type": "payload_ref",
        "label": label,
        "raw_payload_id": raw_payload_id,
    }
    return Part("payload_ref", fields, ("payload_ref", label, raw_payload_id, ""))


def hashed_part(label: str, value: object) -> Part:
    """Content that stays in its payload and is known again by the hash of its sorted JSON."""
    digest = hashlib.sha256(canonical(value).encode()).hexdigest()
    fields: dict[str, object] = {
        "type": "payload_ref",
        "label": label,
        "raw_payload_id": None,
        "content_sha256": digest,
    }
    return Part("payload_ref", fields, ("payload_ref", label, "", digest))


def _summary(text: str) -> str:
    data = text.encode()
    if len(data) <= SUMMARY_BYTES_MAX:
        return text
    return data[:SUMMARY_BYTES_MAX].decode(errors="ignore") + "..."
