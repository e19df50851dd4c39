"""Draws courses of threads whose calls, tools, cells, terminals and agents go on side by side.

Most of what is drawn could come from Codex: every tool in every order of its start, its runtime's
events and its end, before and after the model's call of it was seen.
"""

from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import strategies as st

from tests.reducer.items import assistant, function_call, function_output, user
from tests.support.bundles import Json
from tests.support.runtime_bundles import (
    CHILD,
    CHILD_PATH,
    RuntimeBuilder,
    activity,
    agent_message,
    begun,
    code_call,
    code_output,
    finished,
    invocation,
    said,
    stdin,
)

ROOT = "01a205fa-6917-76f2-a60b-c38a2d47d418"
PATHS = {ROOT: "/root", CHILD: CHILD_PATH}
STEPS_MAX = 40

AGENT_STEPS = {
    "spawn_agent": "started",
    "assign_agent_task": "interacted",
    "send_message": "interacted",
    "close_agent": "interrupted",
}
kinds = st.sampled_from(
    ["exec_command", "exec_command", "write_stdin", "write_stdin", "exec", "web", *AGENT_STEPS]
)
statuses = st.sampled_from(["running", "completed", "failed", "cancelled", "aborted"])
cell_statuses = st.sampled_from(["running", "yielded", "completed", "failed", "terminated"])
processes = st.sampled_from(["1", "2"])
words = st.sampled_from(["M", "N"])


@dataclass
class Tool:
    """A tool call that was started."""

    name: str
    kind: str
    process: str | None = None
    is_begun: bool = False


@dataclass
class Side:
    """One thread: what its client knows, and what Codex does in it."""

    thread: str
    turn: str = ""
    turn_count: int = 0
    history: list[Json] = field(default_factory=list)
    open_call: str | None = None
    call_count: int = 0
    promised: list[str] = field(default_factory=list)
    """Ids of calls that tools were started for before the model's response was told."""
    unanswered: list[Json] = field(default_factory=list)
    """Outputs that no request has shown yet."""
    callable: list[str] = field(default_factory=list)
    """Ids of the model's calls that no tool was started for."""
    code: list[str] = field(default_factory=list)
    """Ids of the model's calls of code that no cell was started for."""
    cells: list[str] = field(default_factory=list)
    tools: list[Tool] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What stands before its ids, which are one thread's own."""
        return "r" if self.thread == ROOT else "c"


