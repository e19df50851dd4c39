"""Folds code cells: runs of code that the model wrote, with the tools that the code called.

A cell begins at once, but is placed only when the call that holds its code was seen, which a
response tells of at its end. Until then it waits, with what happened to it.
"""

from tracing.bundle_reader import RawEvent

from .diagnostics import Code
from .fields import text_of
from .fold import Fold, Payload
from .records import Execution, Item
from .threads import ensure_thread, ensure_turn
from .tool_records import CODE_CELL_STATUSES, CodeCell, ToolCall, cell_id_of
from .tool_values import read_arguments
from .waiting_cell import CellEvent, Step, WaitingCell

STATUSES = frozenset(CODE_CELL_STATUSES)


def fold_started(fold: Fold, event: RawEvent) -> None:
    """Begin a cell, or let it wait for the call that holds its code."""
    runtime_cell_id = fold.text(event, "runtime_cell_id")
    call_id = fold.text(event, "model_visible_call_id")
    source_js = fold.text(event, "source_js")
    thread_id, turn_id = _thread_of(fold, event), event.codex_turn_id
    if turn_id is None:
        fold.odd(Code.BAD_FIELD, f"{event.type} names no turn")
    if runtime_cell_id is None or call_id is None or thread_id is None or turn_id is None:
        return
    cell_id = cell_id_of(call_id)
    known_id = fold.runtime.cell_ids_by_runtime.setdefault((thread_id, runtime_cell_id), cell_id)
    if known_id != cell_id:
        fold.odd(Code.DUPLICATE_CODE_CELL, f"runtime cell {runtime_cell_id} is {known_id}")
    if cell_id in fold.runtime.cells or cell_id in fold.runtime.waiting_cells:
        fold.odd(Code.DUPLICATE_CODE_CELL, f"{cell_id} started before")
        return
    ensure_thread(fold, event, thread_id)
    ensure_turn(fold, event, turn_id, thread_id)
    fold.runtime.waiting_cells[cell_id] = WaitingCell(
        model_visible_call_id=call_id,
        runtime_cell_id=runtime_cell_id,
        thread_id=thread_id,
        codex_turn_id=turn_id,
        execution=Execution(started_at_unix_ms=event.wall_time_unix_ms, started_seq=event.seq),
        source_js=source_js or "",
    )
    place_waiting(fold)


def fold_responded(fold: Fold, event: RawEvent) -> None:
    """Note what the code's caller was answered while the code may still run."""
    _happen(fold, event, "respond")


def fold_ended(fold: Fold, event: RawEvent) -> None:
    """End a cell."""
    _happen(fold, event, "end")


def place_waiting(fold: Fold) -> None:
    """Place the waiting cells whose code was seen by now."""
    for cell_id, waiting in sorted(fold.runtime.waiting_cells.items()):
        sources = _items(fold, waiting.thread_id, waiting.model_visible_call_id, "custom_tool_call")
        if sources:
            del fold.runtime.waiting_cells[cell_id]
            _place(fold, waiting, sources[0])


def note_sighting(fold: Fold, item: Item) -> None:
    """Link an output that the model saw to the cell that it is of."""
    if item.content.kind != "custom_tool_call_output" or item.content.call_id is None:
        return
    cell = fold.runtime.cells.get(cell_id_of(item.content.call_id))
    if cell is not None:
        _add_output(cell, item)


def requester_of(fold: Fold, event: RawEvent, thread_id: str) -> str | None:
    """The id of the cell that asked for a tool; None where the model did."""
    match event.payload.get("requester"):
        case {"type": "model"}:
            return None
        case {"type": "code_cell", "runtime_cell_id": str(runtime_cell_id)}:
            return _known_id(fold, thread_id, runtime_cell_id)
        case _:
            fold.odd(Code.BAD_FIELD, f"{event.type}.requester is no requester")
            return None


def note_nested(fold: Fold, tool: ToolCall) -> None:
    """List a tool call with the cell that asked for it; a waiting cell lists it once placed."""
    if tool.code_cell_id is None:
        return
    fold.runtime.nested_by_cell.setdefault(tool.code_cell_id, []).append(tool.tool_call_id)
    cell = fold.runtime.cells.get(tool.code_cell_id)
    if cell is not None:
        cell.nested_tool_call_ids.append(tool.tool_call_id)


