"""Collects what the reducer found odd, in the order in which it met it."""

from enum import StrEnum


class Code(StrEnum):
    """What was odd. The values are part of the state, so they do not change."""

    # The bundle as files and lines.
    MANIFEST_DAMAGED = "manifest_damaged"
    MANIFEST_FIELD = "manifest_field"
    SCHEMA_VERSION = "schema_version"
    DAMAGED_LINE = "damaged_line"
    TORN_TAIL = "torn_tail"
    NOT_STRICT_JSON = "not_strict_json"
    SEQ_GAP = "seq_gap"
    SEQ_BACK = "seq_back"
    FOREIGN_EVENT = "foreign_event"
    AFTER_RECORDING_COMPLETED = "after_recording_completed"
    UNREADABLE_PAYLOAD = "unreadable_payload"
    # Events.
    UNKNOWN_EVENT = "unknown_event"
    BAD_FIELD = "bad_field"
    DUPLICATE_THREAD = "duplicate_thread"
    DUPLICATE_TURN = "duplicate_turn"
    DUPLICATE_CALL = "duplicate_call"
    DUPLICATE_COMPACTION = "duplicate_compaction"
    UNKNOWN_THREAD = "unknown_thread"
    UNKNOWN_TURN = "unknown_turn"
    UNKNOWN_CALL = "unknown_call"
    UNKNOWN_COMPACTION_REQUEST = "unknown_compaction_request"
    THREAD_MISMATCH = "thread_mismatch"
    THREAD_NOT_ENDED = "thread_not_ended"
    THREAD_METADATA = "thread_metadata"
    COMPACTION_MISMATCH = "compaction_mismatch"
    SECOND_TERMINAL = "second_terminal"
    OLDER_MEANING = "older_meaning"
    # Tools, code cells, terminals and agents.
    DUPLICATE_TOOL_CALL = "duplicate_tool_call"
    UNKNOWN_TOOL_CALL = "unknown_tool_call"
    DUPLICATE_CODE_CELL = "duplicate_code_cell"
    UNKNOWN_CODE_CELL = "unknown_code_cell"
    TOOL_MISMATCH = "tool_mismatch"
    ODD_TOOL_PAYLOAD = "odd_tool_payload"
    EDGE_CONFLICT = "edge_conflict"
    # What requests and responses hold.
    INPUT_MISSING = "input_missing"
    INPUT_NOT_ARRAY = "input_not_array"
    OUTPUT_ITEMS_MISSING = "output_items_missing"
    CHECKPOINT_ARRAY_MISSING = "checkpoint_array_missing"
    UNTYPED_ITEM = "untyped_item"
    UNKNOWN_ITEM = "unknown_item"
    ODD_ITEM = "odd_item"
    EMPTY_REASONING = "empty_reasoning"
    CALL_ID_REUSED = "call_id_reused"
    UNKNOWN_PREVIOUS_RESPONSE = "unknown_previous_response"
    CHAIN_OUTSIDE_CODEX = "chain_outside_codex"
    FORKED_PREVIOUS_RESPONSE = "forked_previous_response"


class Diagnostics:
    """The diagnostics of one replay."""

    def __init__(self) -> None:
        self.seq: int | None = None
        """The event being folded; None outside of any."""
        self._found: list[dict[str, object]] = []

    def add(self, code: Code, message: str) -> None:
        """Note something odd about the event being folded."""
        self._found.append({"seq": self.seq, "code": str(code), "message": message})

    def as_json(self) -> list[dict[str, object]]:
        """All of them, oldest first."""
        return self._found
