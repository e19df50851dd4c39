"""Reads the payloads of tools that use a terminal: what was asked of it, and what came of it.

Forms are those that codex-cli 0.169.0 writes and reads. What is not of such a form is None.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeGuard

from .exact_json import Number, compact
from .fields import object_of, text_of
from .tool_values import EXEC_COMMAND, WRITE_STDIN, read_arguments

EXIT_CODE_MAX = 2**31 - 1
COUNT_MAX = 2**64 - 1
EXEC_RESULT = ("chunk_id", "exit_code", "original_token_count", "output")
"""What a command gives back to the code that called it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked of a terminal, and of which process."""

    process_id: str | None
    request: dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What came of it."""

    process_id: str | None
    result: dict[str, object]


def is_stdin_invocation(invocation: Mapping[str, object]) -> bool:
    """Whether an invocation is a call of the function that writes to a terminal."""
    payload = object_of(invocation, "payload")
    if (text_of(invocation, "tool_name"), payload.get("type")) != (WRITE_STDIN, "function"):
        return False
    return isinstance(payload.get("arguments"), str) and _is_text(invocation.get("tool_namespace"))


def asked_by_invocation(invocation: Mapping[str, object]) -> Asked | None:
    """What an invocation writes to a terminal; None where the model called it wrongly."""
    arguments = read_arguments(invocation)
    if arguments is None or invocation.get("tool_namespace") is not None:
        return None
    process_id = _process_of(arguments.get("session_id"))
    text, times = arguments.get("chars", ""), _limits(arguments)
    if process_id is None or not isinstance(text, str) or times is None:
        return None
    return Asked(process_id=process_id, request={"type": WRITE_STDIN, "stdin": text, **times})


def asked_at_runtime(kind: str, begun: Mapping[str, object]) -> Asked | None:
    """What Codex told of as it began."""
    command, cwd = begun.get("command"), begun.get("cwd")
    process_id, text = begun.get("process_id"), begun.get("interaction_input")
    if not isinstance(command, list) or not isinstance(cwd, str):
        return None
    words = [word for word in command if isinstance(word, str)]
    if len(words) < len(command) or not _is_text(process_id) or not _is_text(text):
        return None
    no_limits: dict[str, object] = {"yield_time_ms": None, "max_output_tokens": None}
    request: dict[str, object] = {"type": WRITE_STDIN, "stdin": text or ""}
    if kind == EXEC_COMMAND:
        display = " ".join(words)
        request = {"type": kind, "command": words, "display_command": display, "cwd": cwd}
    found = process_id if isinstance(process_id, str) else None
    return Asked(process_id=found, request=request | no_limits)


def answered(kind: str, value: Mapping[str, object]) -> Answered | None:
    """What came of a terminal, as the runtime told of it or, for stdin, as the caller was told."""
    told = _answered_at_runtime(value)
    if told is not None or kind != WRITE_STDIN:
        return told
    result = _answered_to_caller(value)
    return None if result is None else Answered(process_id=None, result=result)


def _answered_at_runtime(value: Mapping[str, object]) -> Answered | None:
    process_id, exit_code = value.get("process_id"), value.get("exit_code")
    output = value.get("aggregated_output", "")
    if not _is_text(process_id) or not isinstance(output, str):
        return None
    if exit_code is None or not _is_exit_code(exit_code):
        return None
    return Answered(
        process_id=process_id if isinstance(process_id, str) else None,
        result=_result(stdout=output, exit_code=exit_code),
    )


def _answered_to_caller(value: Mapping[str, object]) -> dict[str, object] | None:
    match value:
        case {"type": "direct_response", "response_item": item}:
            output = item.get("output") if isinstance(item, dict) else None
            return _shown(output, otherwise=item)
        case {"type": "code_mode_response", "value": returned}:
            return _answered_to_code(returned)
        case {"type": "error", "error": str(error)}:
            return _result(stderr=error, formatted=error)
        case _:
            return None


def _answered_to_code(returned: object) -> dict[str, object]:
    fields: dict[str, object] = returned if isinstance(returned, dict) else {}
    if isinstance(returned, list) and len(returned) == len(EXEC_RESULT):
        # Codex's parser takes the values alone too, in their order.
        fields = dict(zip(EXEC_RESULT, returned, strict=True))
    output = text_of(fields, "output")
    if output is None or not _is_exec_result(fields):
        return _shown(returned, otherwise=returned)
    return _result(
        stdout=output,
        formatted=output,
        exit_code=fields.get("exit_code"),
        token_count=fields.get("original_token_count"),
        chunk_id=fields.get("chunk_id"),
    )


def _is_exec_result(returned: Mapping[str, object]) -> bool:
    return (
        _is_text(returned.get("chunk_id"))
        and _is_exit_code(returned.get("exit_code"))
        and _is_count(returned.get("original_token_count"))
    )


def _shown(content: object, *, otherwise: object) -> dict[str, object]:
    text = _text_of_content(content)
    text = compact(otherwise) if text is None else text
    return _result(stdout=text, formatted=text)


def _result(
    *,
    stdout: str = "",
    stderr: str = "",
    formatted: str | None = None,
    exit_code: object = None,
    token_count: object = None,
    chunk_id: object = None,
) -> dict[str, object]:
    return {
        "exit_code": exit_code,
        "stdout": stdout,
        "stderr": stderr,
        "formatted_output": formatted,
        "original_token_count": token_count,
        "chunk_id": chunk_id,
    }


def _text_of_content(content: object) -> str | None:
    """The text of a tool's output: a string, the texts of its parts, or JSON."""
    match content:
        case None:
            return None
        case str():
            return content
        case list():
            texts = [text_of(part, "text") for part in content if isinstance(part, dict)]
            return "\n".join(text for text in texts if text is not None) or None
        case _:
            return compact(content)


def _process_of(session_id: object) -> str | None:
    match session_id:
        case Number():
            return session_id.text
        case bool() | "" | None:
            return None
        case str():
            return session_id
        case int():
            return str(session_id)
        case _:
            return None


def _limits(arguments: Mapping[str, object]) -> dict[str, object] | None:
    found = {name: arguments.get(name) for name in ("yield_time_ms", "max_output_tokens")}
    return found if all(map(_is_count, found.values())) else None


def _is_text(value: object) -> bool:
    """Whether a value may stand where a string or nothing must."""
    return isinstance(value, str | None)


def _is_count(value: object) -> bool:
    """Whether a value may stand where a count or nothing must."""
    return value is None or (_is_whole(value) and 0 <= value <= COUNT_MAX)


def _is_exit_code(value: object) -> bool:
    """Whether a value may stand where an exit code or nothing must."""
    return value is None or (_is_whole(value) and abs(value) <= EXIT_CODE_MAX)


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
