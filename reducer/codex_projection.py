"""Projects a bundle, or a part of one, into a bundle that Codex's reducer takes.

Requests become the whole conversations that they stand for, items become ones that Codex knows, and
what it refuses is left out. So are the events of tools, code cells, terminals and agents: what
remains is what the model was shown and said.
"""

from collections.abc import Callable, Generator, Mapping

from tracing.bundle_reader import PayloadRef, RawEvent
from tracing.events import EVENT_LOG_NAME, PAYLOADS_NAME, PayloadKind

from .codex_conversation import CodexItems, Conversations, exact_bytes
from .codex_pieces import Piece, Pieces, Selection, event_piece, manifest_piece
from .fields import list_of, object_of, text_of
from .fold import EXECUTION_STATUSES, ROLLOUT_STATUSES, Fold
from .records import Call, Turn

COMPACTION_CHECKPOINT = "compaction_checkpoint"
SESSION_METADATA = "session_metadata"


class Projection:
    """One export: what of it was written so far."""

    def __init__(self, fold: Fold, selection: Selection) -> None:
        self._fold = fold
        self._selection = selection
        self._seq = 0
        self._payloads = 0
        self._threads: set[str] = set()
        self._turns: dict[tuple[str, str], str] = {}
        """The id that stands for a turn in a thread: a turn may have calls in another one."""
        self._calls: set[str] = set()
        self._compactions: set[str] = set()
        self._requests: set[str] = set()
        self._conversations = Conversations()
        self._items = CodexItems()

    def pieces(self) -> Pieces:
        """The bundle, piece by piece."""
        is_begun = False
        root = self._root_thread_id()
        yield manifest_piece(self._fold, root)
        yield Piece(EVENT_LOG_NAME, b"")  # there may be no event
        latest: RawEvent | None = None
        for event in self._fold.reader.events():
            if not isinstance(event, RawEvent):
                continue
            if not is_begun:
                is_begun = True
                ids = {"trace_id": self._fold.trace_id, "root_thread_id": root}
                yield self._event(event, "rollout_started", None, None, **ids)
            handler = _HANDLERS.get(event.type)
            if handler is not None:
                yield from handler(self, event)
            latest = event
        if latest is not None and self._selection.is_all and self._fold.recording_complete:
            yield self._event(latest, "recording_completed", None, None)

    def _root_thread_id(self) -> str:
        if self._selection.call_id in self._fold.calls:
            return self._fold.calls[self._selection.call_id].thread_id
        return self._selection.thread_id or self._fold.root_thread_id

    def _event(
        self,
        event: RawEvent,
        kind: str,
        thread_id: str | None,
        turn_id: str | None,
        /,
        **fields: object,
    ) -> Piece:
        """An event of ours, at the time of one of the bundle's."""
        self._seq += 1
        payload = {"type": kind, **fields}
        return event_piece(self._fold, event, self._seq, thread_id, turn_id, payload)

    def _next_payload_id(self) -> str:
        return f"raw_payload:{self._payloads + 1}"

    def _payload(self, kind: str, value: object) -> tuple[dict[str, object], Piece]:
        """What an event says of a payload, and the payload."""
        raw_payload_id = self._next_payload_id()
        self._payloads += 1
        path = f"{PAYLOADS_NAME}/{self._payloads}.json"
        ref: dict[str, object] = {
            "raw_payload_id": raw_payload_id,
            "kind": {"type": kind},
            "path": path,
        }
        return ref, Piece(path, exact_bytes(value))

    def _read(self, event: RawEvent, name: str) -> dict[str, object] | None:
        """The payload that a field names, if it is an object."""
        ref = PayloadRef.parse(event.payload.get(name))
        payload = None if ref is None else self._fold.read(ref)
        return payload.value if payload is not None and payload.is_read else None

    def _begin_thread(self, event: RawEvent, thread_id: str) -> Pieces:
        if thread_id in self._threads or thread_id not in self._fold.threads:
            return
        self._threads.add(thread_id)
        thread = self._fold.threads[thread_id]
        agent_path = thread.agent_path or "/root"
        names = {"agent_path": agent_path, "nickname": thread.nickname}
        facts: dict[str, object] = {**names, "model": thread.default_model}
        parent = text_of(thread.origin, "parent_thread_id")
        if parent is not None and self._selection.is_all:
            spawn = {key: thread.origin.get(key) for key in ("task_name", "agent_role")}
            spawn |= {"parent_thread_id": parent, "agent_path": agent_path}
            facts["session_source"] = {"subagent": {"thread_spawn": spawn}}
        metadata = {key: value for key, value in facts.items() if value is not None}
        ref, piece = self._payload(SESSION_METADATA, metadata)
        yield piece
        yield self._event(
            event,
            "thread_started",
            thread_id,
            None,
            thread_id=thread_id,
            agent_path=agent_path,
            metadata_payload=ref,
        )

    def _begin_turn(
        self, event: RawEvent, turn_id: str, thread_id: str
    ) -> Generator[Piece, None, str]:
        yield from self._begin_thread(event, thread_id)
        if (turn_id, thread_id) not in self._turns:
            known: Turn | None = self._fold.turns.get(turn_id)
            name = turn_id
            while known is not None and known.thread_id != thread_id:
                name = f"{name}@{thread_id}"
                known = self._fold.turns.get(name)
            self._turns[turn_id, thread_id] = name
            yield self._event(
                event,
                "codex_turn_started",
                thread_id,
                name,
                codex_turn_id=name,
                thread_id=thread_id,
            )
        return self._turns[turn_id, thread_id]

    def thread_started(self, event: RawEvent) -> Pieces:
        thread_id = text_of(event.payload, "thread_id")
        if thread_id is not None and self._selection.has_thread(thread_id):
            yield from self._begin_thread(event, thread_id)

    def thread_ended(self, event: RawEvent) -> Pieces:
        thread_id, status = text_of(event.payload, "thread_id"), text_of(event.payload, "status")
        is_chosen = thread_id in self._threads and self._selection.has_thread(thread_id)
        if is_chosen and status in ROLLOUT_STATUSES:
            fields = {"thread_id": thread_id, "status": status}
            yield self._event(event, "thread_ended", thread_id, None, **fields)

    def turn_started(self, event: RawEvent) -> Pieces:
        turn_id = text_of(event.payload, "codex_turn_id")
        turn = None if turn_id is None else self._fold.turns.get(turn_id)
        if turn is not None and self._selection.has_thread(turn.thread_id):
            yield from self._begin_turn(event, turn.codex_turn_id, turn.thread_id)

    def turn_ended(self, event: RawEvent) -> Pieces:
        turn_id, status = text_of(event.payload, "codex_turn_id"), text_of(event.payload, "status")
        if status not in EXECUTION_STATUSES:
            return
        for (begun, thread_id), name in self._turns.items():
            if begun == turn_id:
                fields = {"codex_turn_id": name, "status": status}
                yield self._event(event, "codex_turn_ended", thread_id, name, **fields)

    def inference_started(self, event: RawEvent) -> Pieces:
        call = self._fold.calls.get(text_of(event.payload, "inference_call_id") or "")
        if call is None or call.inference_call_id in self._calls:
            return
        self._calls.add(call.inference_call_id)
        request = self._read(event, "request_payload") or {}
        shown = self._conversations.note_request(call, request, self._prewarm(call))
        if not self._selection.has_call(call):
            return
        turn_id = yield from self._begin_turn(event, call.codex_turn_id, call.thread_id)
        dropped = {"previous_response_id", "proxy"}
        body = {key: value for key, value in request.items() if key not in dropped}
        body["input"] = self._items.projected(shown, call.thread_id, self._next_payload_id())
        ref, piece = self._payload(PayloadKind.INFERENCE_REQUEST, body)
        yield piece
        yield self._event(
            event,
            "inference_started",
            call.thread_id,
            turn_id,
            inference_call_id=call.inference_call_id,
            thread_id=call.thread_id,
            codex_turn_id=turn_id,
            model=call.model,
            provider_name=call.provider_name,
            request_payload=ref,
        )

    def _prewarm(self, call: Call) -> Mapping[str, object]:
        ref = None if call.prewarm is None else self._fold.raw_payloads.get(call.prewarm)
        return {} if ref is None else self._fold.read(ref).value

    def inference_ended(self, event: RawEvent) -> Pieces:
        call = self._fold.calls.get(text_of(event.payload, "inference_call_id") or "")
        if call is None or call.inference_call_id not in self._calls:
            return
        is_completed = event.type == "inference_completed"
        name = "response_payload" if is_completed else "partial_response_payload"
        response = self._read(event, name)
        if response is not None:
            output = list_of(response, "output_items") or []
            self._conversations.note_response(call, output)
        if not self._selection.has_call(call):
            return
        fields: dict[str, object] = {"inference_call_id": call.inference_call_id, name: None}
        fields["upstream_request_id"] = text_of(event.payload, "upstream_request_id")
        if is_completed:
            fields["response_id"] = call.response_id
        else:
            text = "error" if event.type == "inference_failed" else "reason"
            fields[text] = text_of(event.payload, text) or ""
        if response is not None or is_completed:
            said = self._conversations.said(call)
            items = self._items.projected(said, call.thread_id, self._next_payload_id())
            usage = object_of(response or {}, "token_usage") or None
            ids = {key: text_of(response or {}, key) for key in ("response_id",)}
            fields[name], piece = self._payload(
                PayloadKind.INFERENCE_RESPONSE,
                {
                    **ids,
                    "upstream_request_id": fields["upstream_request_id"],
                    "token_usage": usage,
                    "output_items": items,
                },
            )
            yield piece
        turn_id = self._turns.get((call.codex_turn_id, call.thread_id))
        yield self._event(event, event.type, call.thread_id, turn_id, **fields)

    def compaction_request_started(self, event: RawEvent) -> Pieces:
        request_id = text_of(event.payload, "compaction_request_id") or ""
        request = self._fold.compaction_requests.get(request_id)
        if request is None or request_id in self._requests:
            return
        installed = self._fold.compactions.get(request.compaction_id)
        place = (request.thread_id, request.codex_turn_id)
        # Codex takes no request for a compaction that another thread or turn installs.
        is_apart = installed and (installed.thread_id, installed.codex_turn_id) != place
        if is_apart or not self._selection.has_thread(request.thread_id):
            return
        self._requests.add(request_id)
        turn_id = yield from self._begin_turn(event, request.codex_turn_id, request.thread_id)
        body = self._read(event, "request_payload") or {}
        ref, piece = self._payload(PayloadKind.COMPACTION_REQUEST, body)
        yield piece
        yield self._event(
            event,
            event.type,
            request.thread_id,
            turn_id,
            compaction_id=request.compaction_id,
            compaction_request_id=request_id,
            thread_id=request.thread_id,
            codex_turn_id=turn_id,
            model=request.model,
            provider_name=request.provider_name,
            request_payload=ref,
        )

    def compaction_request_ended(self, event: RawEvent) -> Pieces:
        request_id = text_of(event.payload, "compaction_request_id") or ""
        if request_id not in self._requests:
            return
        request = self._fold.compaction_requests[request_id]
        fields: dict[str, object] = {"compaction_id": request.compaction_id}
        if event.type == "compaction_request_completed":
            response = self._read(event, "response_payload") or {}
            ref, piece = self._payload(PayloadKind.COMPACTION_RESPONSE, response)
            yield piece
            fields["response_payload"] = ref
        else:
            fields["error"] = text_of(event.payload, "error") or ""
        turn_id = self._turns.get((request.codex_turn_id, request.thread_id))
        fields["compaction_request_id"] = request_id
        yield self._event(event, event.type, request.thread_id, turn_id, **fields)

    def compaction_installed(self, event: RawEvent) -> Pieces:
        compaction_id = text_of(event.payload, "compaction_id") or ""
        compaction = self._fold.compactions.get(compaction_id)
        if compaction is None or compaction_id in self._compactions:
            return
        if not self._selection.has_thread(compaction.thread_id):
            return
        checkpoint = self._read(event, "checkpoint_payload") or {}
        self._compactions.add(compaction_id)
        thread_id = compaction.thread_id
        turn_id = yield from self._begin_turn(event, compaction.codex_turn_id, thread_id)
        raw_payload_id = self._next_payload_id()
        histories = {
            key: self._items.projected(list_of(checkpoint, key) or [], thread_id, raw_payload_id)
            for key in ("input_history", "replacement_history")
        }
        ref, piece = self._payload(COMPACTION_CHECKPOINT, histories)
        yield piece
        fields = {"compaction_id": compaction_id, "checkpoint_payload": ref}
        yield self._event(event, "compaction_installed", thread_id, turn_id, **fields)

    def observed(self, event: RawEvent) -> Pieces:
        kind = text_of(event.payload, "event_type")
        value = self._read(event, "event_payload")
        if kind is not None and value is not None and self._selection.has_thread(event.thread_id):
            ref, piece = self._payload(PayloadKind.PROTOCOL_EVENT, value)
            yield piece
            fields = {"event_type": kind, "event_payload": ref}
            yield self._event(event, "protocol_event_observed", None, None, **fields)

    def item_accepted(self, event: RawEvent) -> Pieces:
        item_id = text_of(event.payload, "item_id")
        thread_id = event.thread_id
        is_chosen = thread_id in self._threads and self._selection.has_thread(thread_id)
        if item_id is not None and is_chosen:
            yield self._event(event, "history_item_accepted", thread_id, None, item_id=item_id)

    def rollout_ended(self, event: RawEvent) -> Pieces:
        status = text_of(event.payload, "status")
        if self._selection.is_all and status in ROLLOUT_STATUSES:
            yield self._event(event, "rollout_ended", None, None, status=status)


_HANDLERS: Mapping[str, Callable[[Projection, RawEvent], Pieces]] = {
    "thread_started": Projection.thread_started,
    "thread_ended": Projection.thread_ended,
    "codex_turn_started": Projection.turn_started,
    "codex_turn_ended": Projection.turn_ended,
    "inference_started": Projection.inference_started,
    "inference_completed": Projection.inference_ended,
    "inference_failed": Projection.inference_ended,
    "inference_cancelled": Projection.inference_ended,
    "compaction_request_started": Projection.compaction_request_started,
    "compaction_request_completed": Projection.compaction_request_ended,
    "compaction_request_failed": Projection.compaction_request_ended,
    "compaction_installed": Projection.compaction_installed,
    "protocol_event_observed": Projection.observed,
    "history_item_accepted": Projection.item_accepted,
    "rollout_ended": Projection.rollout_ended,
}