def note_wait(fold: Fold, tool: ToolCall, invocation: Payload) -> None:
    """List a tool call that waits for a cell with that cell."""
    if text_of(invocation.value, "tool_name") != "wait":
        return
    runtime_cell_id = text_of(read_arguments(invocation.value) or {}, "cell_id")
    if runtime_cell_id is None:
        fold.odd(Code.ODD_TOOL_PAYLOAD, f"{invocation.raw_payload_id}: it waits for no cell")
        return
    key = (tool.thread_id, runtime_cell_id)
    cell = fold.runtime.cells.get(fold.runtime.cell_ids_by_runtime.get(key, ""))
    if cell is not None:
        cell.wait_tool_call_ids.append(tool.tool_call_id)


def link_to_starter(fold: Fold, call_id: str) -> None:
    """Link the tool call that the model's call began to the cell that the same call began."""
    cell = fold.runtime.cells.get(cell_id_of(call_id))
    tool = fold.runtime.tool_calls_by_call.get(call_id)
    if cell is not None and tool is not None and cell.thread_id == tool.thread_id:
        tool.cell_of_call = cell


def _thread_of(fold: Fold, event: RawEvent) -> str | None:
    turn = fold.turns.get(event.codex_turn_id or "")
    if event.thread_id is None and turn is not None:
        return turn.thread_id
    if event.thread_id is None:
        fold.odd(Code.BAD_FIELD, f"{event.type} names no thread")
    return event.thread_id


def _happen(fold: Fold, event: RawEvent, step: Step) -> None:
    runtime_cell_id = fold.text(event, "runtime_cell_id")
    status = fold.status_of(event, STATUSES)
    payload = fold.optional_payload(event, "response_payload")
    thread_id = _thread_of(fold, event)
    if runtime_cell_id is None or status is None or thread_id is None:
        return
    cell_id = _known_id(fold, thread_id, runtime_cell_id)
    if cell_id is None:
        return
    happened = CellEvent(
        step=step,
        at_unix_ms=event.wall_time_unix_ms,
        seq=event.seq,
        status=status,
        payload_id=None if payload is None else payload.raw_payload_id,
    )
    cell = fold.runtime.cells.get(cell_id)
    if cell is not None:
        _apply(cell, happened)
    else:
        fold.runtime.waiting_cells[cell_id].events.append(happened)


def _apply(cell: CodeCell, happened: CellEvent) -> None:
    tell = cell.respond if happened.step == "respond" else cell.end
    tell(
        at_unix_ms=happened.at_unix_ms,
        seq=happened.seq,
        status=happened.status,
        payload_id=happened.payload_id,
    )


def _known_id(fold: Fold, thread_id: str, runtime_cell_id: str) -> str | None:
    cell_id = fold.runtime.cell_ids_by_runtime.get((thread_id, runtime_cell_id))
    if cell_id is None:
        fold.odd(Code.UNKNOWN_CODE_CELL, f"runtime cell {runtime_cell_id} never started")
    return cell_id


def _place(fold: Fold, waiting: WaitingCell, source: Item) -> None:
    cell = CodeCell(
        model_visible_call_id=waiting.model_visible_call_id,
        thread_id=waiting.thread_id,
        codex_turn_id=waiting.codex_turn_id,
        source_item=source,
        runtime_cell_id=waiting.runtime_cell_id,
        execution=waiting.execution,
        source_js=waiting.source_js,
    )
    fold.runtime.cells[cell.code_cell_id] = cell
    fold.turns[cell.codex_turn_id].cells.append(cell)
    # Codex lists those that came before it in the order of their ids.
    cell.nested_tool_call_ids += sorted(fold.runtime.nested_by_cell.get(cell.code_cell_id, ()))
    call_id = waiting.model_visible_call_id
    for item in _items(fold, cell.thread_id, call_id, "custom_tool_call_output"):
        _add_output(cell, item)
    link_to_starter(fold, call_id)
    for happened in waiting.events:
        _apply(cell, happened)


def _items(fold: Fold, thread_id: str, call_id: str, kind: str) -> list[Item]:
    """The items of a call that are of a kind, in the order in which they were first seen."""
    found = fold.runtime.items_by_call.get((thread_id, call_id), ())
    return [item for item in found if item.content.kind == kind]


def _add_output(cell: CodeCell, item: Item) -> None:
    if item not in cell.output_items:
        cell.output_items.append(item)
    producer: dict[str, object] = {"type": "code_cell", "code_cell_id": cell.code_cell_id}
    if producer not in item.produced_by:
        item.produced_by.append(producer)
