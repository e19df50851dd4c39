"""Writes bundles of many calls as the recorder would have written them, but at the speed of a disk.

Ten calls make a conversation, eight conversations go on at once. Half of them name the response
before, half send all of theirs again. Each call adds 4 KB of text that was not there before.
"""

import hashlib
import itertools
import json
import random
import uuid
import zlib
from pathlib import Path
from typing import Any

Json = dict[str, Any]

CALLS_PER_CONVERSATION = 10
AT_ONCE = 8
CALLS_PER_BUNDLE = 10_000
"""About where a bundle of such calls is rotated."""

NEW_CHARS_ASKED = 1_400
NEW_CHARS_ANSWERED = 2_600
VOCABULARY = 20_000
PARAGRAPHS = 4_000
PARAGRAPH_CHARS = 200

MODELS = ("gpt-5.2", "gpt-5.2", "gpt-5.2", "gpt-5.2-mini", "gpt-5.2-mini", "o4-preview", "local")
STARTED_AT_UNIX_MS = 1_790_000_000_000
MS_BETWEEN_CALLS = 400
COMPLETED, CANCELLED = 0.93, 0.96
"""Shares of calls: those up to the first are completed, those up to the second cancelled."""

ERROR_BODY = (
    '{"error":{"message":"Rate limit reached. Try again in 20 s.","type":"requests","param":null,'
    '"code":"rate_limit_exceeded"}}'
)


def write_traces(trace_dir: Path, call_count: int, *, seed: int = 7) -> list[Path]:
    """Write bundles that hold this many calls in all, and give their directories."""
    words = _Words(random.Random(seed))
    bundles = []
    for number, first in enumerate(range(0, call_count, CALLS_PER_BUNDLE)):
        trace_id = str(uuid.UUID(f"01a2{number:04x}-cfa4-7362-9eb9-db088b57ced5"))
        path = trace_dir / f"trace-{trace_id}"
        bundle = _Bundle(path, trace_id, STARTED_AT_UNIX_MS + first * MS_BETWEEN_CALLS)
        lanes = [_Lane(bundle, words) for _ in range(AT_ONCE)]
        for call in range(min(CALLS_PER_BUNDLE, call_count - first)):
            lanes[call % AT_ONCE].end_call()
            lanes[call % AT_ONCE].start_call(first + call)
        for lane in lanes:
            lane.end_call()
        bundle.close()
        bundles.append(path)
    return bundles


