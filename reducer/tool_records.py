"""Tool calls and code cells while they are folded, each with its form in state.json.

Names and values are those of Codex's RolloutTrace (schema version 2).
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .records import Execution, Item, ids_of

if TYPE_CHECKING:
    from .terminal_records import TerminalOperation

EXEC_KIND: dict[str, object] = {"type": "other", "name": "exec"}
"""The kind of Codex's tool that runs code."""

CODE_CELL_STATUSES = {
    "starting": "running",
    "running": "running",
    "yielded": "running",
    "completed": "completed",
    "failed": "failed",
    "terminated": "cancelled",
}
"""What the end of a cell with a status of its own means for its execution."""


@dataclass(slots=True, kw_only=True, eq=False)
class ToolCall:
    """One run of a tool, asked for by the model or by the code of a cell."""

    tool_call_id: str
    model_visible_call_id: str | None
    code_mode_runtime_tool_id: str | None
    thread_id: str
    codex_turn_id: str | None
    execution: Execution
    code_cell_id: str | None
    """The cell whose code asked for it; None where the model did."""
    kind: dict[str, object]
    summary: dict[str, object]
    raw_invocation_payload_id: str | None
    mcp_call_id: str | None = None
    cell_of_call: "CodeCell | None" = None
    """The cell whose code stands in the model's call of this tool."""
    call_items: list[Item] = field(default_factory=list)
    output_items: list[Item] = field(default_factory=list)
    operation: "TerminalOperation | None" = None
    raw_result_payload_id: str | None = None
    raw_runtime_payload_ids: list[str] = field(default_factory=list)

    @property
    def payload_ids(self) -> list[str]:
        """The ids of its payloads, each once: invocation, runtime, result."""
        ends = (self.raw_invocation_payload_id, *self.raw_runtime_payload_ids)
        found = (*ends, self.raw_result_payload_id)
        return list(dict.fromkeys(payload_id for payload_id in found if payload_id is not None))

    @property
    def started_cell(self) -> "CodeCell | None":
        """The cell that it started: only the model's calls of `exec` in the cell's turn do."""
        cell = self.cell_of_call
        if cell is None or self.kind != EXEC_KIND or self.code_cell_id is not None:
            return None
        return cell if self.codex_turn_id in (None, cell.codex_turn_id) else None

    def as_json(self) -> dict[str, object]:
        """The form in state.json. What Codex leaves out where there is none is left out."""
        requester: dict[str, object] = {"type": "model"}
        if self.code_cell_id is not None:
            requester = {"type": "code_cell", "code_cell_id": self.code_cell_id}
        operation_id = None if self.operation is None else self.operation.operation_id
        summary = self.summary
        if operation_id is not None:
            summary = {"type": "terminal", "operation_id": operation_id}
        state: dict[str, object] = {
            "tool_call_id": self.tool_call_id,
            "mcp_call_id": self.mcp_call_id,
            "model_visible_call_id": self.model_visible_call_id,
            "code_mode_runtime_tool_id": self.code_mode_runtime_tool_id,
        }
        started = self.started_cell
        if started is not None:
            state["started_code_cell_id"] = started.code_cell_id
        return state | {
            "thread_id": self.thread_id,
            "started_by_codex_turn_id": self.codex_turn_id,
            "execution": self.execution.as_json(),
            "requester": requester,
            "kind": self.kind,
            "model_visible_call_item_ids": ids_of(self.call_items),
            "model_visible_output_item_ids": ids_of(self.output_items),
            "terminal_operation_id": operation_id,
            "summary": summary,
            "raw_invocation_payload_id": self.raw_invocation_payload_id,
            "raw_result_payload_id": self.raw_result_payload_id,
            "raw_runtime_payload_ids": self.raw_runtime_payload_ids,
        }


@dataclass(slots=True, kw_only=True, eq=False)
class CodeCell:
    """One run of code that the model wrote; what it awaits can outlive the call that began it."""

    model_visible_call_id: str
    thread_id: str
    codex_turn_id: str
    source_item: Item
    runtime_cell_id: str
    execution: Execution
    source_js: str
    output_items: list[Item] = field(default_factory=list)
    status: str = "starting"
    responded_at_unix_ms: int | None = None
    responded_seq: int | None = None
    response_status: str | None = None
    """The status of its first response; None while there was none, even where it ended."""
    raw_response_payload_id: str | None = None
    raw_result_payload_id: str | None = None
    yielded_at_unix_ms: int | None = None
    yielded_seq: int | None = None
    nested_tool_call_ids: list[str] = field(default_factory=list)
    wait_tool_call_ids: list[str] = field(default_factory=list)

    @property
    def code_cell_id(self) -> str:
        """The id in the state."""
        return cell_id_of(self.model_visible_call_id)

    def respond(self, *, at_unix_ms: int, seq: int, status: str, payload_id: str | None) -> None:
        """Tell of a response to the code's caller; the first one is kept."""
        if self.response_status is None:
            self.responded_at_unix_ms, self.responded_seq = at_unix_ms, seq
            self.response_status = status
            self.raw_response_payload_id = payload_id
        if status == "yielded":
            self.yielded_at_unix_ms, self.yielded_seq = at_unix_ms, seq
        self.status = status

    def end(self, *, at_unix_ms: int, seq: int, status: str, payload_id: str | None) -> None:
        """Tell of the end, which may come without a response before."""
        if self.responded_seq is None:
            self.responded_at_unix_ms, self.responded_seq = at_unix_ms, seq
        self.execution.end(at_unix_ms=at_unix_ms, seq=seq, status=CODE_CELL_STATUSES[status])
        self.status = status
        self.raw_result_payload_id = payload_id

    def as_json(self) -> dict[str, object]:
        """The form in state.json."""
        return {
            "code_cell_id": self.code_cell_id,
            "model_visible_call_id": self.model_visible_call_id,
            "thread_id": self.thread_id,
            "codex_turn_id": self.codex_turn_id,
            "source_item_id": self.source_item.item_id,
            "output_item_ids": ids_of(self.output_items),
            "runtime_cell_id": self.runtime_cell_id,
            "execution": self.execution.as_json(),
            "runtime_status": self.status,
            "initial_response_at_unix_ms": self.responded_at_unix_ms,
            "initial_response_seq": self.responded_seq,
            "initial_response_status": self.response_status,
            "raw_initial_response_payload_id": self.raw_response_payload_id,
            "raw_result_payload_id": self.raw_result_payload_id,
            "yielded_at_unix_ms": self.yielded_at_unix_ms,
            "yielded_seq": self.yielded_seq,
            "source_js": self.source_js,
            "nested_tool_call_ids": self.nested_tool_call_ids,
            "wait_tool_call_ids": self.wait_tool_call_ids,
        }


def cell_id_of(model_visible_call_id: str) -> str:
    """The id of the cell that a call of the model's began."""
    return f"code_cell:{model_visible_call_id}"
