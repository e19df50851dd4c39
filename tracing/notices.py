"""The payloads of our own notices, which stand in a bundle as ``protocol_event_observed``."""

from collections.abc import Mapping
from typing import Any

from .answer import Answer
from .call import ExchangeEnded
from .json_masking import mask_json
from .open_call import OpenCall
from .redaction import header_secrets, kept_headers, redact_query, set_cookie_secrets
from .request_ids import upstream_request_id
from .strict_json import dumps


def exchange_payload(ended: ExchangeEnded) -> bytes:
    """Tell of an exchange that is no call: what was asked, and how it was answered."""
    query, query_secrets = redact_query(ended.head.query)
    request_id, request_id_header = upstream_request_id(ended.headers)
    payload = {
        "method": ended.head.method,
        "path": ended.head.path,
        "query": query,
        "connection_id": ended.head.connection_id,
        "http_status": ended.http_status,
        "upstream_request_id": request_id,
        "upstream_request_id_header": request_id_header,
        "outcome": {"transport": ended.end, "reason": ended.end_text},
        "duration_ms": round(ended.duration_ns / 1e6, 3),
        "bytes_up": ended.bytes_up,
        "bytes_down": ended.bytes_down,
        "response_headers": kept_headers(ended.headers),
    }
    secrets = (
        *header_secrets(ended.head.headers),
        *query_secrets,
        *set_cookie_secrets(ended.headers),
    )
    return mask_json(dumps(payload), secrets)


def prewarm_payload(call: OpenCall, answer: Answer, *, keep_bodies: bool) -> bytes:
    """Tell of a prewarm, which is no call: what the next call that names its id chains from."""
    payload: Mapping[str, Any] = {
        "response_id": answer.response_id,
        "previous_response_id": call.prewarm_body.get("previous_response_id"),
        "input": call.prewarm_body.get("input"),
        "output": answer.output_items if keep_bodies else None,
        "instructions": call.prewarm_body.get("instructions"),
        "tools": call.prewarm_body.get("tools"),
    }
    return mask_json(dumps(payload), call.secrets)