class Course:
    """A bundle in the making, one drawn step after the other."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.bundle = RuntimeBuilder(Path(), root_thread=ROOT)
        self.bundle.thread(CHILD, agent_path=CHILD_PATH)
        self.sides = [Side(ROOT), Side(CHILD)]
        self.id_count = 0
        for side in self.sides:
            self.begin_turn(side)

    def one_of(self, values: list[str]) -> str:
        """One of some values, taken out of them."""
        value: str = self.draw(st.sampled_from(values))
        values.remove(value)
        return value

    def new_id(self, side: Side, prefix: str) -> str:
        """An id that was not there before."""
        self.id_count += 1
        return f"{side.name}/{prefix}{self.id_count}"

    def begin_turn(self, side: Side) -> None:
        """Start the thread's next turn."""
        side.turn_count += 1
        side.turn = f"{side.name}/t{side.turn_count}"
        self.bundle.turn(side.turn, thread=side.thread)

    def step(self) -> None:
        """Take one step in one thread; one that cannot be taken is a request or its end."""
        side = self.draw(st.sampled_from(self.sides))
        steps = [self.talk, self.talk, self.tool, self.tool, self.go_on, self.go_on, self.go_on]
        steps += [self.cell, self.cell_goes_on, self.aim, self.result, self.receive, self.turn]
        self.draw(st.sampled_from(steps))(side)

    def talk(self, side: Side) -> None:
        """Send a request, or end the one that is open."""
        if side.open_call is None:
            self.ask(side)
        else:
            self.answer(side)

    def ask(self, side: Side) -> None:
        """Send the history, grown by outputs and by what other agents said, or one item shorter."""
        if side.history and self.draw(st.integers(0, 5)) == 0:
            side.history.pop(self.draw(st.integers(0, len(side.history) - 1)))
        count = self.draw(st.integers(0, len(side.unanswered)))
        side.history += side.unanswered[:count]
        del side.unanswered[:count]
        if self.draw(st.booleans()):
            side.history.append(self.draw(st.sampled_from([user("a"), self.message_to(side)])))
        side.call_count += 1
        side.open_call = f"{side.name}/c{side.call_count}"
        self.bundle.start(side.open_call, side.turn, list(side.history))

    def answer(self, side: Side) -> None:
        """End the open call with the calls that were promised, new ones and words."""
        output = [self.promise_kept(side, call) for call in side.promised]
        side.promised.clear()
        new = self.draw(st.lists(st.sampled_from(["call", "code", "words"]), max_size=2))
        output += [self.said_item(side, what) for what in new]
        assert side.open_call is not None
        end = self.draw(st.sampled_from(["complete", "complete", "fail", "cancel"]))
        if end == "complete":
            self.bundle.complete(side.open_call, output)
        elif end == "fail":
            self.bundle.fail(side.open_call, output_items=output)
        else:
            self.bundle.cancel(side.open_call, output_items=output)
        side.history += output
        side.open_call = None

    def promise_kept(self, side: Side, call: str) -> Json:
        """The item of a call that a tool was started for before."""
        is_code = call.startswith(f"{side.name}/code")
        side.unanswered.append(code_output(call) if is_code else function_output(call, "o"))
        return code_call(call) if is_code else function_call(call, "{}")

    def said_item(self, side: Side, what: str) -> Json:
        """A new item of a response."""
        if what == "words":
            return assistant(self.draw(words))
        call = self.new_id(side, what)
        side.callable.append(call)
        if what == "code":
            side.code.append(call)
        return self.promise_kept(side, call)

    def tool(self, side: Side) -> None:
        """Start a tool: for a call that was said, one that will be, or for none."""
        call: str | None = None
        source = self.draw(st.sampled_from(["said", "said", "promised", "none"]))
        if source == "said" and side.callable:
            call = self.one_of(side.callable)
        elif source == "promised" and side.open_call is not None:
            prefix = self.draw(st.sampled_from(["call", "code"]))
            call = self.new_id(side, prefix)
            side.promised.append(call)
            if prefix == "code":
                side.code.append(call)
        is_code = call is not None and call.startswith(f"{side.name}/code")
        kind = self.draw(st.sampled_from(["exec", "exec", "web"]) if is_code else kinds)
        tool = Tool(name=call or self.new_id(side, "tool"), kind=kind)
        cell = self.draw(st.sampled_from(side.cells)) if side.cells and call is None else None
        called: Json | None = invocation(kind, {"message": self.draw(words)})
        if kind == "write_stdin":
            tool.process = self.draw(processes)
            called = self.draw(st.sampled_from([stdin(int(tool.process)), stdin(None), None]))
            tool.is_begun = called is not None and "null" not in str(called["payload"])
            tool.process = tool.process if tool.is_begun else None
        elif kind == "web" and side.cells:
            called = invocation("wait", {"cell_id": self.draw(st.sampled_from(side.cells))})
        self.bundle.tool(
            tool.name,
            kind,
            call=call,
            invocation=called,
            cell=cell,
            thread=side.thread,
            turn=self.draw(st.sampled_from([side.turn, side.turn, None])),
        )
        side.tools.append(tool)

    def go_on(self, side: Side) -> None:
        """Tell of a tool: its runtime's start or end, or its own end, in any order."""
        if not side.tools:
            return self.talk(side)
        tool = self.draw(st.sampled_from(side.tools))
        what = self.draw(st.sampled_from(["begin", "finish", "end"]))
        if what == "begin" and not tool.is_begun:
            self.begin(tool)
        elif what == "end":
            result = self.draw(
                st.sampled_from([None, said("told"), {"type": "error", "error": "E"}])
            )
            self.bundle.end_tool(tool.name, result, self.draw(statuses))
        elif tool.kind in AGENT_STEPS:
            other = next(s.thread for s in self.sides if not tool.name.startswith(s.name))
            self.bundle.finish(tool.name, activity(AGENT_STEPS[tool.kind], other))
        else:
            end = finished(tool.process, self.draw(words))
            self.bundle.finish(tool.name, end, self.draw(statuses))
        return None

    def begin(self, tool: Tool) -> None:
        """Tell of the runtime's start, which may tell another kind."""
        if tool.kind in AGENT_STEPS:
            return
        tool.kind = self.draw(st.sampled_from([tool.kind, tool.kind, "exec_command", "web"]))
        tool.is_begun = tool.kind in ("exec_command", "write_stdin")
        if tool.is_begun:
            tool.process = self.draw(processes | st.none())
        self.bundle.begin(tool.name, begun(tool.process), tool.kind)

    def cell(self, side: Side) -> None:
        """Start a cell for code that the model wrote, seen or not."""
        if not side.code:
            return self.tool(side)
        call = self.one_of(side.code)
        cell = str(len(side.cells))
        side.cells.append(cell)
        self.bundle.cell(cell, call, thread=side.thread, turn=side.turn)
        return None

    def cell_goes_on(self, side: Side) -> None:
        """Tell of a cell's response or its end."""
        if not side.cells:
            return self.cell(side)
        step = self.draw(st.sampled_from(["initial_response", "ended"]))
        response = self.draw(st.sampled_from([None, {"a": 1}]))
        cell, status = self.draw(st.sampled_from(side.cells)), self.draw(cell_statuses)
        self.bundle.cell_event(step, cell, status, response, thread=side.thread)
        return None

    def aim(self, side: Side) -> None:
        """Tell which command's terminal a tool writes to."""
        if len(side.tools) < 2:
            return self.tool(side)
        tool, command = (self.draw(st.sampled_from(side.tools)) for _ in range(2))
        self.bundle.stdin_target(tool.name, command.name)
        tool.process = command.process if command.is_begun and tool.is_begun else tool.process
        return None

    def result(self, side: Side) -> None:
        """Let the child's result be on its way to the root."""
        message = self.draw(words)
        self.bundle.event(
            "agent_result_observed",
            edge_id=f"edge:{side.name}:{message}:{self.draw(st.integers(0, 9))}",
            child_thread_id=side.thread,
            child_codex_turn_id=side.turn,
            parent_thread_id=next(s.thread for s in self.sides if s is not side),
            message=message,
            carried_payload=None,
        )

    def receive(self, side: Side) -> None:
        """Let the thread take another agent's message in, or an item of its own."""
        if self.draw(st.booleans()):
            item = {**self.message_to(side), "id": self.draw(st.sampled_from(["i1", "i2"]))}
            self.bundle.receive(item, thread=side.thread, turn=side.turn)
            side.unanswered.append(item)
        else:
            self.bundle.event("history_item_accepted", thread=side.thread, item_id="i1")

    def message_to(self, side: Side) -> Json:
        """An item that shows the thread what the other agent said."""
        author = next(path for thread, path in PATHS.items() if thread != side.thread)
        text = self.draw(words)
        head = self.draw(st.sampled_from([None, "head"]))
        recipient = PATHS[side.thread]
        if head is None:
            return agent_message(text, author=author, recipient=recipient)
        return agent_message(head, encrypted=text, author=author, recipient=recipient)

    def turn(self, side: Side) -> None:
        """End the turn, however, and begin the next."""
        self.bundle.end_turn(side.turn, self.draw(statuses))
        self.begin_turn(side)


@st.composite
def courses(draw: st.DrawFn) -> RuntimeBuilder:
    """A bundle of such courses, not yet on disk."""
    course = Course(draw)
    for _ in range(draw(st.integers(1, STEPS_MAX))):
        course.step()
    return course.bundle
