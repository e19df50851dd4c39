"""Finds the calls that try again what an earlier one tried: attempts of one logical request."""

from dataclasses import dataclass
from enum import StrEnum

from .call_facts import CallFacts, CallKey
from .link_rules import EarlierCalls, body_sign, client_call_sign

COUNTED_RETRY_GAP_MS_MAX = 150_000
"""From an attempt's end to one that says it is a retry. openai-python waits up to 120 s for a
Retry-After, and does not say what it retries."""

PLAIN_RETRY_GAP_MS_MAX = 30_000
"""The same where nothing but the body says it: the backoff of common clients, and little more,
since somebody may ask the same thing again on purpose."""

RETRIED_STATUSES = frozenset({408, 409, 429})
"""The HTTP errors below 500 that the openai SDKs retry (openai-python 3.54, _base_client.py)."""


class RetrySign(StrEnum):
    """What says that a call is a retry. The values are part of the state, so they do not change."""

    CLIENT_CALL_ID = "client_call_id"
    RETRY_COUNT = "retry_count"
    BODY = "body"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """A call that tries again what the call `of` tried. `attempt` counts from 1, the first call."""

    of: CallKey
    by: RetrySign
    first: CallKey
    attempt: int


def find_retry(call: CallFacts, earlier: EarlierCalls) -> Retry | None:
    """The call that this one tries again: one that came to nothing. Each is retried once."""
    found = _of_client_call(call, earlier) or _of_body(call, earlier)
    if found is None:
        return None
    before, sign = found
    first, attempt = earlier.attempt_of(before.key)
    return Retry(of=before.key, by=sign, first=first, attempt=attempt + 1)


def _of_client_call(call: CallFacts, earlier: EarlierCalls) -> tuple[CallFacts, RetrySign] | None:
    """Codex repeats the id of its own call when its transport sends a request again."""
    if not call.attempt.client_call_id:
        return None
    before = earlier.latest(client_call_sign(call.attempt.client_call_id))
    if before is None or before.status == "completed":
        return None
    return before, RetrySign.CLIENT_CALL_ID


def _of_body(call: CallFacts, earlier: EarlierCalls) -> tuple[CallFacts, RetrySign] | None:
    if call.attempt.body is None:
        return None
    sign = RetrySign.RETRY_COUNT if call.attempt.retry_count > 0 else RetrySign.BODY
    may_be = _is_retried_by_count if call.attempt.retry_count > 0 else _is_retried_plainly
    for before in earlier.newest(body_sign(call.attempt.body)):
        if may_be(before, call) and not earlier.is_retried(before.key):
            return before, sign
    return None


def _is_retried_by_count(before: CallFacts, call: CallFacts) -> bool:
    """The retry says that it is one. A crash may have lost the end of the call before."""
    if before.attempt.retry_count >= call.attempt.retry_count:
        return False
    ended_at = before.ended_at_unix_ms
    since = before.order_unix_ms if ended_at is None else ended_at
    return call.order_unix_ms - since <= COUNTED_RETRY_GAP_MS_MAX


def _is_retried_plainly(before: CallFacts, call: CallFacts) -> bool:
    """The call before failed as calls fail that are tried again, a short time ago.

    Cancelled ones count where nothing had come: then the client gave up waiting. Who stops an
    answer and asks again wants another one, and so does who got an incomplete one.
    """
    if before.ended_at_unix_ms is None:
        return False
    if not 0 <= call.order_unix_ms - before.ended_at_unix_ms <= PLAIN_RETRY_GAP_MS_MAX:
        return False
    if before.status == "cancelled":
        return not before.response_ids
    if before.attempt.protocol == "incomplete":
        return False
    status = before.attempt.http_status
    return status is None or status < 400 or status >= 500 or status in RETRIED_STATUSES
