"""An upstream for Codex whose model answers by what it is asked, as agents at work need it.

A script for each request would not do: Codex names processes and cells as it goes, and the requests
of several agents come in no order.
"""

import json
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from .events import Item, ev_completed, ev_created, ev_item_added, ev_item_done, sse

Request = dict[str, Any]

CUT: Sequence[Item] = ()
"""An answer that ends after `response.created`."""


class CodexModel:
    """`with CodexModel(answer) as model:` listens on 127.0.0.1, on a port of its own.

    `answer` is given the request's body, and how many requests its thread sent before. Leaving the
    block raises what `answer` raised.
    """

    def __init__(self, answer: Callable[[Request, int], Sequence[Item]]) -> None:
        self._answer = answer
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._errors: list[Exception] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def base_url(self) -> str:
        """What Codex is to call."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        """Start to listen."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop, and tell of what went wrong in an answer."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        if self._errors and error is None:
            raise self._errors[0]

    def _stream(self, request: Request) -> bytes:
        with self._lock:
            thread = str(request["client_metadata"]["thread_id"])
            before, number = self._counts[thread], self._counts.total()
            self._counts[thread] += 1
            try:
                items = self._answer(request, before)
            except Exception as error:
                self._errors.append(error)
                raise
        response_id = f"resp_{number}"
        if items is CUT:
            return sse(ev_created(response_id))
        done = [
            event
            for index, item in enumerate(items)
            for event in (ev_item_added(item, index), ev_item_done(item, index))
        ]
        return sse(ev_created(response_id), *done, ev_completed(response_id, output=items))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        model = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                size = int(self.headers["Content-Length"])
                self._send(model._stream(json.loads(self.rfile.read(size))), "text/event-stream")

            def do_GET(self) -> None:
                self._send(b'{"models": []}', "application/json")

            def log_request(self, *_: object) -> None:
                """Say nothing."""

            def _send(self, body: bytes, content_type: str) -> None:
                self.send_response(200)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("x-request-id", "req_1")
                self.end_headers()
                self.wfile.write(body)

        return Handler


def output_of(request: Request, call_id: str) -> str:
    """What a tool gave back, as the request shows it."""
    outputs = [item for item in request["input"] if str(item.get("type")).endswith("_output")]
    (found,) = (item["output"] for item in outputs if item["call_id"] == call_id)
    return found if isinstance(found, str) else json.dumps(found)


def custom_call(name: str, source: str, call_id: str) -> Item:
    """A finished call of a custom tool."""
    return {
        "id": f"ctc_{call_id}",
        "type": "custom_tool_call",
        "status": "completed",
        "call_id": call_id,
        "name": name,
        "input": source,
    }
