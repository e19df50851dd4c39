"""What Codex did beside its calls, while it is folded. Ids are the keys."""

from dataclasses import dataclass, field

from .edge_records import Delivery, Edge
from .records import Item
from .terminal_records import TerminalOperation, TerminalSession
from .tool_records import CodeCell, ToolCall
from .waiting_cell import WaitingCell


@dataclass(slots=True, kw_only=True)
class Runtime:
    """Tool calls, code cells, terminals, and what went between threads."""

    tool_calls: dict[str, ToolCall] = field(default_factory=dict)
    tool_calls_by_call: dict[str, ToolCall] = field(default_factory=dict)
    """By the call id that the model gave; the first where it gave one twice."""
    items_by_call: dict[tuple[str, str], list[Item]] = field(default_factory=dict)
    """Calls and outputs that the model saw, by thread and call id."""
    cells: dict[str, CodeCell] = field(default_factory=dict)
    cell_ids_by_runtime: dict[tuple[str, str], str] = field(default_factory=dict)
    """By thread and the runtime's own name for the cell."""
    waiting_cells: dict[str, WaitingCell] = field(default_factory=dict)
    """Cells that began before the call that began them was seen."""
    nested_by_cell: dict[str, list[str]] = field(default_factory=dict)
    """The ids of the tool calls that a cell asked for, placed or waiting."""
    operations: dict[str, TerminalOperation] = field(default_factory=dict)
    sessions: dict[str, TerminalSession] = field(default_factory=dict)
    session_ids_by_process: dict[tuple[str, str], str] = field(default_factory=dict)
    """The latest by thread and process id."""
    edges: dict[str, Edge] = field(default_factory=dict)
    edge_targets: set[str] = field(default_factory=set)
    """The ids of the items that edges end at."""
    deliveries: list[Delivery] = field(default_factory=list)
    """Those that no item has shown yet, oldest first."""
