"""Links make a forest, whatever is linked, and the same one however the bundles are read."""

import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from reducer.call_facts import BundleFacts, CallFacts, CallKey, FactsCollector
from reducer.conversation_trees import Conversations
from reducer.links import Links, link_calls
from tests.reducer.items import assistant, function_call, function_output, user
from tests.reducer.linked import Caller, call_record
from tests.support.bundles import Json

TRACES = ("t1", "t2", "t3")
PLAIN = settings(max_examples=150, deadline=None)

items = st.sampled_from(
    [
        *[user("a"), user("b"), assistant("A"), assistant("B")],
        *[function_call("k", "{}"), function_output("k", "x"), function_output("l", "x")],
    ]
)
item_lists = st.lists(items, max_size=5)
response_ids = st.sampled_from(["r1", "r2", "r3", "w1"])
threads = st.sampled_from(["t", "u", None])
statuses = st.sampled_from(["completed", "failed", "cancelled", "running", "aborted"])


@st.composite
def calls(draw: st.DrawFn) -> CallFacts:
    """A call that may be linked with anything, by anything, or contradict itself."""
    collector = FactsCollector()
    call_id = draw(st.sampled_from([f"c{number}" for number in range(12)]))
    body: Json = {"input": draw(item_lists)}
    if draw(st.booleans()):
        body["previous_response_id"] = draw(response_ids)
    collector.note_request(call_id, body)
    collector.note_response(call_id, {"output_items": draw(item_lists)})
    status = draw(statuses)
    proxy: Json = {
        "retry_count": draw(st.integers(0, 2)),
        "client_call_id": draw(st.none() | st.just("x")),
        "http_status": draw(st.none() | st.sampled_from([200, 400, 500])),
        "request": {"sha256": draw(st.none() | st.sampled_from(["s", "z"]))},
        "response_id": draw(st.none() | response_ids),
    }
    record = call_record(
        call_id,
        status,
        started_at=draw(st.integers(0, 40)),
        ended_at=None if status == "running" else draw(st.integers(0, 50)),
        thread=draw(threads),
        proxy=proxy,
    )
    return replace(
        collector.facts("t1", [record], {}).calls[0],
        key=CallKey(draw(st.sampled_from(TRACES)), call_id),
        known_parent=draw(st.none() | st.sampled_from(["c1", "c2", call_id])),
    )


prewarms = st.dictionaries(response_ids, st.none() | response_ids, max_size=3)


def bundles_of(found: list[CallFacts], warm: list[dict[str, str | None]]) -> list[BundleFacts]:
    """The calls, each in the bundle of its trace."""
    return [
        BundleFacts(
            calls=tuple(call for call in found if call.key.trace_id == trace), prewarms=known
        )
        for trace, known in zip(TRACES, warm, strict=True)
    ]


def assert_forest(links: Links) -> None:
    """Hold that each call has one place in one tree, and that a link goes back in time."""
    order = {call.key: position for position, call in enumerate(links.calls)}
    assert all(order[link.call] < order[key] for key, link in links.continues.items())
    assert all(order[retry.of] < order[key] for key, retry in links.retries.items())
    conversations = Conversations(links)
    walked = [
        request for root in conversations.roots for _, request in conversations.tree(root.key)
    ]
    assert len(walked) == len(conversations.requests)
    reached = [attempt for request in walked for attempt in request.attempts]
    assert sorted(reached) == sorted(order)
    for request in walked:
        assert conversations.path_to(request.key)[0].key == request.root


@PLAIN
@given(
    found=st.lists(calls(), max_size=20),
    warm=st.tuples(prewarms, prewarms, prewarms),
    seed=st.integers(0, 1000),
)
def test_any_calls_make_the_same_forest_in_any_order(
    found: list[CallFacts], warm: tuple[dict[str, str | None], ...], seed: int
) -> None:
    """No cycle, no call lost, none in two trees; and no order of bundles or calls counts."""
    links = link_calls(bundles_of(found, list(warm)))
    assert_forest(links)
    shuffled = list(found)
    random.Random(seed).shuffle(shuffled)
    bundles = bundles_of(shuffled, list(warm))
    random.Random(seed).shuffle(bundles)
    again = link_calls(bundles)
    assert Conversations(again).as_json() == Conversations(links).as_json()
    assert again == links


