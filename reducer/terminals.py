"""Folds terminals: what was begun in them, what was written to them, and what came of it."""

from tracing.bundle_reader import RawEvent

from .diagnostics import Code
from .fold import Fold, Payload
from .records import Execution
from .terminal_records import TerminalOperation, TerminalSession
from .terminal_values import (
    Asked,
    answered,
    asked_at_runtime,
    asked_by_invocation,
    is_stdin_invocation,
)
from .tool_records import ToolCall
from .tool_values import EXEC_COMMAND, WRITE_STDIN


def begin_from_invocation(fold: Fold, event: RawEvent, tool: ToolCall, invocation: Payload) -> None:
    """Begin what writes to a terminal: nothing but its invocation tells of its start."""
    if tool.kind["type"] != WRITE_STDIN or not invocation.is_read:
        return
    if not is_stdin_invocation(invocation.value):
        _odd_payload(fold, invocation)
        return
    asked = asked_by_invocation(invocation.value)
    if asked is not None:
        _begin(fold, event, tool, asked, invocation)


def begin_at_runtime(fold: Fold, event: RawEvent, tool: ToolCall, begun: Payload) -> None:
    """Begin a command, or a writing that only the runtime tells of."""
    kind = tool.kind["type"]
    if kind != EXEC_COMMAND and kind != WRITE_STDIN:
        return
    asked = asked_at_runtime(kind, begun.value)
    if asked is None:
        _odd_payload(fold, begun)
    else:
        _begin(fold, event, tool, asked, begun)


def end(
    fold: Fold,
    event: RawEvent,
    operation: TerminalOperation,
    status: str,
    payload: Payload | None,
) -> None:
    """End what was done in a terminal; its process may be named only now."""
    operation.execution.end(at_unix_ms=event.wall_time_unix_ms, seq=event.seq, status=status)
    if payload is None or not payload.is_read:
        return
    told = answered(operation.kind, payload.value)
    if told is None:
        _odd_payload(fold, payload)
        return
    if payload.raw_payload_id not in operation.raw_payload_ids:
        operation.raw_payload_ids.append(payload.raw_payload_id)
    operation.result = told.result
    if operation.process_id is None:
        _name_process(fold, operation, told.process_id)
    elif told.process_id not in (None, operation.process_id):
        was, now = operation.process_id, told.process_id
        fold.odd(Code.TOOL_MISMATCH, f"{operation.operation_id} is of process {was}, not {now}")


def move(fold: Fold, tool: ToolCall, command: ToolCall) -> None:
    """Move what a tool call did to the terminal of a command, where both have one."""
    operation, other = tool.operation, command.operation
    if operation is None or other is None or other.session is None:
        return
    left = operation.session
    operation.process_id = other.process_id
    _join(operation, other.session)
    if left is not None and left is not other.session:
        left.operations.remove(operation)
        if not left.operations:
            del fold.runtime.sessions[left.terminal_id]


def _begin(fold: Fold, event: RawEvent, tool: ToolCall, asked: Asked, payload: Payload) -> None:
    operation = TerminalOperation(
        ordinal=len(fold.runtime.operations) + 1,
        tool=tool,
        kind=str(tool.kind["type"]),
        execution=Execution(started_at_unix_ms=event.wall_time_unix_ms, started_seq=event.seq),
        request=asked.request,
        raw_payload_ids=[payload.raw_payload_id],
    )
    fold.runtime.operations[operation.operation_id] = operation
    tool.operation = operation
    _name_process(fold, operation, asked.process_id)


def _name_process(fold: Fold, operation: TerminalOperation, process_id: str | None) -> None:
    """A command has a terminal of its own; what is written goes to the process's latest."""
    if process_id is None:
        return
    operation.process_id = process_id
    ids = fold.runtime.session_ids_by_process
    key = (operation.tool.thread_id, process_id)
    if operation.kind == EXEC_COMMAND or key not in ids:
        ids[key] = f"terminal_session:{operation.operation_id}"
    session = fold.runtime.sessions.get(ids[key])
    if session is None:
        session = TerminalSession(terminal_id=ids[key], created_by=operation)
        fold.runtime.sessions[ids[key]] = session
    _join(operation, session)


def _join(operation: TerminalOperation, session: TerminalSession) -> None:
    operation.session = session
    if operation not in session.operations:
        session.operations.append(operation)


def _odd_payload(fold: Fold, payload: Payload) -> None:
    fold.odd(Code.ODD_TOOL_PAYLOAD, f"{payload.raw_payload_id}: it does not fit a terminal")
