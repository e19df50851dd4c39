"""Folds tool calls: their starts and ends, what the runtime told of them, what the model saw."""

from collections.abc import Collection

from tracing.bundle_reader import RawEvent

from . import agents, code_cells, terminals
from .diagnostics import Code
from .fold import EXECUTION_STATUSES, Fold
from .records import Execution, Item
from .threads import ensure_thread, ensure_turn
from .tool_records import ToolCall
from .tool_values import EXEC_COMMAND, WRITE_STDIN, read_kind, read_summary

CALL_KINDS = frozenset({"function_call", "custom_tool_call"})
OUTPUT_KINDS = frozenset({"function_call_output", "custom_tool_call_output"})


def fold_started(fold: Fold, event: RawEvent) -> None:
    """Begin a tool call, and link it to what the model has seen of it."""
    tool_call_id = fold.text(event, "tool_call_id")
    call_id = fold.optional_text(event, "model_visible_call_id")
    invocation = fold.optional_payload(event, "invocation_payload")
    thread_id = _thread_of(fold, event)
    if tool_call_id is None or thread_id is None:
        return
    if tool_call_id in fold.runtime.tool_calls:
        fold.odd(Code.DUPLICATE_TOOL_CALL, f"tool call {tool_call_id} started before")
        return
    tool = ToolCall(
        tool_call_id=tool_call_id,
        model_visible_call_id=call_id,
        code_mode_runtime_tool_id=fold.optional_text(event, "code_mode_runtime_tool_id"),
        thread_id=thread_id,
        codex_turn_id=event.codex_turn_id,
        execution=Execution(started_at_unix_ms=event.wall_time_unix_ms, started_seq=event.seq),
        code_cell_id=code_cells.requester_of(fold, event, thread_id),
        kind=_kind(fold, event),
        summary=_summary(fold, event),
        raw_invocation_payload_id=None if invocation is None else invocation.raw_payload_id,
    )
    fold.runtime.tool_calls[tool_call_id] = tool
    if invocation is not None:
        terminals.begin_from_invocation(fold, event, tool, invocation)
        code_cells.note_wait(fold, tool, invocation)
    code_cells.note_nested(fold, tool)
    if call_id is not None:
        _link_to_items(fold, tool, call_id)
        code_cells.link_to_starter(fold, call_id)


def fold_correlated(fold: Fold, event: RawEvent) -> None:
    """Note the id under which an MCP server was called."""
    tool, mcp_call_id = _known_tool(fold, event), fold.text(event, "mcp_call_id")
    if tool is None or mcp_call_id is None:
        return
    if tool.mcp_call_id is not None:
        fold.odd(Code.TOOL_MISMATCH, f"tool call {tool.tool_call_id} has an MCP call")
        return
    tool.mcp_call_id = mcp_call_id


def fold_runtime_started(fold: Fold, event: RawEvent) -> None:
    """Note how Codex began to run a tool, which tells its kind better than its invocation did."""
    tool, payload = _known_tool(fold, event), fold.payload(event, "runtime_payload")
    kind = _kind(fold, event)
    if tool is None or payload is None:
        return
    _add_runtime_payload(tool, payload.raw_payload_id)
    tool.kind = kind
    if tool.operation is not None and kind["type"] in (EXEC_COMMAND, WRITE_STDIN):
        fold.odd(Code.TOOL_MISMATCH, f"tool call {tool.tool_call_id} began in a terminal before")
        return
    if payload.is_read:
        terminals.begin_at_runtime(fold, event, tool, payload)
        agents.begin_at_runtime(fold, tool, payload)


def fold_runtime_ended(fold: Fold, event: RawEvent) -> None:
    """Note how Codex ended to run a tool."""
    tool, payload = _known_tool(fold, event), fold.payload(event, "runtime_payload")
    status = fold.status_of(event, EXECUTION_STATUSES)
    if tool is None or payload is None or status is None:
        return
    _add_runtime_payload(tool, payload.raw_payload_id)
    if tool.operation is not None:
        terminals.end(fold, event, tool.operation, status, payload)
    if payload.is_read:
        agents.end_at_runtime(fold, event, tool, payload)


def fold_ended(fold: Fold, event: RawEvent) -> None:
    """End a tool call. A terminal ends by it only where the runtime told nothing of it."""
    tool, result = _known_tool(fold, event), fold.optional_payload(event, "result_payload")
    status = fold.status_of(event, EXECUTION_STATUSES)
    if tool is None or status is None:
        return
    tool.execution.end(at_unix_ms=event.wall_time_unix_ms, seq=event.seq, status=status)
    tool.raw_result_payload_id = None if result is None else result.raw_payload_id
    if tool.operation is not None and not tool.raw_runtime_payload_ids:
        terminals.end(fold, event, tool.operation, status, result)
    agents.carry_result(fold, tool)


