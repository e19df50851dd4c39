"""Writes what Codex did beside its calls into bundles by hand: tools, code cells, agents."""

import json

from .bundles import BundleBuilder, Json

CHILD = "01a205fa-6966-7040-9533-afccb19ae463"
"""A thread's id as the runtime's events about agents need it: a UUID."""
CHILD_PATH = "/root/helper"

TURN = "t"
CHILD_TURN = "child's t"
KINDS_WITH_NAMES: dict[str, Json] = {
    "mcp": {"type": "mcp", "server": "s", "tool": "t"},
    "exec": {"type": "other", "name": "exec"},
    "other": {"type": "other", "name": "n"},
}


class RuntimeBuilder(BundleBuilder):
    """A bundle whose root thread is in a turn, as is a child that it spawned where asked for."""

    def with_turns(self, *, child: bool = False) -> "RuntimeBuilder":
        """The builder, with its threads and turns begun."""
        self.turn(TURN)
        if child:
            spawn = {"parent_thread_id": self.root_thread, "agent_path": CHILD_PATH}
            metadata = {"session_source": {"subagent": {"thread_spawn": spawn}}}
            self.thread(CHILD, agent_path=CHILD_PATH, metadata=metadata)
            self.turn(CHILD_TURN, thread=CHILD)
        return self

    def tool(
        self,
        tool: str,
        kind: str = "exec_command",
        *,
        call: str | None = None,
        invocation: object = None,
        cell: str | None = None,
        thread: str | None = None,
        turn: str | None = TURN,
        **fields: object,
    ) -> None:
        """`tool_call_started`; `cell` is the runtime's name of the cell that asked for it."""
        by_cell: Json = {"type": "code_cell", "runtime_cell_id": cell}
        ref = None if invocation is None else self.payload("tool_invocation", invocation)
        names: Json = {
            "tool_call_id": tool,
            "model_visible_call_id": call,
            "code_mode_runtime_tool_id": None if cell is None else "tool-1",
            "requester": {"type": "model"} if cell is None else by_cell,
            "kind": kind_of(kind),
            "summary": {"type": "generic", "label": kind, "input_preview": "x"},
            "invocation_payload": ref,
        }
        self.event(
            "tool_call_started", thread=thread or self.root_thread, turn=turn, **names | fields
        )

    def begin(self, tool: str, value: object, kind: str = "exec_command") -> None:
        """`tool_call_runtime_started`."""
        ref = self.payload("tool_runtime_event", value)
        self.event(
            "tool_call_runtime_started",
            tool_call_id=tool,
            kind=kind_of(kind),
            runtime_payload=ref,
        )

    def finish(self, tool: str, value: object, status: str = "completed") -> None:
        """`tool_call_runtime_ended`."""
        ref = self.payload("tool_runtime_event", value)
        self.event("tool_call_runtime_ended", tool_call_id=tool, status=status, runtime_payload=ref)

    def end_tool(self, tool: str, result: object = None, status: str = "completed") -> None:
        """`tool_call_ended`."""
        ref = None if result is None else self.payload("tool_result", result)
        self.event("tool_call_ended", tool_call_id=tool, status=status, result_payload=ref)

    def stdin_target(self, tool: str, command: str) -> None:
        """`stdin_target_resolved`."""
        self.event("stdin_target_resolved", tool_call_id=tool, exec_tool_call_id=command)

    def mcp_call(self, tool: str, mcp_call_id: str) -> None:
        """`mcp_tool_call_correlation_assigned`."""
        self.event("mcp_tool_call_correlation_assigned", tool_call_id=tool, mcp_call_id=mcp_call_id)

    def cell(
        self, cell: str, call: str, *, thread: str | None = None, turn: str | None = TURN
    ) -> None:
        """`code_cell_started`."""
        self.event(
            "code_cell_started",
            thread=thread or self.root_thread,
            turn=turn,
            runtime_cell_id=cell,
            model_visible_call_id=call,
            source_js="text('hi')",
        )

    def cell_event(
        self,
        step: str,
        cell: str,
        status: str,
        response: object = None,
        *,
        thread: str | None = None,
    ) -> None:
        """`code_cell_initial_response` or `code_cell_ended`."""
        ref = None if response is None else self.payload("tool_result", response)
        self.event(
            f"code_cell_{step}",
            thread=thread or self.root_thread,
            turn=TURN,
            runtime_cell_id=cell,
            status=status,
            response_payload=ref,
        )

    def agent_result(self, edge: str, message: str, *, carried: object = None) -> None:
        """`agent_result_observed`, from the child to the root."""
        ref = None if carried is None else self.payload("agent_result", carried)
        self.event(
            "agent_result_observed",
            edge_id=edge,
            child_thread_id=CHILD,
            child_codex_turn_id=CHILD_TURN,
            parent_thread_id=self.root_thread,
            message=message,
            carried_payload=ref,
        )

    def receive(
        self, item: Json, *, thread: str | None = None, turn: str | None = TURN, **fields: object
    ) -> None:
        """`history_item_accepted` that brings another agent's message."""
        names: Json = {
            "item_id": item.get("id"),
            "agent_message_payload": self.payload("protocol_event", item),
        }
        self.event(
            "history_item_accepted",
            thread=thread or self.root_thread,
            turn=turn,
            **names | fields,
        )


