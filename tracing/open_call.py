"""A call between its start and its end, as the journal keeps it: ids, secrets and its capture."""

import hashlib
from array import array
from collections.abc import Iterator, Mapping
from typing import Any

from .call import CallStarted
from .call_pieces import CapturedPiece
from .capture import Direction, Kind, encode
from .events import PayloadKind
from .json_masking import mask_json
from .masking import StreamMask
from .redaction import RawHeaders, set_cookie_secrets
from .request import RequestRecord
from .scope import Scope

GROUP_BYTES_MAX = 256 * 1024
"""What is joined and searched at once. It is done in one go, and nobody else runs meanwhile."""


class OpenCall:
    """One open call. It holds no body: what was written can be read again."""

    def __init__(
        self, *, started: CallStarted, request: RequestRecord, thread_id: str, turn_id: str
    ) -> None:
        self.call_id = str(started.call_id)
        self.own_turn_id = f"turn:{self.call_id}"
        self.thread_id = thread_id
        self.turn_id = turn_id
        self.scope = started.head.scope
        self.head = started.head
        self.arrived_unix_ns = started.arrived_unix_ns
        self.bytes_up = started.body_bytes
        self.is_on_socket = started.socket is not None
        self.model = request.model
        self.secrets = request.secrets
        self.is_prewarm = request.is_prewarm
        self.prewarm_body = request.prewarm_body
        self.start_proxy = request.proxy
        self.capture_lost_bytes = 0
        self._uuid = started.call_id.bytes
        self._is_capture_full = False
        self._is_capture_cut = False
        self._begin_capture()

    def add_offset(self, offset: int) -> None:
        """Note where a record of the call stands in the capture."""
        self.offsets.append(offset)

    def add_response_secrets(self, headers: RawHeaders) -> None:
        """Take the response's cookies for secrets as well."""
        fresh = tuple(s for s in set_cookie_secrets(headers) if s not in self.secrets)
        self.secrets += fresh
        self._mask.add(fresh)

    def forget_capture(self) -> int:
        """Begin the capture anew, and return how many bytes of it are lost by that."""
        lost_bytes = self.kept_bytes + len(self._mask.finish())
        self.capture_lost_bytes += lost_bytes
        self._is_capture_cut = self._is_capture_cut or self.capture_lost_bytes > 0
        self._begin_capture()
        return lost_bytes

    def forget_request(self, payload: bytes) -> None:
        """Take ``payload`` for what is kept of the request."""
        kept = {"kept_sha256": hashlib.sha256(payload).hexdigest(), "redacted": []}
        request = {**self.start_proxy["request"], **kept}
        self.start_proxy = {**self.start_proxy, "request": request}

    def _begin_capture(self) -> None:
        self.offsets = array("Q")
        self.kept_bytes = 0
        self._mask = StreamMask(self.secrets)
        self._kept_hash = hashlib.sha256()
        self._wire_hash = self._kept_hash
        """Another one only from where the two differ: most streams hold no secret."""
        self._last_unix_ns = 0

    @property
    def is_compaction(self) -> bool:
        """Whether the call compacts a conversation."""
        return self.scope is Scope.COMPACTION

    @property
    def has_named_turn(self) -> bool:
        """Whether the client named the turn, which may then have further calls."""
        return self.turn_id != self.own_turn_id

    @property
    def request_kind(self) -> PayloadKind:
        """The kind of its request payload."""
        kind = PayloadKind
        return kind.COMPACTION_REQUEST if self.is_compaction else kind.INFERENCE_REQUEST

    @property
    def response_kind(self) -> PayloadKind:
        """The kind of its response payload."""
        kind = PayloadKind
        return kind.COMPACTION_RESPONSE if self.is_compaction else kind.INFERENCE_RESPONSE

    @property
    def sha256(self) -> tuple[str | None, str]:
        """The hashes of the body as it came, None where that was not seen, and as it is kept."""
        wire = None if self._is_capture_cut else self._wire_hash.hexdigest()
        return wire, self._kept_hash.hexdigest()

    @property
    def masked_ranges(self) -> list[tuple[int, int]]:
        """The ranges of the kept body where a secret stood."""
        return list(self._mask.ranges)

    def start_event(self, provider_name: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the event that starts the call."""
        common = {
            "thread_id": self.thread_id,
            "codex_turn_id": self.turn_id,
            "model": self.model,
            "provider_name": provider_name,
            "request_payload": payload,
            "proxy": self.start_proxy,
        }
        if self.is_compaction:
            return {"type": "compaction_request_started", **self.compaction_ids(), **common}
        return {"type": "inference_started", "inference_call_id": self.call_id, **common}

    def capture_records(self, pieces: list[CapturedPiece], *, bytes_max: int) -> Iterator[bytes]:
        """Give the records that pieces become: none for one that may be the start of a secret."""
        for piece in pieces:
            if piece.headers:
                self.add_response_secrets(piece.headers)
        if pieces and pieces[0].kind is Kind.HEAD:
            head, pieces = pieces[0], pieces[1:]
            self._last_unix_ns = head.at_unix_ns
            yield self._record(Kind.HEAD, mask_json(head.data, self.secrets))
        for group in _groups(pieces):
            yield from self._body_records(group, bytes_max=bytes_max)

    def _body_records(self, pieces: list[CapturedPiece], *, bytes_max: int) -> Iterator[bytes]:
        whole = pieces[0].data if len(pieces) == 1 else b"".join([piece.data for piece in pieces])
        has_room = not self._is_capture_full and self.kept_bytes + len(whole) <= bytes_max
        if has_room and self._wire_hash is self._kept_hash and self._mask.passes(whole):
            self._kept_hash.update(whole)
            self.kept_bytes += len(whole)
            for piece in pieces:
                yield encode(self._uuid, Direction.DOWN, piece.kind, piece.at_unix_ns, piece.data)
            return
        for piece in pieces:
            if record := self._masked_record(piece, bytes_max=bytes_max):
                yield record

    def _masked_record(self, piece: CapturedPiece, *, bytes_max: int) -> bytes | None:
        if self._wire_hash is self._kept_hash:
            self._wire_hash = self._kept_hash.copy()
        self._last_unix_ns = piece.at_unix_ns
        self._wire_hash.update(piece.data)
        if self._is_capture_full or self.kept_bytes + len(piece.data) > bytes_max:
            # What follows is lost as well: a capture has an end, and no hole.
            self._is_capture_full = True
            self.capture_lost_bytes += len(piece.data)
            return None
        data = self._mask.feed(piece.data)
        if piece.kind is Kind.MESSAGE:
            # A message is whole: no secret goes on in the next one.
            data += self._mask.finish()
        return self._content_record(piece.kind, data)

    def finish_capture(self) -> bytes | None:
        """Return the record of what was held back as the possible start of a secret."""
        return self._content_record(Kind.BODY, self._mask.finish())

    def _content_record(self, kind: Kind, data: bytes) -> bytes | None:
        if not data:
            return None
        self._kept_hash.update(data)
        self.kept_bytes += len(data)
        return self._record(kind, data)

    def _record(self, kind: Kind, data: bytes) -> bytes:
        return encode(self._uuid, Direction.DOWN, kind, self._last_unix_ns, data)

    def compaction_ids(self) -> dict[str, str]:
        """Return the ids of a compaction request, of which the proxy sees one attempt each."""
        return {
            "compaction_id": f"compaction:{self.call_id}",
            "compaction_request_id": f"compaction_request:{self.call_id}",
        }


def _groups(pieces: list[CapturedPiece]) -> Iterator[list[CapturedPiece]]:
    """The pieces in their order, together as long as they are not too much together."""
    group: list[CapturedPiece] = []
    size = 0
    for piece in pieces:
        if group and size + len(piece.data) > GROUP_BYTES_MAX:
            yield group
            group, size = [], 0
        group.append(piece)
        size += len(piece.data)
    if group:
        yield group
