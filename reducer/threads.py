"""Folds the events of threads and turns."""

from tracing.bundle_reader import RawEvent

from .diagnostics import Code
from .edge_records import spawn_edge_id
from .fields import text_of
from .fold import EXECUTION_STATUSES, ROLLOUT_STATUSES, Fold, Payload
from .records import Execution, Thread, Turn

METADATA_TEXTS = ("agent_path", "task_name", "nickname", "agent_role", "model")

_STATUS_OF_CALLS = {
    "completed": "cancelled",
    "cancelled": "cancelled",
    "failed": "failed",
    "aborted": "aborted",
}
"""How the calls end that still run when their turn ends: nobody waits for them any more."""


_STATUS_OF_CELLS = {"failed": "failed", "cancelled": "terminated", "aborted": "terminated"}
"""How the code cells end that still run when their turn ends."""


def fold_thread_started(fold: Fold, event: RawEvent) -> None:
    """Begin a thread: a root, or one that its metadata says another thread spawned."""
    thread_id = fold.text(event, "thread_id")
    agent_path = fold.text(event, "agent_path") or ""
    metadata = fold.optional_payload(event, "metadata_payload")
    if thread_id is None:
        return
    if thread_id in fold.threads:
        fold.odd(Code.DUPLICATE_THREAD, f"thread {thread_id} started before")
        return
    facts = {} if metadata is None else _metadata_texts(fold, metadata)
    spawn = None if metadata is None else _spawn(metadata)
    agent_path = (spawn or {}).get("agent_path", facts.get("agent_path", agent_path))
    fold.threads[thread_id] = Thread(
        thread_id=thread_id,
        agent_path=agent_path,
        nickname=facts.get("nickname"),
        origin=_origin(thread_id, agent_path, facts, spawn),
        execution=_started(event),
        default_model=facts.get("model"),
    )


def fold_thread_ended(fold: Fold, event: RawEvent) -> None:
    """End a thread; its turns and calls are not touched."""
    thread = _known_thread(fold, event)
    status = fold.status_of(event, ROLLOUT_STATUSES)
    if thread is not None and status is not None:
        thread.execution.end(at_unix_ms=event.wall_time_unix_ms, seq=event.seq, status=status)


def fold_thread_resumed(fold: Fold, event: RawEvent) -> None:
    """Let a thread that ended run on, as if it had not."""
    thread = _known_thread(fold, event)
    if thread is None:
        return
    if thread.execution.ended_seq is None:
        fold.odd(Code.THREAD_NOT_ENDED, f"thread {thread.thread_id} resumed without an end")
    thread.execution.status = "running"
    thread.execution.ended_at_unix_ms = None
    thread.execution.ended_seq = None


def fold_turn_started(fold: Fold, event: RawEvent) -> None:
    """Begin a turn in its thread."""
    turn_id, thread_id = fold.text(event, "codex_turn_id"), fold.text(event, "thread_id")
    if turn_id is None or thread_id is None:
        return
    if turn_id in fold.turns:
        fold.odd(Code.DUPLICATE_TURN, f"turn {turn_id} started before")
        return
    ensure_thread(fold, event, thread_id)
    fold.turns[turn_id] = Turn(
        codex_turn_id=turn_id, thread_id=thread_id, execution=_started(event)
    )


def fold_turn_ended(fold: Fold, event: RawEvent) -> None:
    """End a turn, and with it the calls and code cells that still run in it."""
    turn_id = fold.text(event, "codex_turn_id")
    status = fold.status_of(event, EXECUTION_STATUSES)
    if turn_id is None or status is None:
        return
    turn = fold.turns.get(turn_id)
    if turn is None:
        fold.odd(Code.UNKNOWN_TURN, f"turn {turn_id} ended but never started")
        return
    if event.thread_id is not None and event.thread_id != turn.thread_id:
        fold.odd(Code.THREAD_MISMATCH, f"turn {turn_id} belongs to thread {turn.thread_id}")
    turn.execution.end(at_unix_ms=event.wall_time_unix_ms, seq=event.seq, status=status)
    _end_cells(event, turn, status)
    status_of_calls = _STATUS_OF_CALLS.get(status)
    if status_of_calls is None:
        return
    for call in turn.calls:
        if call.execution.is_running:
            call.execution.end(
                at_unix_ms=event.wall_time_unix_ms, seq=event.seq, status=status_of_calls
            )


