"""Bundles of linked calls, as short as a test can want them, and what their links are."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from reducer import reduce_bundle
from reducer.records import Call, Execution
from tests.reducer.items import assistant
from tests.reducer.states import State, call_of
from tests.support.bundles import BundleBuilder, Json


class Caller:
    """Adds calls to a bundle, each in a turn of its own; in a thread of its own unless told."""

    def __init__(self, path: Path, *, trace_id: str = "trace-1", later_ms: int = 0) -> None:
        self.bundle = BundleBuilder(path, trace_id=trace_id)
        self.bundle.later_ms = later_ms
        self._threads = {"root"}

    def start(
        self,
        call: str,
        body: Sequence[object] | Json | str,
        *,
        thread: str | None = None,
        proxy: Mapping[str, object] | None = None,
    ) -> None:
        """Begin a call. A list or a string as `body` stands for a request with that input."""
        thread = thread or f"thread:{call}"
        if thread not in self._threads:
            self._threads.add(thread)
            self.bundle.thread(thread)
        self.bundle.turn(f"turn:{call}", thread=thread)
        request = body if isinstance(body, dict) else {"model": "m", "input": body}
        self.bundle.start(call, f"turn:{call}", request, proxy=proxy)

    def call(
        self,
        call: str,
        body: Sequence[object] | Json | str,
        output: Sequence[object] | str = "",
        *,
        response_id: str | None = None,
        thread: str | None = None,
        proxy: Mapping[str, object] | None = None,
    ) -> None:
        """Make a call that completes. A string as `output` stands for a message with that text."""
        self.start(call, body, thread=thread, proxy=proxy)
        items = ([assistant(output)] if output else []) if isinstance(output, str) else output
        self.bundle.complete(call, items, response_id=response_id or f"resp of {call}")

    def state(self) -> State:
        """What the bundle is reduced to."""
        return reduce_bundle(self.bundle.write())


def call_record(
    call: str,
    status: str,
    *,
    started_at: int,
    ended_at: int | None = None,
    thread: str | None = None,
    proxy: Json | None = None,
) -> Call:
    """A call as it is folded, in a thread of its own unless told. Times are in milliseconds."""
    execution = Execution(
        started_at_unix_ms=started_at, started_seq=0, ended_at_unix_ms=ended_at, status=status
    )
    return Call(
        inference_call_id=call,
        thread_id=thread or f"thread:{call}",
        codex_turn_id="turn",
        execution=execution,
        model="m",
        provider_name="p",
        request_items=[],
        raw_request_payload_id=None,
        proxy=proxy or {},
    )


def continued(state: State, call: str) -> tuple[str, str] | None:
    """The call that a call continues, and by what."""
    link = call_of(state, call)["proxy"].get("continues")
    if link is None:
        return None
    assert set(link) == {"call", "by"}
    return link["call"], link["by"]


def all_continued(state: State) -> dict[str, tuple[str, str] | None]:
    """The links of all calls."""
    return {call: continued(state, call) for call in state["inference_calls"]}
