"""A rich trace directory, made by the real proxy: what the reading side is shown and tried on.

Run as `python -m tests.support.sample_traces DIR`, it takes its time as a model does, so that
there is something to see; a test makes one as fast as it can.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import openai

from proxy.logs import configure_logs_without_thread

from . import sample_hostile as hostile
from . import sample_session as session
from .bundles import BundleBuilder, message
from .events import Item, error_body, ev_text_delta, message_item
from .harmed_bundle import CAPTURE, LOG, edit_file, record_all_kinds
from .recording import Clock, Recording
from .responses_socket import ResponsesSocket, Take, says
from .running_proxy import RunningProxy
from .sample_answers import Answer, Calling, Pace, Saying, Thinking
from .sample_calls import KEY, SampleCalls
from .script import Reply, json_reply, stream_reply
from .scripted_upstream import ScriptedUpstream
from .socket_events import read_response

MINI = "gpt-5.5-mini"
CODEX = "gpt-5.5-codex"
LONG_STREAM_DELTAS = 5000

NOTES = """\
## 2.4.0

- Discounts are rounded half up, to the cent. Totals of some carts change by one cent.
- Vouchers are checked before shipping is added, not after.
- The export of orders streams: a year of them no longer takes all memory.
- Fixed: an empty cart could be paid for, with a voucher over 0.00 euros and a saved card, which"""

RELEASE_NOTES = Answer(
    name="release notes", parts=[Saying(NOTES)], tokens=(3404, 0, 512, 0), fields={"model": MINI}
)
"""The one whose client leaves in the midst of the text."""

SEARCHING = Answer(
    name="searching",
    parts=[
        Thinking("**Narrowing it down**\n\nThe webhook is retried; I look for who swallows it."),
        Calling("shell", {"command": "rg -n 'except Exception' shop/payments --glob '!*_test.py'"}),
    ],
    fields={"model": session.MODEL},
)
"""The one whose client leaves in the midst of a tool call's arguments."""

GREETINGS = (
    ("Translate for the shop's mail: “Your order was shipped today.” Arabic, please.", "arabic"),
    ("Now Hebrew, Chinese, Japanese and Korean.", "others"),
    ("And with a parcel and a truck.", "emoji"),
)
TRANSLATED = {
    "arabic": "تم شحن طلبك اليوم.",
    "others": "עברית: ההזמנה שלך נשלחה היום.\n中文: 您的订单今天已发货。\n"
    "日本語: ご注文は本日発送されました。\n한국어: 주문이 오늘 발송되었습니다.",
    "emoji": "📦 Your order was shipped today. 🚚",
}


def make_sample_traces(trace_dir: Path, *, pace: float = 0) -> None:
    """Make every call of the samples, in bundles that are closed. `pace` 1 is a model's."""
    add_socket_conversation(trace_dir)
    with ScriptedUpstream() as upstream:
        proxy = RunningProxy(f"{upstream.url}/v1", trace_dir)
        with proxy, SampleCalls(upstream, proxy, Pace(pace)) as calls:
            add_hostile_output(calls)
            add_long_stream(calls)
            add_image(calls)
            add_compaction(calls)
            add_translation(calls)
            add_tickets(calls)
            add_endings(calls)
            add_session(calls)


def add_session(calls: SampleCalls) -> None:
    """A debugging session, chained by `previous_response_id`, with a branch at its third answer."""
    answers = {round_.answer.name: round_.answer for round_ in session.ROUNDS}
    for round_ in session.ROUNDS:
        before = answers[round_.after] if round_.after is not None else None
        asked: Any = round_.asked
        if before is not None and isinstance(before.parts[-1], Calling):
            output = {"type": "function_call_output", "call_id": before.call_id()}
            asked = [output | {"output": round_.asked}]
        chained: dict[str, Any] = (
            {} if before is None else {"previous_response_id": before.response_id}
        )
        request: dict[str, Any] = {
            "model": session.MODEL,
            "instructions": round_.instructions,
            "tools": session.TOOLS,
            "reasoning": {"effort": "medium", "summary": "auto"},
            "prompt_cache_key": "shop-agent",
            "input": asked,
        }
        calls.streamed(round_.answer, **request, **chained)


def add_translation(calls: SampleCalls) -> None:
    """A conversation that is sent whole each time, in many scripts."""
    history: list[Item] = []
    for number, (asked, name) in enumerate(GREETINGS):
        answer = Answer(
            name=f"translation {name}",
            parts=[Saying(TRANSLATED[name])],
            tokens=(60 + 40 * number, 0, 24 + 20 * number, 0),
            fields={"model": MINI},
        )
        history.append({"role": "user", "content": asked})
        calls.streamed(answer, model=MINI, input=history, store=False, temperature=0.2)
        history.append({"role": "assistant", "content": TRANSLATED[name]})


