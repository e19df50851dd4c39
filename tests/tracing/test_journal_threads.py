"""Which thread and turn a call is put into, and how turns and threads end."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import events as wire
from tests.support import raw_bundle
from tests.support.recording import Recording, answer, call_id, only_bundle, recording
from tracing import chains
from tracing.call import Waits
from tracing.redaction import RawHeaders
from tracing.terminal import TransportEnd


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Recording]:
    """A recording with the usual settings."""
    with recording(tmp_path) as made:
        yield made


def body(previous: str | None = None, **metadata: str) -> dict[str, Any]:
    """A request, chained to a response, with flat client metadata."""
    fields: dict[str, Any] = {"model": "m", "stream": True, "input": []}
    if previous:
        fields["previous_response_id"] = previous
    return fields | ({"client_metadata": metadata} if metadata else {})


def completed(response_id: str) -> bytes:
    """The least stream that completes a response."""
    return wire.sse(wire.ev_created(response_id), wire.ev_completed(response_id))


def places(bundle: Path) -> list[tuple[str, str]]:
    """Thread and turn of each call, in order."""
    return [
        (event["thread_id"], event["codex_turn_id"])
        for event in raw_bundle.events(bundle)
        if event["type"] == "inference_started"
    ]


def own(number: int) -> tuple[str, str]:
    """The thread and turn of a call that says nothing of either."""
    return f"thread:{call_id(number)}", f"turn:{call_id(number)}"


def test_calls_that_say_nothing_stand_alone(record: Recording) -> None:
    """Each has a thread and a turn of its own, ended after it."""
    record.call(completed("resp_1"), body=body())
    record.call(completed("resp_2"), body=body())
    bundle = only_bundle(record.close())
    assert places(bundle) == [own(1), own(2)]
    assert raw_bundle.event_types(bundle) == [
        "rollout_started",
        *["thread_started", "codex_turn_started", "inference_started"],
        *["inference_completed", "codex_turn_ended"],
        *["thread_started", "codex_turn_started", "inference_started"],
        *["inference_completed", "codex_turn_ended"],
        *["thread_ended", "thread_ended", "rollout_ended", "recording_completed"],
    ]


def test_chained_calls_share_the_thread(record: Recording) -> None:
    """A call whose parent is known is in its thread, and in a turn of its own."""
    record.call(completed("resp_1"), body=body())
    record.call(completed("resp_2"), body=body("resp_1"))
    record.call(completed("resp_3"), body=body("resp_2"))
    record.call(completed("resp_4"), body=body("resp_unknown"))
    thread, _ = own(1)
    assert places(only_bundle(record.close())) == [
        own(1),
        (thread, own(2)[1]),
        (thread, own(3)[1]),
        own(4),
    ]


def test_cancelled_parent_is_chained_from(record: Recording) -> None:
    """The id of `response.created` is enough: a response may be cancelled and continued."""
    begun = wire.sse(wire.ev_created("resp_1"))
    answer(record.ask(body()), [begun], end=TransportEnd.CLIENT_CLOSED)
    record.call(completed("resp_2"), body=body("resp_1"))
    assert places(only_bundle(record.close()))[1][0] == own(1)[0]


def test_never_chained_by_a_transport_id(record: Recording) -> None:
    """The id of a request is no id of a response, even where a client takes it for one."""
    record.call(completed("resp_1"), body=body())
    record.call(completed("resp_2"), body=body("req_1"))
    assert places(only_bundle(record.close())) == [own(1), own(2)]


def test_named_thread_wins_over_the_chain(record: Recording) -> None:
    """What the client says is believed before what can be concluded."""
    record.call(completed("resp_1"), body=body())
    record.call(completed("resp_2"), body=body("resp_1", thread_id="named"))
    record.call(completed("resp_3"), body=body("resp_2"))
    assert [thread for thread, _ in places(only_bundle(record.close()))] == [
        own(1)[0],
        "named",
        "named",
    ]


def test_responses_remembered_are_bounded(
    record: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest is forgotten first; one that is seen again is young again."""
    monkeypatch.setattr(chains, "RESPONSES_REMEMBERED_MAX", 2)
    for response_id in ("resp_1", "resp_2", "resp_1", "resp_3"):
        record.call(completed(response_id), body=body(thread_id=f"of {response_id}"))
    record.call(completed("resp_4"), body=body("resp_1"))
    record.call(completed("resp_5"), body=body("resp_2"))
    assert [thread for thread, _ in places(only_bundle(record.close()))[4:]] == [
        "of resp_1",
        own(6)[0],
    ]


def test_named_turn_has_many_calls_and_ends_with_the_bundle(record: Recording) -> None:
    """It is started once, and is open until nothing more can come in it."""
    for number in (1, 2):
        named = body(thread_id="thread-a", turn_id="turn-a")
        record.call(completed(f"resp_{number}"), body=named)
    bundle = only_bundle(record.close())
    assert places(bundle) == [("thread-a", "turn-a")] * 2
    types = raw_bundle.event_types(bundle)
    assert (types.count("codex_turn_started"), types.count("codex_turn_ended")) == (1, 1)
    assert types[-4:] == [
        "codex_turn_ended",
        "thread_ended",
        "rollout_ended",
        "recording_completed",
    ]
    ended = raw_bundle.only_event(bundle, "codex_turn_ended")
    assert ended == {
        "type": "codex_turn_ended",
        "codex_turn_id": "turn-a",
        "status": "completed",
    }


def test_second_thread_with_the_same_turn_gets_its_own(record: Recording) -> None:
    """In Codex's format a turn belongs to one thread."""
    for number, thread in enumerate(("thread-a", "thread-b", "thread-a"), start=1):
        named = body(thread_id=thread, turn_id="turn-a")
        record.call(completed(f"resp_{number}"), body=named)
    assert places(only_bundle(record.close())) == [
        ("thread-a", "turn-a"),
        ("thread-b", own(2)[1]),
        ("thread-a", "turn-a"),
    ]


def test_calls_at_the_same_time(record: Recording) -> None:
    """Calls that overlap end each in its own turn, whichever ends first."""
    first, second = record.ask(body()), record.ask(body())
    answer(second, [completed("resp_2")])
    first.ended(TransportEnd.SHUTDOWN, None, Waits())
    events = raw_bundle.events(only_bundle(record.close()))
    assert [
        (event["type"], event.get("inference_call_id") or event["codex_turn_id"])
        for event in events
        if event["type"] in {*raw_bundle.TERMINALS, "codex_turn_ended"}
    ] == [
        ("inference_completed", str(call_id(2))),
        ("codex_turn_ended", own(2)[1]),
        ("inference_cancelled", str(call_id(1))),
        ("codex_turn_ended", own(1)[1]),
    ]


def test_secret_as_thread_and_turn(record: Recording) -> None:
    """A client that names its thread by its key has it masked, wherever the thread is named."""
    key = "sk-0123456789"
    headers: RawHeaders = ((b"Authorization", f"Bearer {key}".encode()),)
    named = body(thread_id=f"of-{key}", turn_id=key)
    record.call(completed("resp_1"), body=named, headers=headers)
    bundle = only_bundle(record.close())
    masked = "*" * len(key)
    assert places(bundle) == [(f"of-{masked}", masked)]
    assert key.encode() not in b"".join(
        path.read_bytes() for path in bundle.rglob("*") if path.is_file()
    )
    types = raw_bundle.event_types(bundle)
    assert types.count("thread_started") == types.count("thread_ended") == 1
