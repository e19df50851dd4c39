"""Reads what calls were shown and said, each once, and no more than is affordable."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from reducer.fields import object_of, text_of
from reducer.prompt import Prompt, make_prompt, with_history
from tracing.bundle_reader import BundleReader, DamagedPayload, NotABundle, PayloadRef
from tracing.strict_json import NotStrictJson, dumps, loads_lenient, loads_strict

from ..call.reading import CallUnreadable, answer_so_far
from ..catalog.catalog import Catalog
from ..catalog.queries import call_by_id
from ..catalog.rows import CallRow


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRead:
    """A call's request, response and prompt. The bodies are empty where they could not be read."""

    row: CallRow
    request: Mapping[str, object]
    response: Mapping[str, object]
    prompt: Prompt
    missing: tuple[str, ...]


class Prompts:
    """The calls that were read so far. It reads `bytes_max` of payloads, and then no more."""

    def __init__(self, catalog: Catalog, *, bytes_max: int, chained_max: int) -> None:
        self._catalog = catalog
        self._bytes_left = bytes_max
        self.chained_max = chained_max
        self._read: dict[int, CallRead] = {}
        self._wholes: dict[int, Prompt] = {}

    def of(self, row: CallRow) -> CallRead:
        """What a call was shown and said."""
        if row.id not in self._read:
            self._read[row.id] = self._read_call(row)
        return self._read[row.id]

    def answer(self, row: CallRow) -> Mapping[str, object]:
        """A call's response; of one that has not ended, what had come by now."""
        if row.status == "running" and row.response_path is None:
            with suppress(CallUnreadable):
                return answer_so_far(row)
        return self.of(row).response

    def whole(self, row: CallRow) -> Prompt:
        """A call's prompt, with the whole conversation where calls before it can tell that."""
        if row.id not in self._wholes:
            self._wholes[row.id] = with_history(self.of(row).prompt, self._earlier(row))
        return self._wholes[row.id]

    def _earlier(self, row: CallRow) -> Iterator[Prompt]:
        for _ in range(self.chained_max):
            if row.continues is None or row.continues_by != "previous_response_id":
                return
            parent = call_by_id(self._catalog, row.continues)
            if parent is None:
                return
            row = parent
            yield self.of(row).prompt

    def _read_call(self, row: CallRow) -> CallRead:
        request, no_request = self._payload(row, row.request_path, "request")
        response, no_response = self._payload(row, row.response_path, "response")
        usage = row.usage
        prompt = make_prompt(
            call_id=row.call_id,
            model=row.model,
            status=row.status,
            body=request if no_request is None else None,
            response=response,
            started_at_unix_ms=row.started_at_unix_ms,
            ended_at_unix_ms=row.ended_at_unix_ms,
            input_tokens=None if usage is None else usage.input_tokens,
            cached_tokens=None if usage is None else usage.cached_input_tokens,
        )
        return CallRead(
            row=row,
            request=request,
            response=response,
            prompt=prompt,
            missing=tuple(each for each in (no_request, no_response) if each is not None),
        )

    def _payload(
        self, row: CallRow, path: str | None, side: str
    ) -> tuple[Mapping[str, object], str | None]:
        """A payload, and a sentence that says why it is not all there."""
        if path is None:
            return (
                {},
                None if side == "response" else "The event that began the call names no request.",
            )
        if self._bytes_left <= 0:
            return {}, f"The {side} was not read: there is too much here to read at once."
        value = self._value(row, path)
        if isinstance(value, str):
            return {}, f"The {side} ({path}) cannot be read: {value}."
        lost = text_of(object_of(value, "proxy"), "lost")
        return value, None if lost is None else f"The {side} was not kept whole: {lost}."

    def _value(self, row: CallRow, path: str) -> Mapping[str, object] | str:
        try:
            reader = BundleReader(row.bundle, needs_manifest=False)
            data = reader.payload_bytes(PayloadRef(raw_payload_id="", kind="", path=path))
        except NotABundle:
            return f"{row.bundle} is gone: it was pruned, or moved away"
        except OSError as error:
            return error.strerror or "its bundle cannot be read"
        if isinstance(data, DamagedPayload):
            return str(data.fault)
        self._bytes_left -= len(data)
        try:
            value = _parsed(data)
        except NotStrictJson:
            return "it is no JSON"
        return value if isinstance(value, dict) else "it is no JSON object"


def _parsed(data: bytes) -> object:
    """JSON that can be written again, whatever was in it. Raises NotStrictJson."""
    try:
        return loads_strict(data)
    except NotStrictJson:
        return loads_strict(dumps(loads_lenient(data)))
