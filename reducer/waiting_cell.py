"""A code cell that began before the model's call that began it was seen."""

from dataclasses import dataclass, field
from typing import Literal

from .records import Execution

Step = Literal["respond", "end"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellEvent:
    """What happened to a cell."""

    step: Step
    at_unix_ms: int
    seq: int
    status: str
    payload_id: str | None


@dataclass(slots=True, kw_only=True)
class WaitingCell:
    """What is known of the cell, and what happened to it since."""

    model_visible_call_id: str
    runtime_cell_id: str
    thread_id: str
    codex_turn_id: str
    execution: Execution
    source_js: str
    events: list[CellEvent] = field(default_factory=list)