def add_tickets(calls: SampleCalls, count: int = 36) -> None:
    """Many short calls in JSON; from the middle on upstream is overloaded for a while."""
    labels = ("refund", "delivery", "login", "invoice")
    for number in range(count):
        label = labels[number % len(labels)]
        request: dict[str, Any] = {
            "model": "gpt-4.1-nano",
            "instructions": "Label the ticket: refund, delivery, login or invoice.",
            "input": f"Ticket {4700 + number}: where is my {label}?",
        }
        if count // 2 <= number < count // 2 + 8:
            calls.refused(_overloaded(number), wait_s=0.14, **request)
            continue
        answer = Answer(
            name=f"ticket {number}",
            parts=[Saying(f'{{"label": "{label}"}}')],
            tokens=(31, 0, 6, 0),
            fields={"model": "gpt-4.1-nano"},
        )
        stalled = number == count // 2 - 1
        calls.plain(answer, wait_s=2.6 if stalled else 0.04 + 0.013 * (number * 7 % 11), **request)


def add_endings(calls: SampleCalls) -> None:
    """One call of each end that is not a completed one, and one that was tried again."""
    commits = "Write the release notes of 2.4.0 out of these 41 commits."
    calls.left(RELEASE_NOTES, deltas=58, model=MINI, input=commits)
    calls.left(
        SEARCHING,
        deltas=22,
        model=session.MODEL,
        input="The payment webhook answers 200 and nothing is booked. Where is it lost?",
        tools=session.TOOLS,
    )
    cut = Answer(name="cut", parts=[Saying(NOTES)], fields={"model": MINI})
    calls.broken_off(cut, deltas=30, model=MINI, input=commits)
    calls.failed(
        Answer(name="failed", parts=[Thinking("**Starting over**")], fields={"model": "o4-mini"}),
        message="The server had an error while processing your request. Sorry about that!",
        model="o4-mini",
        input="Prove that the cart's total never decreases when an article is added.",
    )
    calls.incomplete(
        Answer(
            name="incomplete",
            parts=[Saying("A tailrace carries the water away from a mill wheel. The headrace,")],
            tokens=(18, 0, 16, 0),
            fields={"model": MINI},
        ),
        reason="max_output_tokens",
        model=MINI,
        input="What is a tailrace, and what a headrace?",
        max_output_tokens=16,
    )
    answer = Answer(
        name="limited",
        parts=[Saying("Three errors, one cause: the disk was full.")],
        fields={"model": MINI},
    )
    whole = json_reply(answer.response(), request_id=answer.request_id)
    calls.refused(_rate_limited(), whole, model=MINI, input="Sum up last night's log.")
    calls.refused(
        json_reply(error_body("The server had an error."), status=500, request_id="req_down"),
        model=session.MODEL,
        input="Are you there?",
    )
    calls.refused(
        json_reply(
            error_body(
                "Unsupported parameter: 'temperature' is not supported with this model.",
                kind="invalid_request_error",
                code="unsupported_parameter",
            ),
            status=400,
            request_id="req_refused",
        ),
        model="o4-mini",
        input="Be creative.",
        temperature=1.9,
    )


def add_long_stream(calls: SampleCalls, deltas: int = LONG_STREAM_DELTAS) -> None:
    """A stream of some thousand events."""
    words = [
        f"INSERT INTO rates VALUES ({number}, {number * 7 % 101});\n" for number in range(deltas)
    ]
    answer = Answer(
        name="long", parts=[Saying("")], tokens=(54, 0, deltas, 0), fields={"model": MINI}
    )
    text = "".join(words)
    item = message_item(text, "msg_long")
    added, part, *_ = answer.part_events(0)
    events = [
        *(*answer.begun(), added, part),
        *(ev_text_delta(word, str(answer.items()[0]["id"])) for word in words),
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        answer.completed(),
    ]
    reply = stream_reply(*calls.pieces(events, together=20), request_id=answer.request_id)
    calls.scripted(reply, model=MINI, input=f"Write {deltas} rates as SQL, one a line.")


def add_image(calls: SampleCalls) -> None:
    """A request with an image in it."""
    content = [
        {"type": "input_text", "text": "The button is cut off on my phone. Why?"},
        {
            "type": "input_image",
            "detail": "auto",
            "image_url": "data:image/png;base64," + "iVBO" * 3000,
        },
    ]
    answer = Answer(
        name="image",
        parts=[Saying("It has a fixed width of 480 px; the screen is 390 px wide.")],
        tokens=(1106, 0, 21, 0),
        fields={"model": session.MODEL},
    )
    asked = [{"role": "user", "content": content}]
    calls.streamed(answer, model=session.MODEL, input=asked)


