"""The names and the envelope of what a bundle holds, as Codex's rollout-trace format has them.

The format is OpenAI Codex's (codex-rs/rollout-trace); whatever depends on its version stands here.
"""

from enum import StrEnum

SCHEMA_VERSION = 2
"""What codex-cli 0.169.0 writes; it refuses 1 and 3."""

MANIFEST_NAME = "manifest.json"
EVENT_LOG_NAME = "trace.jsonl"
PAYLOADS_NAME = "payloads"
STREAMS_NAME = "streams"
STATE_NAME = "state.json"


class PayloadKind(StrEnum):
    """The kinds of payload that a proxy writes; Codex's reducer refuses any unknown one."""

    INFERENCE_REQUEST = "inference_request"
    INFERENCE_RESPONSE = "inference_response"
    COMPACTION_REQUEST = "compaction_request"
    COMPACTION_RESPONSE = "compaction_response"
    PROTOCOL_EVENT = "protocol_event"


END_OF_CALL = frozenset(
    {
        "inference_completed",
        "inference_failed",
        "inference_cancelled",
        "compaction_request_completed",
        "compaction_request_failed",
    }
)
"""The terminal events: exactly one ends each call."""
