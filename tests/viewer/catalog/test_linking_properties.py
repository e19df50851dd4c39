"""The catalog's links are the reducer's, in whatever steps bundles grow, end and are removed."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.reducer.items import assistant, function_call, function_output, user
from tests.reducer.linked import Caller
from tests.support.bundles import BundleBuilder, Json
from tests.support.odd_bundles import odd_bundles
from viewer.catalog.catalog import Catalog

from .catalog_links import Linked, links_in, links_of

PLAIN = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],  # bundles take time to make
)
SAID: Json = {**assistant("A"), "id": "msg_1"}
ITEMS = [
    *[user("a"), user("b"), assistant("A"), assistant("B"), SAID],
    *[function_call("k", "{}"), function_output("k", "x"), function_output("l", "x")],
    *[{"type": "item_reference", "id": "msg_1"}, {"role": "system", "content": "S"}],
]
RESPONSES = ["r1", "r2", "r3", "w1", "w2"]

items = st.lists(st.sampled_from(ITEMS), max_size=3)
maybe_response = st.none() | st.sampled_from(RESPONSES)


class Course:
    """Bundles that grow as hypothesis draws, each step one that may happen to a recorder."""

    def __init__(self, trace_dir: Path, draw: st.DataObject) -> None:
        self._draw = draw.draw
        self._callers = [
            Caller(trace_dir / f"trace-{trace}", trace_id=trace)
            for trace in ("t1", "t2", "t3")[: self._draw(st.integers(1, 3))]
        ]
        self._open: list[tuple[Caller, str, list[object]]] = []
        self._histories: list[list[object]] = [[]]
        self._calls = 0

    def step(self) -> None:
        """Let something happen in one of the bundles, some time after what happened before."""
        caller = self._draw(st.sampled_from(self._callers))
        caller.bundle.later_ms += self._draw(st.sampled_from([0, 0, 0, -10, -30, 20, 1000]))
        match self._draw(st.sampled_from(["start", "start", "end", "end", "prewarm"])):
            case "start":
                self._start(caller)
            case "end" if self._open:
                self._end()
            case "prewarm":
                value = {
                    "response_id": self._draw(st.sampled_from(["w1", "w2"])),
                    "previous_response_id": self._draw(maybe_response),
                }
                caller.bundle.observed("tailrace.prewarm", {**value, "input": [], "output": []})

    def write(self) -> list[Path]:
        """Put on disk what happened, and name the bundles."""
        return [caller.bundle.write() for caller in self._callers]

    def _start(self, caller: Caller) -> None:
        self._calls += 1
        call = f"c{self._calls}"
        before = self._draw(st.sampled_from(self._histories))
        shown = [*before, *self._draw(items)]
        body: Json = {"model": self._draw(st.sampled_from(["m", "m", "n"])), "input": shown}
        if (response_id := self._draw(maybe_response)) is not None:
            body["previous_response_id"] = response_id
        if self._draw(st.booleans()):
            body["instructions"] = "Be short."
        proxy: Json = {
            "retry_count": self._draw(st.sampled_from([0, 0, 1, 2])),
            "client_call_id": self._draw(st.sampled_from([None, None, "x"])),
            "request": {"sha256": self._draw(st.sampled_from([None, "s", "z"]))},
        }
        thread = self._draw(st.sampled_from(["t", "u", None, None]))
        caller.start(call, body, thread=thread, proxy=proxy)
        self._open.append((caller, call, shown))

    def _end(self) -> None:
        caller, call, shown = self._draw(st.sampled_from(self._open))
        if self._draw(st.sampled_from([True, True, False])):  # else it ends once more later
            self._open = [each for each in self._open if each[1] != call]
        output = self._draw(items)
        self._histories.append([*shown, *output])
        response_id = self._draw(maybe_response)
        proxy = {
            "http_status": self._draw(st.sampled_from([None, 400, 500])),
            "response_id": self._draw(maybe_response),
        }
        match self._draw(st.sampled_from(["complete", "complete", "fail", "cancel", "turn"])):
            case "complete":
                caller.bundle.complete(call, output, response_id=response_id, proxy=proxy)
            case "fail":
                partial = [{"output_index": 0, "item": assistant("hal")}]
                caller.bundle.fail(
                    call,
                    output_items=output,
                    response_id=response_id,
                    partial_items=self._draw(st.sampled_from([None, partial])),
                    proxy=proxy,
                )
            case "cancel":
                caller.bundle.cancel(call)
            case "turn":
                status = self._draw(st.sampled_from(["completed", "failed", "aborted"]))
                caller.bundle.end_turn(f"turn:{call}", status)


@PLAIN
@given(draw=st.data())
def test_links_are_the_reducers_while_bundles_grow(draw: st.DataObject) -> None:
    """After each refresh, and after a bundle was removed, they are what the reducer finds."""
    with tempfile.TemporaryDirectory() as name:
        course = Course(Path(name), draw)
        bundles = course.write()
        with Catalog.open(Path(name)) as catalog:
            for steps in draw.draw(st.lists(st.integers(1, 6), min_size=1, max_size=5)):
                for _ in range(steps):
                    course.step()
                bundles = course.write()
                catalog.refresh()
                assert links_in(catalog) == links_of(bundles)
            if len(bundles) > 1:
                shutil.rmtree(bundles[0])
                catalog.refresh()
                assert links_in(catalog) == links_of(bundles[1:])


@PLAIN
@given(draw=st.data())
def test_links_are_the_same_read_at_once(draw: st.DataObject) -> None:
    """A catalog that is made when all has happened has the links of one that saw it happen."""
    with tempfile.TemporaryDirectory() as name:
        course = Course(Path(name), draw)
        for _ in range(draw.draw(st.integers(1, 25))):
            course.step()
        bundles = course.write()
        with Catalog.open(Path(name)) as catalog:
            catalog.refresh()
            assert links_in(catalog) == links_of(bundles)


@PLAIN
@given(builder=odd_bundles())
def test_odd_bundles_are_linked_as_the_reducer_links_them(builder: BundleBuilder) -> None:
    """Two starts, two ends, lost payloads, wrong types, half characters: all of it has links."""
    with tempfile.TemporaryDirectory() as name:
        builder.path = Path(name) / "trace-1"
        bundle = builder.write()
        with Catalog.open(Path(name)) as catalog:
            catalog.refresh()
            found = {
                call: linked for (_, call), linked in links_in(catalog, kind="inference").items()
            }
            expected = {call: linked for (_, call), linked in links_of([bundle]).items()}
            assert _without_traces(found) == _without_traces(expected)


def _without_traces(links: dict[str, Linked]) -> dict[str, list[object]]:
    """A bundle may not tell its trace id: then it goes by its directory here."""
    return {
        call: [part[1] if isinstance(part, tuple) else part for part in linked]
        for call, linked in links.items()
    }
