"""Terminals while they are folded, with their forms in state.json.

Names and values are those of Codex's RolloutTrace (schema version 2).
"""

from dataclasses import dataclass, field

from .records import Execution, ids_of
from .tool_records import ToolCall


@dataclass(slots=True, kw_only=True, eq=False)
class TerminalOperation:
    """A command that was begun in a terminal, or what was written to one."""

    ordinal: int
    tool: ToolCall
    kind: str
    execution: Execution
    request: dict[str, object]
    raw_payload_ids: list[str]
    process_id: str | None = None
    """Codex's name for the process; it may be used again for a later one."""
    session: "TerminalSession | None" = None
    result: dict[str, object] | None = None

    @property
    def operation_id(self) -> str:
        """The id in the state."""
        return f"terminal_operation:{self.ordinal}"

    def as_json(self) -> dict[str, object]:
        """The form in state.json."""
        calls, outputs = ids_of(self.tool.call_items), ids_of(self.tool.output_items)
        observation = {
            "call_item_ids": calls,
            "output_item_ids": outputs,
            "source": "direct_tool_call",
        }
        return {
            "operation_id": self.operation_id,
            "terminal_id": None if self.session is None else self.session.terminal_id,
            "tool_call_id": self.tool.tool_call_id,
            "kind": self.kind,
            "execution": self.execution.as_json(),
            "request": self.request,
            "result": self.result,
            "model_observations": [observation] if calls or outputs else [],
            "raw_payload_ids": self.raw_payload_ids,
        }


@dataclass(slots=True, kw_only=True, eq=False)
class TerminalSession:
    """A terminal and what was done in it. Nothing tells of its end."""

    terminal_id: str
    created_by: TerminalOperation
    operations: list[TerminalOperation] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """The form in state.json."""
        begun = self.created_by.execution
        execution = Execution(
            started_at_unix_ms=begun.started_at_unix_ms, started_seq=begun.started_seq
        )
        return {
            "terminal_id": self.terminal_id,
            "thread_id": self.created_by.tool.thread_id,
            "created_by_operation_id": self.created_by.operation_id,
            "operation_ids": [operation.operation_id for operation in self.operations],
            "execution": execution.as_json(),
        }
