"""Reads what tool events say of a tool: its kind, its summary, who asked for it, its invocation.

Names and forms are those of Codex's rollout-trace crate; what is not of such a form is None.
"""

from collections.abc import Mapping

from .exact_json import NotExactJson, parse_exact
from .fields import object_of, text_of

EXEC_COMMAND = "exec_command"
WRITE_STDIN = "write_stdin"
SPAWN_AGENT = "spawn_agent"
ASSIGN_AGENT_TASK = "assign_agent_task"
SEND_MESSAGE = "send_message"
CLOSE_AGENT = "close_agent"

_NAMES_OF_KIND: Mapping[str, tuple[str, ...]] = {
    EXEC_COMMAND: (),
    WRITE_STDIN: (),
    "apply_patch": (),
    "mcp": ("server", "tool"),
    "web": (),
    "image_generation": (),
    SPAWN_AGENT: (),
    ASSIGN_AGENT_TASK: (),
    SEND_MESSAGE: (),
    "wait_agent": (),
    CLOSE_AGENT: (),
    "other": ("name",),
}
_ABSENT_IN_SUMMARY: Mapping[str, None] = dict.fromkeys(
    ("target_agent_path", "task_name", "timeout_ms", "input_preview", "output_preview")
)
_TIMEOUT_MS_MAX = 2**64 - 1


def read_kind(value: object) -> dict[str, object] | None:
    """A tool's kind with the names that belong to it."""
    if not isinstance(value, dict):
        return None
    kind = text_of(value, "type")
    names = _NAMES_OF_KIND.get(kind or "")
    if names is None or any(text_of(value, name) is None for name in names):
        return None
    return {"type": kind, **{name: value[name] for name in names}}


def read_summary(value: object) -> dict[str, object] | None:
    """A tool's summary; what may be absent is null."""
    if not isinstance(value, dict):
        return None
    match {**_ABSENT_IN_SUMMARY, **value}:
        case {"type": "terminal", "operation_id": str(operation_id)}:
            return {"type": "terminal", "operation_id": operation_id}
        case {
            "type": "agent",
            "target_agent_path": str(path),
            "task_name": str() | None as task,
            "message_preview": str(preview),
        }:
            head: dict[str, object] = {"type": "agent", "target_agent_path": path}
            return {**head, "task_name": task, "message_preview": preview}
        case {
            "type": "wait_agent",
            "target_agent_path": str() | None as target,
            "timeout_ms": timeout_ms,
        } if _is_count_or_none(timeout_ms):
            return {"type": "wait_agent", "target_agent_path": target, "timeout_ms": timeout_ms}
        case {
            "type": "generic",
            "label": str(label),
            "input_preview": str() | None as asked,
            "output_preview": str() | None as answered,
        }:
            head = {"type": "generic", "label": label}
            return {**head, "input_preview": asked, "output_preview": answered}
        case _:
            return None


def read_arguments(invocation: Mapping[str, object]) -> dict[str, object] | None:
    """The arguments of an invocation, which stand as JSON in a string."""
    text = text_of(object_of(invocation, "payload"), "arguments")
    if text is None:
        return None
    try:
        arguments = parse_exact(text)
    except NotExactJson:
        return None
    return arguments if isinstance(arguments, dict) else None


def _is_count_or_none(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _TIMEOUT_MS_MAX