@PLAIN
@given(
    forks=st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=1, max_size=20),
    seed=st.integers(0, 1000),
)
def test_conversations_are_found_as_they_were_made(
    forks: list[tuple[int, bool]], seed: int
) -> None:
    """Stateless conversations that fork and mix are told apart by their items alone.

    Each call goes on from an earlier one that is drawn, or begins another conversation.
    """
    histories: list[list[object]] = []
    parents: list[int | None] = []
    collector = FactsCollector()
    made: list[CallFacts] = []
    for number, (pick, begins) in enumerate(forks):
        parent = None if begins or not histories else pick % len(histories)
        before = [] if parent is None else histories[parent]
        question, answer = user(f"q{number}"), assistant(f"a{number}")
        collector.note_request(f"c{number}", {"input": [*before, question]})
        collector.note_response(f"c{number}", {"output_items": [answer]})
        histories.append([*before, question, answer])
        parents.append(parent)
        record = call_record(f"c{number}", "completed", started_at=number)
        made += collector.facts("t1", [record], {}).calls
    rng = random.Random(seed)
    traces = [replace(call, key=CallKey(rng.choice(TRACES), call.key.call_id)) for call in made]
    links = link_calls(bundles_of(traces, [{}, {}, {}]))
    found = {key.call_id: link.call.call_id for key, link in links.continues.items()}
    assert found == {f"c{n}": f"c{p}" for n, p in enumerate(parents) if p is not None}


LINK_ALL = """
import sys
from pathlib import Path
import orjson
from reducer import reduce_bundle, state_bytes
from reducer.conversation_trees import Conversations
from reducer.trace_links import link_bundles
paths = [Path(path) for path in sys.argv[1:]]
sys.stdout.buffer.write(orjson.dumps(Conversations(link_bundles(paths)).as_json()))
for path in sorted(paths):
    sys.stdout.buffer.write(state_bytes(reduce_bundle(path)))
"""


def test_bytes_are_the_same_under_any_hash_seed(tmp_path: Path) -> None:
    """Neither Python's hashing nor the order of the bundles shows in what is written."""
    paths = []
    history: list[object] = []
    for number, trace in enumerate(TRACES):
        caller = Caller(tmp_path / trace, trace_id=trace, later_ms=1000 * number)
        for turn in range(6):
            call = f"{trace}/c{turn}"
            history = [*history, user(call)]
            calls_tool = [function_call(f"k{turn}{part}", "{}") for part in range(3)]
            caller.call(call, list(history), [*calls_tool, assistant(call)])
            outputs = [function_output(f"k{turn}{part}", "x") for part in range(3)]
            history = [*history, *calls_tool, assistant(call), *outputs]
        paths.append(str(caller.bundle.write()))
    outcomes = {
        subprocess.run(
            [sys.executable, "-c", LINK_ALL, *order],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            cwd=Path(__file__).parents[2],
        ).stdout
        for seed, order in (("0", paths), ("1", paths[::-1]), ("2", paths[1:] + paths[:1]))
    }
    (outcome,) = outcomes
    assert outcome.count(b'"by":"') == len(TRACES) * 6 - 1


def test_long_history_is_linked_by_hashes_of_a_few_bytes() -> None:
    """What is remembered of an input are eight bytes an item, and none of its text."""
    collector = FactsCollector()
    history = [user("x" * 1000) for _ in range(100)]
    collector.note_request("c", {"input": history})
    record = call_record("c", "running", started_at=0)
    request = collector.facts("t1", [record], {}).calls[0].request
    assert len(request.prefixes) == 8 * len(history)
    assert len({request.prefix(count) for count in range(1, 101)}) == 100
