"""Folds what goes between threads: spawns, tasks, messages, results and ends of agents.

A message is an edge from what sent it to the item that shows it to the other thread's model.
"""

from tracing.bundle_reader import RawEvent

from . import edges
from .agent_values import thread_id_of
from .diagnostics import Code
from .edge_records import Anchor, Delivery, Edge, spawn_edge_id
from .fields import text_of
from .fold import Fold, Payload
from .records import Item
from .threads import ensure_thread
from .tool_records import ToolCall
from .tool_values import (
    ASSIGN_AGENT_TASK,
    CLOSE_AGENT,
    SEND_MESSAGE,
    SPAWN_AGENT,
    read_arguments,
)

MESSAGES = frozenset({ASSIGN_AGENT_TASK, SEND_MESSAGE})
ACTIVITIES = {
    SPAWN_AGENT: "started",
    ASSIGN_AGENT_TASK: "interacted",
    SEND_MESSAGE: "interacted",
    CLOSE_AGENT: "interrupted",
}
"""What the runtime tells of an agent at the end of a tool of each kind."""


def begin_at_runtime(fold: Fold, tool: ToolCall, payload: Payload) -> None:
    """Begin a message, or the end of an agent, of which the runtime tells beforehand."""
    kind = _kind(tool)
    if kind in MESSAGES or kind == CLOSE_AGENT:
        _send_or_close(fold, tool, payload, ended_at_unix_ms=None)


def end_at_runtime(fold: Fold, event: RawEvent, tool: ToolCall, payload: Payload) -> None:
    """End what a tool did with an agent, as versions 2 and 1 of Codex's agents tell of it."""
    ended_at = event.wall_time_unix_ms
    kind = _kind(tool)
    if "agent_thread_id" in payload.value:
        _fold_activity(fold, tool, payload, ended_at)
    elif kind == SPAWN_AGENT:
        _fold_spawned(fold, tool, payload, ended_at)
    elif kind in ACTIVITIES:
        _send_or_close(fold, tool, payload, ended_at_unix_ms=ended_at)


def carry_result(fold: Fold, tool: ToolCall) -> None:
    """Add the result of a tool to what its edge carries."""
    if _kind(tool) not in ACTIVITIES or tool.raw_result_payload_id is None:
        return
    carried = edges.carried_by(fold, _source(tool))
    if carried is not None:
        edges.add_new(carried, [tool.raw_result_payload_id])


def fold_result_observed(fold: Fold, event: RawEvent) -> None:
    """Begin the way of an agent's result to the thread that spawned it."""
    names = ("edge_id", "child_thread_id", "child_codex_turn_id", "parent_thread_id", "message")
    texts = [fold.text(event, name) for name in names]
    payload = fold.optional_payload(event, "carried_payload")
    edge_id, child_id, turn_id, parent_id, message = texts
    if edge_id is None or child_id is None or parent_id is None or message is None:
        return
    child = ensure_thread(fold, event, child_id)
    said = [item for item in child.items if item.codex_turn_id == turn_id and _is_said(item)]
    source: Anchor = {"type": "thread", "thread_id": child_id}
    if said:
        latest = max(said, key=lambda item: (item.first_seen_at_unix_ms, item.ordinal))
        source = {"type": "conversation_item", "item_id": latest.item_id}
    delivery = Delivery(
        edge_id=edge_id,
        kind="agent_result",
        source=source,
        target_thread_id=parent_id,
        author=child.agent_path,
        content=message,
        spawned_thread_id=None,
        started_at_unix_ms=event.wall_time_unix_ms,
        ended_at_unix_ms=event.wall_time_unix_ms,
        raw_payload_ids=[] if payload is None else [payload.raw_payload_id],
    )
    edges.deliver(fold, delivery)


def _fold_activity(fold: Fold, tool: ToolCall, payload: Payload, ended_at_unix_ms: int) -> None:
    kind = _kind(tool)
    thread_id = thread_id_of(payload.value, "agent_thread_id")
    if thread_id is None or ACTIVITIES.get(kind) != text_of(payload.value, "kind"):
        fold.odd(Code.TOOL_MISMATCH, f"{payload.raw_payload_id}: it is not of a tool like {kind}")
    elif kind == CLOSE_AGENT:
        _close(fold, tool, thread_id, ended_at_unix_ms)
    else:
        message = _message_of(fold, tool)
        if message is None:
            fold.odd(Code.ODD_TOOL_PAYLOAD, f"tool call {tool.tool_call_id} has no message")
        else:
            _send(fold, tool, thread_id, message, ended_at_unix_ms, sender_id=tool.thread_id)


