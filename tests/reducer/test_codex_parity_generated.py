"""Generated bundles reduce as Codex's own reducer reduces them.

A bundle holds several threads, each with a client's course of its own: one run of Codex's reducer
then covers many courses.
"""

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tests.reducer.items import (
    assistant,
    compaction,
    function_call,
    function_output,
    image,
    reasoning,
    user,
)
from tests.support.bundles import BundleBuilder, Json
from tests.support.codex_cli import require_codex
from tests.support.parity import assert_same, reduce_both

THREADS = ("root", "second", "third")
STEPS_MAX = 14

texts = st.sampled_from(["a", "b", "é", ""])
ids = st.sampled_from([{}, {}, {"id": "i1"}, {"id": "i2"}])
arguments = st.sampled_from(['{"a":1}', '{"n":1.50}', "not json"])
urls = st.sampled_from(["data:1", "data:2"])
roles = st.sampled_from(["user", "developer", "assistant"])


def tool_call(arguments: str) -> Json:
    """A call whose id follows from its content: a reused id is what Codex refuses."""
    return function_call(f"call of {arguments}", arguments)


def with_id(item: Json, extra: Json) -> Json:
    """The item, with an id if one was drawn."""
    return {**item, **extra}


plain_items = st.one_of(
    st.builds(user, texts),
    st.builds(assistant, texts),
    st.builds(lambda text: assistant(text, phase="final_answer"), texts),
    st.builds(tool_call, arguments),
    st.builds(function_output, st.just("call of not json"), texts),
    st.builds(image, urls),
    st.builds(compaction, texts),
    st.builds(
        lambda summary, text, encrypted: reasoning(summary=summary, text=text, encrypted=encrypted),
        st.none() | texts,
        st.none() | texts,
        st.sampled_from(["E1", "E2"]),
    ),
)
items = st.builds(with_id, plain_items, ids)
item_lists = st.lists(items, max_size=4)
terminals = st.sampled_from(["complete", "fail", "cancel"])
statuses = st.sampled_from(["running", "completed", "failed", "cancelled", "aborted"])


@dataclass
class Client:
    """One thread's client: what it knows of its conversation, and what it has open."""

    thread: str
    bundle: BundleBuilder
    turn: str = ""
    turn_count: int = 0
    call_count: int = 0
    history: list[Json] = field(default_factory=list)
    open_calls: list[str] = field(default_factory=list)
    parent: str | None = None
    """The response that can be continued: the latest call's, while nothing was sent after it."""

    def begin_turn(self) -> None:
        """Start a turn, as every call needs one."""
        self.turn_count += 1
        self.turn = f"{self.thread}/t{self.turn_count}"
        self.bundle.turn(self.turn, thread=self.thread)

    def request(self, body: list[Json] | Json) -> None:
        """Send a request."""
        self.call_count += 1
        call = f"{self.thread}/c{self.call_count}"
        self.bundle.start(call, self.turn, body)
        self.open_calls.append(call)
        self.parent = None

    def end_call(self, position: int, terminal: str, output: list[Json]) -> None:
        """End one of the open calls; the latest one's response can be continued."""
        call = self.open_calls.pop(position % len(self.open_calls))
        if terminal == "complete":
            response_id = f"resp of {call}"
            self.bundle.complete(call, output, response_id=response_id, upstream_request_id=call)
            if call.endswith(f"/c{self.call_count}"):
                self.parent = response_id
        elif terminal == "fail":
            self.bundle.fail(call, output_items=output or None)
        else:
            self.bundle.cancel(call, output_items=output, upstream_request_id=f"x of {call}")
        self.history += output

    def compact(self, replacement: list[Json]) -> None:
        """Install another history."""
        checkpoint = {"input_history": self.history, "replacement_history": replacement}
        self.bundle.event(
            "compaction_installed",
            thread=self.thread,
            turn=self.turn,
            compaction_id=f"compaction of {self.thread}/{self.bundle.seq}",
            checkpoint_payload=self.bundle.payload("compaction_checkpoint", checkpoint),
        )
        self.history = list(replacement)


def take_step(draw: st.DrawFn, client: Client) -> None:
    """One thing that a client does."""
    step = draw(
        st.sampled_from(["grow", "grow", "rewrite", "chain", "end", "end", "turn", "accept", "zip"])
    )
    if step == "turn":
        client.bundle.end_turn(client.turn, draw(statuses))
        client.begin_turn()
    elif step == "accept":
        item_id = draw(st.sampled_from(["i1", "i2"]))
        client.bundle.event("history_item_accepted", thread=client.thread, item_id=item_id)
    elif step == "zip":
        client.compact(draw(item_lists))
    elif step == "end" and client.open_calls:
        client.end_call(draw(st.integers(0, 3)), draw(terminals), draw(item_lists))
    elif step == "chain" and client.parent is not None:
        added = draw(item_lists)
        client.history += added
        client.request({"input": added, "previous_response_id": client.parent})
    elif step == "rewrite":
        client.history = draw(st.permutations(client.history))[: draw(st.integers(0, 6))]
        client.request(list(client.history))
    else:
        client.history += draw(item_lists)
        client.request(list(client.history))


@st.composite
def bundles(draw: st.DrawFn) -> BundleBuilder:
    """A bundle of several threads' courses, not yet on disk."""
    bundle = BundleBuilder(Path())
    clients = [Client(thread=thread, bundle=bundle) for thread in THREADS]
    for client in clients:
        if client.thread != "root":
            bundle.thread(client.thread)
        client.begin_turn()
    for _ in range(draw(st.integers(1, STEPS_MAX * len(clients)))):
        take_step(draw, draw(st.sampled_from(clients)))
    if draw(st.booleans()):
        bundle.end(draw(st.sampled_from(["completed", "failed", "aborted"])))
    return bundle


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],  # bundles take time to make
)
@given(bundles())
def test_generated_courses(bundle: BundleBuilder) -> None:
    """Whatever clients do with their histories, both reducers say the same of it."""
    require_codex()
    with TemporaryDirectory() as directory:
        bundle.path = Path(directory) / "bundle"
        ours, theirs = reduce_both(bundle.write())
    note(b"\n".join(bundle.lines).decode())
    note("\n".join(f"{name} {data.decode()}" for name, data in bundle.files.items()))
    assert isinstance(theirs, dict), f"codex refused the bundle: {theirs}"
    assert_same(ours, theirs)