def fold_stdin_target(fold: Fold, event: RawEvent) -> None:
    """Note which command's terminal a tool call writes to."""
    tool, command_id = _known_tool(fold, event), fold.text(event, "exec_tool_call_id")
    if tool is None or command_id is None:
        return
    command = fold.runtime.tool_calls.get(command_id)
    if command is None:
        fold.odd(Code.UNKNOWN_TOOL_CALL, f"tool call {command_id} never started")
        return
    terminals.move(fold, tool, command)


def note_sighting(fold: Fold, item: Item) -> None:
    """Link a call or an output that the model saw to the tool call that it belongs to."""
    call_id = item.content.call_id
    if call_id is None:
        return
    tool = fold.runtime.tool_calls_by_call.get(call_id)
    if tool is None:
        return
    if item.content.kind in CALL_KINDS:
        _add(tool.call_items, item)
        _link_to_responses(tool)
    elif item.content.kind in OUTPUT_KINDS:
        _add_output(tool, item)


def _thread_of(fold: Fold, event: RawEvent) -> str | None:
    """The thread of a tool call: its event's, else its turn's."""
    thread_id, turn_id = event.thread_id, event.codex_turn_id
    turn = None if turn_id is None else fold.turns.get(turn_id)
    if thread_id is None and turn is not None:
        thread_id = turn.thread_id
    if thread_id is None:
        fold.odd(Code.BAD_FIELD, f"{event.type} names no thread")
        return None
    ensure_thread(fold, event, thread_id)
    if turn_id is not None:
        ensure_turn(fold, event, turn_id, thread_id)
    return thread_id


def _kind(fold: Fold, event: RawEvent) -> dict[str, object]:
    kind = read_kind(event.payload.get("kind"))
    if kind is None:
        fold.odd(Code.BAD_FIELD, f"{event.type}.kind is no kind of tool")
        return {"type": "other", "name": ""}
    return kind


def _summary(fold: Fold, event: RawEvent) -> dict[str, object]:
    summary = read_summary(event.payload.get("summary"))
    if summary is None:
        fold.odd(Code.BAD_FIELD, f"{event.type}.summary is no summary")
        return {"type": "generic", "label": "", "input_preview": None, "output_preview": None}
    return summary


def _known_tool(fold: Fold, event: RawEvent) -> ToolCall | None:
    tool_call_id = fold.text(event, "tool_call_id")
    tool = None if tool_call_id is None else fold.runtime.tool_calls.get(tool_call_id)
    if tool is None and tool_call_id is not None:
        fold.odd(Code.UNKNOWN_TOOL_CALL, f"tool call {tool_call_id} never started")
    return tool


def _link_to_items(fold: Fold, tool: ToolCall, call_id: str) -> None:
    by_call = fold.runtime.tool_calls_by_call
    if call_id in by_call:
        other = by_call[call_id].tool_call_id
        fold.odd(Code.CALL_ID_REUSED, f"the model's call {call_id} began {other} before")
        return
    by_call[call_id] = tool
    seen = fold.runtime.items_by_call.get((tool.thread_id, call_id), ())
    tool.call_items += _of_kinds(seen, CALL_KINDS)
    _link_to_responses(tool)
    for item in _of_kinds(seen, OUTPUT_KINDS):
        _add_output(tool, item)


def _of_kinds(items: Collection[Item], kinds: Collection[str]) -> list[Item]:
    return [item for item in items if item.content.kind in kinds]


def _link_to_responses(tool: ToolCall) -> None:
    for item in tool.call_items:
        for call in item.said_by:
            if item in call.response_items and tool.tool_call_id not in call.tool_call_ids:
                call.tool_call_ids.append(tool.tool_call_id)


def _add_output(tool: ToolCall, item: Item) -> None:
    _add(tool.output_items, item)
    producer: dict[str, object] = {"type": "tool", "tool_call_id": tool.tool_call_id}
    if producer not in item.produced_by:
        item.produced_by.append(producer)


def _add(items: list[Item], item: Item) -> None:
    if item not in items:
        items.append(item)


def _add_runtime_payload(tool: ToolCall, raw_payload_id: str) -> None:
    if raw_payload_id not in tool.raw_runtime_payload_ids:
        tool.raw_runtime_payload_ids.append(raw_payload_id)
