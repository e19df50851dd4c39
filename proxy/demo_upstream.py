"""The upstream of the demo: it answers as the Responses API does, but by a script."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from aiohttp import web

DELTA_SECONDS = 0.004
"""Between two deltas: fast for a model, slow enough that each comes alone."""

RETRY_AFTER_MS = 20

Event = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How the upstream answers one request."""

    text: str
    rate_limited: bool = False
    falls_silent_after: int | None = None
    """Deltas after which no more comes, until the client leaves."""


@asynccontextmanager
async def scripted_upstream(script: Iterator[Answer]) -> AsyncIterator[str]:
    """Serve the answers, one a request, and give the base URL to send requests to."""

    async def respond(request: web.Request) -> web.StreamResponse:
        return await _respond(request, next(script))

    app = web.Application()
    app.router.add_post("/v1/responses", respond)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}/v1"
    finally:
        await runner.cleanup()


async def _respond(request: web.Request, answer: Answer) -> web.StreamResponse:
    asked = await request.json()
    headers = {
        "x-request-id": f"req_{uuid4().hex}",
        "openai-version": "2020-10-01",
        "openai-processing-ms": "12",
    }
    if answer.rate_limited:
        return _rate_limited(headers)
    response = _response_object(asked)
    if not asked.get("stream"):
        return web.json_response(_completed(response, answer.text), headers=headers)
    return await _stream(request, response, answer, headers)


def _rate_limited(headers: dict[str, str]) -> web.Response:
    error = {
        "message": "Rate limit reached: this is the script of the demo. Try again soon.",
        "type": "requests",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    waiting = {"retry-after-ms": str(RETRY_AFTER_MS)}
    return web.json_response({"error": error}, status=429, headers=headers | waiting)


async def _stream(
    request: web.Request, response: Event, answer: Answer, headers: dict[str, str]
) -> web.StreamResponse:
    stream = web.StreamResponse(headers=headers | {"content-type": "text/event-stream"})
    await stream.prepare(request)
    deltas = 0
    for number, event in enumerate(_events(response, answer.text)):
        if event["type"] == "response.output_text.delta":
            if deltas == answer.falls_silent_after:
                await asyncio.Event().wait()  # until the client leaves, which cancels us
            await asyncio.sleep(DELTA_SECONDS)
            deltas += 1
        data = json.dumps(event | {"sequence_number": number})
        await stream.write(f"event: {event['type']}\ndata: {data}\n\n".encode())
    await stream.write_eof()
    return stream


def _events(response: Event, text: str) -> Iterator[Event]:
    """A response of one message, as the API streams it."""
    item = _message(text)
    part = item["content"][0]
    of_item = {"item_id": item["id"], "output_index": 0}
    of_part = of_item | {"content_index": 0}
    begun = item | {"status": "in_progress", "content": []}
    yield {"type": "response.created", "response": response}
    yield {"type": "response.in_progress", "response": response}
    yield {"type": "response.output_item.added", "output_index": 0, "item": begun}
    yield of_part | {"type": "response.content_part.added", "part": part | {"text": ""}}
    for delta in re.findall(r"\S+\s*", text):
        yield of_part | {"type": "response.output_text.delta", "delta": delta, "logprobs": []}
    yield of_part | {"type": "response.output_text.done", "text": text, "logprobs": []}
    yield of_part | {"type": "response.content_part.done", "part": part}
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}
    yield {"type": "response.completed", "response": _completed(response, text, item)}


def _message(text: str) -> Event:
    return {
        "id": f"msg_{uuid4().hex}",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}],
    }


def _response_object(asked: Event) -> Event:
    return {
        "id": f"resp_{uuid4().hex}",
        "object": "response",
        "created_at": 1_767_225_600,
        "status": "in_progress",
        "model": asked["model"],
        "previous_response_id": asked.get("previous_response_id"),
        "output": [],
        "usage": None,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
    }


def _completed(response: Event, text: str, item: Event | None = None) -> Event:
    tokens_in, tokens_cached = (96, 64) if response["previous_response_id"] else (18, 0)
    tokens_out = len(text.split())
    usage = {
        "input_tokens": tokens_in,
        "input_tokens_details": {"cached_tokens": tokens_cached},
        "output_tokens": tokens_out,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": tokens_in + tokens_out,
    }
    return response | {"status": "completed", "output": [item or _message(text)], "usage": usage}