def kind_of(kind: str) -> Json:
    """A kind of tool as events have it; some kinds name more."""
    return KINDS_WITH_NAMES.get(kind, {"type": kind})


def invocation(name: str, arguments: object, **extra: object) -> Json:
    """The invocation of a function; its arguments are JSON in a string."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    function = {"type": "function", "arguments": text}
    return {"tool_name": name, "tool_namespace": None, "payload": function, **extra}


def stdin(session: object, chars: object = "x", **extra: object) -> Json:
    """The invocation that writes to a terminal."""
    return invocation("write_stdin", {"session_id": session, "chars": chars, **extra})


def begun(process: str | None = None, **extra: object) -> Json:
    """What the runtime tells as a command begins."""
    return {"process_id": process, "command": ["sh", "-c", "a b"], "cwd": "/w", **extra}


def finished(process: str | None = None, output: str = "OUT", exit_code: int = 0) -> Json:
    """What the runtime tells as a command ends."""
    return {"process_id": process, "aggregated_output": output, "exit_code": exit_code}


def said(output: object) -> Json:
    """What a tool that the model called gives back."""
    item = {"type": "function_call_output", "call_id": "k", "output": output}
    return {"type": "direct_response", "response_item": item}


def activity(kind: str, thread: str = CHILD) -> Json:
    """What the runtime tells of an agent that a tool did something with."""
    return {
        "event_id": "e",
        "occurred_at_ms": 1,
        "agent_thread_id": thread,
        "agent_path": CHILD_PATH,
        "kind": kind,
    }


def collaboration(message: str, **extra: object) -> Json:
    """What the runtime told of a message to an agent before it told of activities."""
    return {
        "call_id": "c",
        "sender_thread_id": CHILD,
        "receiver_thread_id": CHILD,
        "prompt": message,
        "status": "running",
        **extra,
    }


def agent_message(
    text: str | None,
    *,
    encrypted: str | None = None,
    author: str = "/root",
    recipient: str = CHILD_PATH,
    **extra: object,
) -> Json:
    """The item that shows an agent's message to another."""
    content: list[Json] = []
    if text is not None:
        content.append({"type": "input_text", "text": text})
    if encrypted is not None:
        content.append({"type": "encrypted_content", "encrypted_content": encrypted})
    item: Json = {"type": "agent_message", "author": author, "recipient": recipient}
    return {**item, "content": content, **extra}


def code_call(call: str, source: str = "text('hi')") -> Json:
    """The model's call of Codex's `exec`, with the code of a cell."""
    return {"type": "custom_tool_call", "call_id": call, "name": "exec", "input": source}


def code_output(call: str, output: object = "hi") -> Json:
    """What a cell gave back."""
    return {"type": "custom_tool_call_output", "call_id": call, "output": output}
