"""`tailrace show` on bundles that anybody may have written: odd values wherever values stand."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.bundles import BundleBuilder
from tracing.strict_json import dumps
from viewer.call.curl import NothingToRepeat, curl_command
from viewer.call.reading import partial_items, read_story
from viewer.call.support import support_packet
from viewer.catalog.catalog import Catalog
from viewer.catalog.relatives import relatives
from viewer.selector import select_call
from viewer.terminal.call_sheet import print_story
from viewer.terminal.event_lines import print_events, print_events_json

HALF = "HALF OF A PAIR"
odd_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["streams/1.cap", "../../etc", "\x1b[2J", "message", "assistant", HALF]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


def odd(*keys: str) -> st.SearchStrategy[dict[str, object]]:
    """An object in which any of these keys may hold anything."""
    return st.fixed_dictionaries({}, optional=dict.fromkeys(keys, odd_values))


starts = odd("transport", "method", "path", "query", "retry_count") | st.fixed_dictionaries(
    {
        "request": odd("bytes", "redacted", "form"),
        "client": odd("user_agent", "client_request_id"),
        "auth": odd("present", "header"),
        "handshake": odd("upstream_request_id"),
    }
)
ends = odd("http_status", "response_id", "events", "bytes_down") | st.fixed_dictionaries(
    {
        "timing": odd("upstream_headers", "first_event", "last_event", "ended", "waited_on_client"),
        "outcome": odd("protocol", "transport", "reason"),
        "capture": odd("file", "offset", "bytes", "lost_bytes", "redacted"),
        "client_blocked": odd_values | st.lists(st.lists(st.integers(), max_size=3)),
        "response_headers": odd("x-request-id", "date"),
        "notes": odd_values,
    }
)
requests = odd("model", "input", "instructions", "tools", "proxy", "temperature")
output = st.lists(odd("type", "role", "content", "summary", "arguments"), max_size=3)
errors = odd("error", "body")


@settings(max_examples=60, deadline=None)
@given(starts, ends, requests, output, odd_values | st.lists(odd("output_index", "item")), errors)
def test_whatever_a_bundle_holds_is_told(
    tmp_path_factory: pytest.TempPathFactory,
    start: dict[str, object],
    end: dict[str, object],
    request: dict[str, object],
    items: list[dict[str, object]],
    partial: object,
    error: dict[str, object],
) -> None:
    """No value raises, in any part of the call; what cannot be sent again says so."""
    trace_dir = tmp_path_factory.mktemp("traces")
    bundle = BundleBuilder(trace_dir / "trace-odd")
    bundle.turn("t")
    bundle.start("c", "t", request, proxy=start)
    response = {"output_items": items, "proxy": {"partial_items": partial, **error}}
    bundle.event(
        "inference_failed",
        inference_call_id="c",
        upstream_request_id=error.get("error"),
        partial_response_payload=bundle.payload("inference_response", response),
        proxy=end,
    )
    bundle.lines = [with_halves_of_pairs(line) for line in bundle.lines]
    bundle.files = {name: with_halves_of_pairs(data) for name, data in bundle.files.items()}
    bundle.write()
    with Catalog.open(trace_dir) as catalog:
        catalog.refresh()
        row = select_call("c", catalog)
        links = relatives(catalog, row)
    print_story(read_story(row), links, None)
    print_events(row)
    print_events_json(row)
    dumps([support_packet(row), partial_items(row)])
    with suppress(NothingToRepeat):
        curl_command(row)


def with_halves_of_pairs(data: bytes) -> bytes:
    """The JSON with what stands for half of a surrogate pair, which no UTF-8 has, as its escape."""
    return data.replace(HALF.encode(), b"\\ud800")