def add_compaction(calls: SampleCalls) -> None:
    """A conversation that is compacted."""
    history = [
        {"role": "user", "content": session.ROUNDS[0].asked},
        {"role": "assistant", "content": session.EXPLAINED},
    ]
    calls.compacted(
        Answer(name="compaction", parts=[], tokens=(612, 0, 240, 0)),
        model=session.MODEL,
        input=history,
    )


def add_hostile_output(calls: SampleCalls) -> None:
    """Requests and answers that would do harm where they were more than text."""
    for answer in hostile.ANSWERS:
        text = next(part.text for part in answer.parts if isinstance(part, Saying))
        calls.upstream.enqueue(calls.pace.stream(answer))
        body = {"model": hostile.MODEL, "stream": True, "input": text}
        calls.raw(body, user_agent=hostile.USER_AGENT)
    half = Answer(name="hostile half a pair", parts=[Saying("It is half a pair.")])
    calls.upstream.enqueue(calls.pace.stream(half))
    calls.raw(hostile.LONE_SURROGATE_BODY)


def add_socket_conversation(trace_dir: Path) -> None:
    """A conversation over one WebSocket, in a bundle of its own."""
    asked = ("List the migrations that lock a table.", "Rewrite the worst of them.", "Thanks.")
    answers = [
        Answer(name=f"socket {number}", parts=[Saying(text)], fields={"model": CODEX})
        for number, text in enumerate(
            (
                "Two: `0031_orders_index` and `0044_vouchers_not_null`. Both hold it for minutes.",
                "`CREATE INDEX CONCURRENTLY`, outside of a transaction, and `atomic = False`.",
                "You are welcome.",
            )
        )
    ]
    with ResponsesSocket() as upstream:
        upstream.enqueue(*(step for answer in answers for step in (Take(), says(*answer.events()))))
        with (
            RunningProxy(f"{upstream.url}/v1", trace_dir) as proxy,
            openai.OpenAI(base_url=proxy.base_url, api_key=KEY) as client,
        ):
            with client.responses.connect() as connection:
                before: dict[str, Any] = {}
                for text, answer in zip(asked, answers, strict=True):
                    connection.response.create(model=CODEX, input=text, **before)
                    read_response(connection)
                    before = {"previous_response_id": answer.response_id}
            upstream.connections[0].wait_until_closed()


def add_damaged_bundle(trace_dir: Path) -> Path:
    """A bundle with a torn line, a lost payload and a capture that was overwritten."""
    before = set(trace_dir.glob("trace-*"))
    recording = Recording(trace_dir, Clock())
    record_all_kinds(recording)
    recording.journal.close()
    (bundle,) = set(trace_dir.glob("trace-*")) - before
    (bundle / "payloads" / "1.json").unlink()
    edit_file(bundle / CAPTURE, lambda data: data[:100] + b"\xff" * 64 + data[164:])
    edit_file(bundle / LOG, lambda data: b"\x00garbage\n" + data[:-40])
    return bundle


def add_dead_bundle(trace_dir: Path) -> None:
    """A bundle whose recorder was killed amid a call, and that nobody sealed."""
    command = [sys.executable, "-m", "tests.support.killed_recorder", str(trace_dir)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "recorded\n"
        process.kill()


def add_codex_bundle(trace_dir: Path) -> Path:
    """A bundle as Codex writes it, with nothing of ours."""
    bundle = BundleBuilder(trace_dir / "trace-codex-own", trace_id="codex-own")
    history = [message("developer", session.INSTRUCTIONS), message("user", "Which tests are slow?")]
    bundle.turn("turn-1")
    bundle.start("call-1", "turn-1", {"model": CODEX, "input": history})
    answer = message("assistant", "`test_export_of_a_year`, with 4 s of the 6.")
    usage = {"input_tokens": 900, "cached_input_tokens": 0, "output_tokens": 30}
    bundle.complete(
        "call-1",
        [answer],
        response_id="resp_codex_1",
        usage=usage | {"reasoning_output_tokens": 0, "total_tokens": 930},
    )
    more = [*history, answer, message("user", "Make it faster.")]
    bundle.start("call-2", "turn-1", {"model": CODEX, "input": more})
    bundle.cancel("call-2", reason="interrupted", output_items=[message("assistant", "I st")])
    bundle.end_turn("turn-1")
    bundle.end()
    return bundle.write()


def _overloaded(number: int) -> Reply:
    status, text = ((503, "The engine is overloaded."), (500, "The server had an error."))[
        number % 2
    ]
    return json_reply(error_body(text), status=status, request_id=f"req_overloaded_{number}")


def _rate_limited() -> Reply:
    body = error_body("Rate limit reached.", kind="tokens", code="rate_limit_exceeded")
    headers = ((b"retry-after-ms", b"150"),)
    return json_reply(body, status=429, request_id="req_limited", headers=headers)


if __name__ == "__main__":
    configure_logs_without_thread("warning", stream=sys.stderr, is_terminal=False)
    make_sample_traces(Path(sys.argv[1]), pace=1)
