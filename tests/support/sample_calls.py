"""A client of the sample traces: the openai SDK, and an upstream told what to answer it."""

from collections.abc import Sequence
from itertools import islice
from types import TracebackType
from typing import Any, Self

import openai
import orjson

from .events import Event, ev_failed, ev_incomplete, sse_pieces
from .raw_http import exchange, request_bytes
from .running_proxy import RunningProxy
from .sample_answers import RESPONSE_HEADERS, Answer, Pace
from .script import Close, Gate, Reply, Step, json_reply, stream_reply
from .scripted_upstream import ScriptedUpstream

KEY = "sk-sample-0123456789abcdef"


class SampleCalls:
    """Makes calls through the proxy, each to its end before the next begins."""

    def __init__(self, upstream: ScriptedUpstream, proxy: RunningProxy, pace: Pace) -> None:
        self.upstream = upstream
        self.proxy = proxy
        self.pace = pace
        self._client = openai.OpenAI(base_url=proxy.base_url, api_key=KEY, max_retries=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._client.close()

    def streamed(self, answer: Answer, *, wait_s: float = 0.2, **request: Any) -> None:
        """A stream that is read to its end, whatever that is."""
        self.upstream.enqueue(self.pace.later(self.pace.stream(answer), wait_s))
        self._read(request)

    def plain(self, answer: Answer, *, wait_s: float = 0.3, **request: Any) -> None:
        """An answer in JSON."""
        reply = json_reply(
            answer.response(), request_id=answer.request_id, headers=RESPONSE_HEADERS
        )
        self.upstream.enqueue(self.pace.later(reply, wait_s))
        self._client.responses.create(**request)

    def left(self, answer: Answer, *, deltas: int, **request: Any) -> None:
        """A stream whose client leaves after so many deltas, while more is to come."""
        kept = self._until_delta(answer.events(), deltas)
        reply = stream_reply(
            *self.pace.pieces(kept),
            Gate(),
            request_id=answer.request_id,
            headers=RESPONSE_HEADERS,
        )
        self.upstream.enqueue(self.pace.later(reply, 0.2))
        number = len(self.upstream.requests)
        with self._client.responses.create(stream=True, **request) as stream:
            for _ in islice(stream, len(kept)):
                pass
        self.upstream.request(number).wait_until_closed_by_peer()

    def broken_off(self, answer: Answer, *, deltas: int, **request: Any) -> None:
        """A stream that upstream breaks off after so many deltas."""
        kept = self._until_delta(answer.events(), deltas)
        whole = stream_reply(*self.pace.pieces(kept), request_id=answer.request_id)
        *steps, _ = self.pace.later(whole, 0.2)
        self.upstream.enqueue([*steps, Close()])
        self.raw(request | {"stream": True})

    def failed(self, answer: Answer, *, message: str, **request: Any) -> None:
        """A stream that ends in `response.failed`."""
        last = ev_failed(answer.response_id, code="server_error", message=message, **answer.fields)
        self._ends_with(answer, last, request)

    def incomplete(self, answer: Answer, *, reason: str, **request: Any) -> None:
        """A stream that ends in `response.incomplete`."""
        last = ev_incomplete(
            answer.response_id,
            reason=reason,
            output=answer.items(),
            usage=answer.usage(),
            **answer.fields,
        )
        self._ends_with(answer, last, request)

    def refused(self, *replies: Reply, wait_s: float = 0.05, **request: Any) -> None:
        """A call that upstream refuses; the SDK tries again as often as there is a reply left."""
        for reply in replies:
            self.upstream.enqueue(self.pace.later(reply, wait_s))
        client = self._client.with_options(max_retries=len(replies) - 1)
        try:
            client.responses.create(**request)
        except openai.APIStatusError:
            return

    def compacted(self, answer: Answer, **request: Any) -> None:
        """A compaction."""
        item = {
            "id": f"cmp_{answer.response_id}",
            "type": "compaction",
            "encrypted_content": "gAAAAABn" + answer.response_id * 4,
        }
        body = {
            "id": answer.response_id,
            "object": "response.compaction",
            "created_at": 1_764_000_000,
            "output": [item],
            "usage": answer.usage(),
        }
        reply = json_reply(body, request_id=answer.request_id)
        self.upstream.enqueue(self.pace.later(reply, 0.4))
        self._client.responses.compact(**request)

    def pieces(self, events: Sequence[Event], together: int) -> list[bytes | Gate]:
        """The events in chunks of so many."""
        single = sse_pieces(*events)
        pieces: list[bytes | Gate] = []
        for start in range(0, len(single), together):
            pieces += self.pace.pause(0.002)
            pieces.append(b"".join(single[start : start + together]))
        return pieces

    def scripted(self, steps: Reply | Sequence[Step], **request: Any) -> None:
        """A stream as the script has it."""
        self.upstream.enqueue(steps)
        self._read(request)

    def raw(self, body: object, *, user_agent: bytes = b"curl/8.14.1") -> None:
        """Post this body as it is, and read the answer to its end, however it ends."""
        headers = (
            (b"User-Agent", user_agent),
            (b"Content-Type", b"application/json"),
            (b"Authorization", b"Bearer " + KEY.encode()),
        )
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        url = f"{self.proxy.base_url}/responses"
        exchange(self.proxy.port, request_bytes("POST", url, headers=headers, body=data))

    def _ends_with(self, answer: Answer, last: Event, request: dict[str, Any]) -> None:
        pieces = self.pace.pieces([*answer.events()[:-1], last])
        reply = stream_reply(*pieces, request_id=answer.request_id, headers=RESPONSE_HEADERS)
        self.upstream.enqueue(self.pace.later(reply, 0.2))
        self._read(request)

    def _read(self, request: dict[str, Any]) -> None:
        for _ in self._client.responses.create(stream=True, **request):
            pass

    def _until_delta(self, events: Sequence[Event], deltas: int) -> list[Event]:
        places = [at for at, event in enumerate(events) if str(event["type"]).endswith(".delta")]
        return list(events[: places[deltas - 1] + 1])
