"""Finds what a request's previous_response_id continues. Only response ids are looked at.

Codex finds calls of the same thread whose response completed. We find more: responses that were
cancelled or failed, since their ids are known from the wire, other threads' responses, and requests
that asked for no output.
"""

from .diagnostics import Code
from .fold import Fold, Payload
from .records import Call, Thread


def remember_response(fold: Fold, call: Call, response_id: str | None) -> None:
    """Let later requests find the call by a response id."""
    if response_id is None:
        return
    calls = fold.calls_by_response.setdefault(response_id, [])
    if call not in calls:
        calls.append(call)


def find_parent(fold: Fold, thread: Thread, response_id: str) -> Call | Payload | None:
    """The call, or the payload of a request without output, that a response id stands for."""
    calls = fold.calls_by_response.get(response_id, [])
    if known := [call for call in calls if known_to_codex(thread, call, response_id)]:
        # Codex takes the first in the order of call ids.
        return min(known, key=lambda call: call.inference_call_id)
    if calls:
        same_thread = [call for call in calls if call.thread_id == thread.thread_id]
        parent = (same_thread or calls)[-1]
        where = "this thread" if same_thread else f"thread {parent.thread_id}"
        fold.odd(
            Code.CHAIN_OUTSIDE_CODEX,
            f"{response_id} is of call {parent.inference_call_id} in {where}",
        )
        return parent
    if response_id in fold.prewarms:
        fold.odd(Code.CHAIN_OUTSIDE_CODEX, f"{response_id} is of a request without output")
        return fold.prewarms[response_id]
    fold.odd(Code.UNKNOWN_PREVIOUS_RESPONSE, f"{response_id} is no response of this bundle")
    return None


def known_to_codex(thread: Thread, call: Call, response_id: str) -> bool:
    """Whether Codex's reducer would find the call by this response id in this thread."""
    return call.thread_id == thread.thread_id and call.response_id == response_id