class _Words:
    """Text that is as quick to make as to copy, and yet has words that are nowhere else."""

    def __init__(self, numbers: random.Random) -> None:
        self.random = numbers
        letters = "abcdefghijklmnopqrstuvwxyz"
        vocabulary = [
            "".join(numbers.choices(letters, k=numbers.randint(2, 11))) for _ in range(VOCABULARY)
        ]
        # Few words are common and most are rare, as in any language.
        weights = list(itertools.accumulate(1 / (rank + 3) for rank in range(VOCABULARY)))
        self._paragraphs = []
        for _ in range(PARAGRAPHS):
            chosen = numbers.choices(vocabulary, cum_weights=weights, k=PARAGRAPH_CHARS // 5)
            self._paragraphs.append(" ".join(chosen)[: PARAGRAPH_CHARS - 1])

    def text(self, chars: int) -> str:
        """New text: no other has the same."""
        paragraphs = self.random.choices(self._paragraphs, k=chars // PARAGRAPH_CHARS)
        return f"ref_{self.random.getrandbits(48):012x} " + "\n".join(paragraphs)


class _Bundle:
    """A bundle, written event by event and payload by payload."""

    def __init__(self, path: Path, trace_id: str, started_at_unix_ms: int) -> None:
        (path / "payloads").mkdir(parents=True)
        (path / "streams").mkdir()
        self.now_unix_ms = started_at_unix_ms
        self._path = path
        self._log = (path / "trace.jsonl").open("wb")
        self._seq = 0
        self._payloads = 0
        self._root = f"thread:{trace_id}"
        manifest: Json = {
            "schema_version": 2,
            "trace_id": trace_id,
            "rollout_id": self._root,
            "root_thread_id": self._root,
            "started_at_unix_ms": started_at_unix_ms,
            "raw_event_log": "trace.jsonl",
            "payloads_dir": "payloads",
            "producer": {"name": "bench"},
        }
        (path / "manifest.json").write_text(json.dumps(manifest))
        self.event("rollout_started", None, trace_id=trace_id, root_thread_id=self._root)

    def event(self, kind: str, thread: str | None, turn: str | None = None, **fields: Any) -> None:
        """Append an event, a moment later."""
        self._seq += 1
        line: Json = {
            "schema_version": 2,
            "seq": self._seq,
            "wall_time_unix_ms": self.now_unix_ms,
            "rollout_id": self._root,
            "thread_id": thread,
            "codex_turn_id": turn,
            "payload": {"type": kind, **fields},
        }
        data = json.dumps(line, separators=(",", ":")).encode()
        self._log.write(b'%s,"proxy":{"crc32":%d}}\n' % (data[:-1], zlib.crc32(data)))

    def payload(self, kind: str, data: bytes) -> Json:
        """Write a payload, and give what an event says of it."""
        self._payloads += 1
        path = f"payloads/{self._payloads}.json"
        (self._path / path).write_bytes(data)
        return {
            "raw_payload_id": f"raw_payload:{self._payloads}",
            "kind": {"type": kind},
            "path": path,
            "proxy": {"bytes": len(data), "crc32": zlib.crc32(data)},
        }

    def close(self) -> None:
        """End the log."""
        self.event("rollout_ended", self._root, status="completed")
        self.event("recording_completed", None)
        self._log.close()


class _Lane:
    """Conversations, one after the other; each call is begun and later ended."""

    def __init__(self, bundle: _Bundle, words: _Words) -> None:
        self._bundle = bundle
        self._words = words
        self._random = words.random
        self._calls_left = 0
        self._call: Json | None = None
        self._previous: str | None = None

    def start_call(self, number: int) -> None:
        """Send what is new, with the conversation before it or the id of its latest response."""
        call_id = str(uuid.UUID(int=(0x01A2 << 112) + (7 << 76) + (2 << 62) + number))
        if not self._calls_left:
            self._begin_conversation(call_id)
        self._calls_left -= 1
        self._bundle.now_unix_ms += self._random.randrange(2 * MS_BETWEEN_CALLS)
        new = self._asked()
        if self._chains and self._previous is not None:
            sent = f'"previous_response_id":"{self._previous}","input":[{new}]'
        else:
            self._history.append(new)
            sent = f'"input":[{",".join(self._history)}]'
        body = f'{{"model":"{self._model}","stream":true,{sent}}}'.encode()
        turn = f"turn:{call_id}"
        ids = {"thread_id": self._thread, "codex_turn_id": turn}
        self._bundle.event("codex_turn_started", self._thread, turn, **ids)
        self._bundle.event(
            "inference_started",
            self._thread,
            turn,
            inference_call_id=call_id,
            **ids,
            model=self._model,
            provider_name="api.openai.com",
            request_payload=self._bundle.payload("inference_request", body),
            proxy=_start_proxy(body, number),
        )
        self._call = {"id": call_id, "at": self._bundle.now_unix_ms, "bytes": len(body)}

    def end_call(self) -> None:
        """Answer the call that is open, or break it off."""
        if self._call is None:
            return
        call, self._call = self._call, None
        fate = self._random.random()
        response_id = f"resp_{self._random.getrandbits(128):032x}"
        request_id = f"req_{self._random.getrandbits(128):032x}"
        kind, status = "completed", 200
        if fate > COMPLETED:
            kind, status = ("failed", 429) if fate > CANCELLED else ("cancelled", 200)
        said = self._answered() if status == 200 else ""
        item = f'{{"output_index":0,"item":{said}}}'
        proxy = f'"partial_items":[{item}]' if kind == "cancelled" else f'"body":{ERROR_BODY}'
        known = f'"{response_id}"' if status == 200 else "null"
        payload = (
            f'{{"response_id":{known},"upstream_request_id":"{request_id}",'
            f'"token_usage":{json.dumps(self._usage() if kind == "completed" else None)},'
            f'"output_items":[{said if kind == "completed" else ""}],'
            f'"proxy":{{{proxy if kind != "completed" else ""}}}}}'
        ).encode()
        ref = self._bundle.payload("inference_response", payload)
        ended: Json = {
            "completed": {"response_id": response_id, "response_payload": ref},
            "failed": {"error": "http 429: rate_limit_exceeded", "partial_response_payload": ref},
            "cancelled": {"reason": "client disconnected", "partial_response_payload": ref},
        }[kind]
        if kind == "completed":
            self._previous = response_id
            self._history.append(said)
        elif not self._chains:
            self._history.pop()
        turn = f"turn:{call['id']}"
        self._bundle.event(
            f"inference_{kind}",
            self._thread,
            turn,
            inference_call_id=call["id"],
            upstream_request_id=request_id,
            **ended,
            proxy=self._end_proxy(kind, status, response_id, call),
        )
        ids = {"codex_turn_id": turn, "thread_id": self._thread}
        self._bundle.event("codex_turn_ended", self._thread, turn, **ids, status="completed")

    def _begin_conversation(self, call_id: str) -> None:
        self._calls_left = CALLS_PER_CONVERSATION
        self._thread = f"thread:{call_id}"
        self._chains = self._random.random() < 0.5
        self._previous = None
        self._model = self._random.choice(MODELS)
        self._history: list[str] = []
        fields = {"thread_id": self._thread, "agent_path": "/root", "metadata_payload": None}
        self._bundle.event("thread_started", self._thread, **fields)

    def _asked(self) -> str:
        text = self._words.text(NEW_CHARS_ASKED)
        content = [{"type": "input_text", "text": text}]
        return json.dumps({"type": "message", "role": "user", "content": content})

    def _answered(self) -> str:
        text = self._words.text(NEW_CHARS_ANSWERED)
        part: Json = {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
        item: Json = {
            "id": f"msg_{self._random.getrandbits(128):032x}",
            "type": "message",
            "status": "completed",
            "content": [part],
            "role": "assistant",
        }
        return json.dumps(item)

    def _usage(self) -> Json:
        tokens = 500 * (CALLS_PER_CONVERSATION - self._calls_left)
        cached = self._random.choice((0, tokens * 3 // 4))
        output = self._random.randrange(200, 1200)
        reasoning = output // 3
        return {
            "input_tokens": tokens,
            "cached_input_tokens": cached,
            "output_tokens": output,
            "reasoning_output_tokens": reasoning,
            "total_tokens": tokens + output,
        }

    def _end_proxy(self, kind: str, status: int, response_id: str, call: Json) -> Json:
        first = self._random.lognormvariate(6, 0.6)
        ended = first + self._random.lognormvariate(8, 0.7)
        protocol = {"completed": "completed", "failed": "error", "cancelled": "none"}[kind]
        return {
            "http_status": status,
            "response_id": response_id if status == 200 else None,
            "upstream_request_id_header": "x-request-id",
            "response_status": "completed",
            "outcome": {
                "protocol": protocol,
                "transport": "client_closed" if kind == "cancelled" else "eof",
                "reason": None if kind == "completed" else "client disconnected",
            },
            "timing": {
                "upstream_headers": first - 10,
                "first_event": first,
                "first_text": first + 40,
                "last_event": ended - 1,
                "ended": ended,
                "waited_on_upstream": ended - 30,
                "waited_on_client": 0.0,
                "max_gap": first / 3,
            },
            "events": 214,
            "bytes_up": call["bytes"],
            "bytes_down": 67_000,
            "last_sequence_number": 213,
            "capture": {"file": "streams/1.cap", "offset": None, "bytes": 0, "lost_bytes": 0},
            "response_headers": {"openai-processing-ms": "198"},
            "notes": [],
        }


def _start_proxy(body: bytes, number: int) -> Json:
    return {
        "transport": "sse",
        "method": "POST",
        "path": "/v1/responses",
        "query": "",
        "connection_id": f"c{number % 64}",
        "stream_id": None,
        "client_call_id": None,
        "retry_count": 0,
        "request": {
            "bytes": len(body),
            "sha256": hashlib.sha256(body).hexdigest(),
            "content_encoding": None,
            "form": "wire",
            "redacted": [],
        },
        "client": {"user_agent": "OpenAI/Python 3.54.0", "client_request_id": None},
        "auth": {"present": True, "header": "authorization"},
    }