def _fold_spawned(fold: Fold, tool: ToolCall, payload: Payload, ended_at_unix_ms: int) -> None:
    value = payload.value
    if value.get("new_thread_id") is None and "new_thread_id" in value:
        return
    thread_id, sender_id = (thread_id_of(value, f"{name}_thread_id") for name in ("new", "sender"))
    prompt = text_of(value, "prompt")
    if thread_id is None or sender_id is None or prompt is None:
        _odd_payload(fold, payload)
    else:
        _send(fold, tool, thread_id, prompt, ended_at_unix_ms, sender_id=sender_id)


def _send_or_close(
    fold: Fold, tool: ToolCall, payload: Payload, *, ended_at_unix_ms: int | None
) -> None:
    thread_id = thread_id_of(payload.value, "receiver_thread_id")
    prompt = text_of(payload.value, "prompt")
    if thread_id is None:
        _odd_payload(fold, payload)
    elif _kind(tool) == CLOSE_AGENT:
        _close(fold, tool, thread_id, ended_at_unix_ms)
    elif prompt is None:
        _odd_payload(fold, payload)
    else:
        _send(fold, tool, thread_id, prompt, ended_at_unix_ms, sender_id=tool.thread_id)


def _send(
    fold: Fold,
    tool: ToolCall,
    target_thread_id: str,
    content: str,
    ended_at_unix_ms: int | None,
    *,
    sender_id: str,
) -> None:
    is_spawn = _kind(tool) == SPAWN_AGENT
    edge_id = spawn_edge_id(sender_id, target_thread_id) if is_spawn else _edge_id(tool)
    delivery = Delivery(
        edge_id=edge_id,
        kind=_kind(tool),
        source=_source(tool),
        target_thread_id=target_thread_id,
        author=fold.threads[tool.thread_id].agent_path,
        content=content,
        spawned_thread_id=target_thread_id if is_spawn else None,
        started_at_unix_ms=tool.execution.started_at_unix_ms,
        ended_at_unix_ms=ended_at_unix_ms,
        raw_payload_ids=tool.payload_ids,
    )
    edges.deliver(fold, delivery)


def _close(fold: Fold, tool: ToolCall, thread_id: str, ended_at_unix_ms: int | None) -> None:
    """End an agent; one that is in no thread of the bundle has no edge."""
    if thread_id not in fold.threads:
        return
    edge = Edge(
        edge_id=_edge_id(tool),
        kind=CLOSE_AGENT,
        source=_source(tool),
        target={"type": "thread", "thread_id": thread_id},
        started_at_unix_ms=tool.execution.started_at_unix_ms,
        ended_at_unix_ms=ended_at_unix_ms,
        carried_raw_payload_ids=tool.payload_ids,
    )
    edges.put(fold, edge)


def _message_of(fold: Fold, tool: ToolCall) -> str | None:
    """What the invocation of a tool tells the agent."""
    ref = fold.raw_payloads.get(tool.raw_invocation_payload_id or "")
    if ref is None:
        return None
    arguments = read_arguments(fold.read(ref).value)
    return None if arguments is None else text_of(arguments, "message")


def _is_said(item: Item) -> bool:
    content = item.content
    is_message = (content.role, content.kind) == ("assistant", "message")
    return is_message and content.agent_message is None


def _kind(tool: ToolCall) -> str:
    return str(tool.kind["type"])


def _edge_id(tool: ToolCall) -> str:
    return f"edge:tool:{tool.tool_call_id}"


def _source(tool: ToolCall) -> Anchor:
    return {"type": "tool_call", "tool_call_id": tool.tool_call_id}


def _odd_payload(fold: Fold, payload: Payload) -> None:
    fold.odd(Code.ODD_TOOL_PAYLOAD, f"{payload.raw_payload_id}: it does not tell of an agent")