def _end_cells(event: RawEvent, turn: Turn, status: str) -> None:
    """A cell outlives a turn that was completed; nobody waits for one of a turn that broke off."""
    status_of_cells = _STATUS_OF_CELLS.get(status)
    if status_of_cells is None:
        return
    for cell in turn.cells:
        if cell.execution.is_running:
            cell.end(
                at_unix_ms=event.wall_time_unix_ms,
                seq=event.seq,
                status=status_of_cells,
                payload_id=None,
            )


def ensure_thread(fold: Fold, event: RawEvent, thread_id: str) -> Thread:
    """The thread; one whose start is not told of begins here."""
    if thread_id not in fold.threads:
        fold.odd(Code.UNKNOWN_THREAD, f"thread {thread_id} never started")
        fold.threads[thread_id] = Thread(
            thread_id=thread_id,
            agent_path="",
            nickname=None,
            origin={"type": "root"},
            execution=_started(event),
            default_model=None,
        )
    return fold.threads[thread_id]


def ensure_turn(fold: Fold, event: RawEvent, turn_id: str, thread_id: str) -> Turn:
    """The turn, which should be the thread's; one whose start is not told of begins here."""
    turn = fold.turns.get(turn_id)
    if turn is None:
        fold.odd(Code.UNKNOWN_TURN, f"turn {turn_id} never started")
        fold.turns[turn_id] = Turn(
            codex_turn_id=turn_id, thread_id=thread_id, execution=_started(event)
        )
    elif turn.thread_id != thread_id:
        fold.odd(Code.THREAD_MISMATCH, f"turn {turn_id} belongs to thread {turn.thread_id}")
    return fold.turns[turn_id]


def _started(event: RawEvent) -> Execution:
    return Execution(started_at_unix_ms=event.wall_time_unix_ms, started_seq=event.seq)


def _known_thread(fold: Fold, event: RawEvent) -> Thread | None:
    thread_id = fold.text(event, "thread_id")
    thread = None if thread_id is None else fold.threads.get(thread_id)
    if thread is None and thread_id is not None:
        fold.odd(Code.UNKNOWN_THREAD, f"thread {thread_id} never started")
    return thread


def _metadata_texts(fold: Fold, metadata: Payload) -> dict[str, str]:
    texts = {}
    for name in METADATA_TEXTS:
        value = metadata.value.get(name)
        if isinstance(value, str):
            texts[name] = value
        elif value is not None:
            fold.odd(Code.THREAD_METADATA, f"{name} is no string")
    return texts


def _spawn(metadata: Payload) -> dict[str, str] | None:
    """What the metadata says of the thread's parent; None for a root."""
    value: object = metadata.value
    for key in ("session_source", "subagent", "thread_spawn"):
        value = value.get(key) if isinstance(value, dict) else None
    if not isinstance(value, dict) or text_of(value, "parent_thread_id") is None:
        return None
    return {key: text for key, text in value.items() if isinstance(text, str)}


def _origin(
    thread_id: str, agent_path: str, facts: dict[str, str], spawn: dict[str, str] | None
) -> dict[str, object]:
    if spawn is None:
        return {"type": "root"}
    parent = spawn["parent_thread_id"]
    path_names = [name for name in agent_path.split("/") if name] or [agent_path]
    return {
        "type": "spawned",
        "parent_thread_id": parent,
        "spawn_edge_id": spawn_edge_id(parent, thread_id),
        "task_name": spawn.get("task_name", facts.get("task_name", path_names[-1])),
        "agent_role": spawn.get("agent_role", facts.get("agent_role", "")),
    }
