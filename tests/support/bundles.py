"""Writes bundles by hand, event for event, so that a test shows the whole scenario it replays."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

Json = dict[str, object]

STARTED_AT_UNIX_MS = 1_700_000_000_000


class BundleBuilder:
    """A bundle in the making: each call adds one event (and its payloads), `write` puts it on disk.

    Times go up by 10 ms an event, and by what a test adds to `later_ms`. Ids are the caller's, so
    that a test can name them.
    """

    def __init__(
        self,
        path: Path,
        *,
        root_thread: str = "root",
        begun: bool = True,
        trace_id: str = "trace-1",
    ) -> None:
        self.path = path
        self.root_thread = root_thread
        self.later_ms = 0
        self.lines: list[bytes] = []
        self.files: dict[str, bytes] = {}
        self.manifest: Json = {
            "schema_version": 2,
            "trace_id": trace_id,
            "rollout_id": "rollout-1",
            "root_thread_id": root_thread,
            "started_at_unix_ms": STARTED_AT_UNIX_MS,
            "raw_event_log": "trace.jsonl",
            "payloads_dir": "payloads",
        }
        self._payload_count = 0
        self.seq = 0
        self._turn_threads: dict[str, str] = {}
        self._call_turns: dict[str, str] = {}
        if begun:
            self.event("rollout_started", trace_id=trace_id, root_thread_id=root_thread)
            self.thread(root_thread)

    def payload(self, kind: str, value: object) -> Json:
        """A payload file and the reference that an event carries."""
        return self.payload_bytes(kind, json.dumps(value, ensure_ascii=False).encode())

    def payload_bytes(self, kind: str, data: bytes) -> Json:
        """A payload file of exactly these bytes and the reference that an event carries."""
        self._payload_count += 1
        path = f"payloads/{self._payload_count}.json"
        self.files[path] = data
        return {
            "raw_payload_id": f"raw_payload:{self._payload_count}",
            "kind": {"type": kind},
            "path": path,
        }

    def event(
        self, kind: str, /, *, thread: str | None = None, turn: str | None = None, **fields: object
    ) -> int:
        """Append one event; `thread` and `turn` go to its envelope. Return its seq."""
        self.seq += 1
        seq = self.seq
        line: Json = {
            "schema_version": self.manifest["schema_version"],
            "seq": seq,
            "wall_time_unix_ms": STARTED_AT_UNIX_MS + 10 * seq + self.later_ms,
            "rollout_id": "rollout-1",
            "thread_id": thread,
            "codex_turn_id": turn,
            "payload": {"type": kind, **fields},
        }
        self.lines.append(json.dumps(line, ensure_ascii=False).encode())
        return seq

    def raw_line(self, line: bytes) -> None:
        """Appends a line exactly as given."""
        self.lines.append(line)

    def thread(
        self, thread_id: str, *, agent_path: str = "/root", metadata: object | None = None
    ) -> None:
        """`thread_started`, with a session_metadata payload when `metadata` is given."""
        ref = None if metadata is None else self.payload("session_metadata", metadata)
        self.event(
            "thread_started",
            thread=thread_id,
            thread_id=thread_id,
            agent_path=agent_path,
            metadata_payload=ref,
        )

    def turn(self, turn_id: str, *, thread: str | None = None) -> None:
        """`codex_turn_started`, in the root thread unless told otherwise."""
        thread = thread or self.root_thread
        self._turn_threads[turn_id] = thread
        self.event(
            "codex_turn_started",
            thread=thread,
            turn=turn_id,
            codex_turn_id=turn_id,
            thread_id=thread,
        )

    def end_turn(self, turn_id: str, status: str = "completed") -> None:
        """`codex_turn_ended`."""
        self.event(
            "codex_turn_ended",
            thread=self._turn_threads.get(turn_id),
            turn=turn_id,
            codex_turn_id=turn_id,
            status=status,
        )

    def start(
        self,
        call: str,
        turn: str,
        request: object,
        *,
        proxy: Mapping[str, object] | None = None,
    ) -> None:
        """`inference_started`; a list as `request` stands for a body with that `input`."""
        body = {"model": "m", "input": request} if isinstance(request, list) else request
        self._call_turns[call] = turn
        thread = self._turn_threads.get(turn, self.root_thread)
        self.event(
            "inference_started",
            thread=thread,
            turn=turn,
            inference_call_id=call,
            thread_id=thread,
            codex_turn_id=turn,
            model="m",
            provider_name="p",
            request_payload=self.payload("inference_request", body),
            **_proxy_field(proxy),
        )

    def complete(
        self,
        call: str,
        output_items: Sequence[object] = (),
        *,
        response_id: str | None = None,
        upstream_request_id: str | None = None,
        usage: object | None = None,
        proxy: Mapping[str, object] | None = None,
    ) -> None:
        """`inference_completed` with a response payload."""
        response: Json = {
            "response_id": response_id,
            "upstream_request_id": upstream_request_id,
            "token_usage": usage,
            "output_items": list(output_items),
        }
        self._terminal(
            "inference_completed",
            call,
            response_id=response_id,
            upstream_request_id=upstream_request_id,
            response_payload=self.payload("inference_response", response),
            **_proxy_field(proxy),
        )

    def fail(self, call: str, *, error: str = "stream broke", **kwargs: object) -> None:
        """`inference_failed`; see `_partial` for the keyword arguments."""
        self._partial("inference_failed", call, {"error": error}, **kwargs)

    def cancel(self, call: str, *, reason: str = "client went away", **kwargs: object) -> None:
        """`inference_cancelled`; see `_partial` for the keyword arguments."""
        self._partial("inference_cancelled", call, {"reason": reason}, **kwargs)

    def _partial(
        self,
        kind: str,
        call: str,
        text: Json,
        *,
        output_items: object = None,
        upstream_request_id: object = None,
        response_id: object = None,
        partial_items: object = None,
        proxy: object = None,
    ) -> None:
        ref = None
        if output_items is not None or partial_items is not None or response_id is not None:
            response: Json = {
                "response_id": response_id,
                "upstream_request_id": upstream_request_id,
                "token_usage": None,
                "output_items": output_items or [],
            }
            if partial_items is not None:
                response["proxy"] = {"partial_items": partial_items}
            ref = self.payload("inference_response", response)
        self._terminal(
            kind,
            call,
            upstream_request_id=upstream_request_id,
            partial_response_payload=ref,
            **text,
            **_proxy_field(proxy),
        )

    def _terminal(self, kind: str, call: str, **fields: object) -> None:
        turn = self._call_turns.get(call)
        thread = None if turn is None else self._turn_threads.get(turn, self.root_thread)
        self.event(kind, thread=thread, turn=turn, inference_call_id=call, **fields)

    def observed(self, event_type: str, value: object) -> None:
        """`protocol_event_observed` with a payload."""
        ref = self.payload("protocol_event", value)
        self.event("protocol_event_observed", event_type=event_type, event_payload=ref)

    def end(self, status: str = "completed", *, recording_completed: bool = True) -> None:
        """`rollout_ended`, and `recording_completed` after it."""
        self.event("rollout_ended", thread=self.root_thread, status=status)
        if recording_completed:
            self.event("recording_completed")

    def write(self) -> Path:
        """Puts the bundle on disk and gives its path."""
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / "payloads").mkdir(exist_ok=True)
        for name, data in self.files.items():
            (self.path / name).write_bytes(data)
        (self.path / "manifest.json").write_text(json.dumps(self.manifest, indent=2))
        (self.path / "trace.jsonl").write_bytes(b"".join(line + b"\n" for line in self.lines))
        return self.path


def _proxy_field(proxy: object) -> Json:
    return {} if proxy is None else {"proxy": proxy}


def message(role: str, text: str, **extra: object) -> Json:
    """A typed message item with one text part."""
    part = "output_text" if role == "assistant" else "input_text"
    return {
        "type": "message",
        "role": role,
        "content": [{"type": part, "text": text}],
        **extra,
    }


def write_dead_bundle(path: Path) -> None:
    """What a crash left of a bundle of ours."""
    builder = BundleBuilder(path)
    builder.manifest["producer"] = {"name": "tailrace"}
    builder.write()
