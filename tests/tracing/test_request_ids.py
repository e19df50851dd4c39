"""The id that upstream gave a request, from whichever header it came in."""

import pytest

from tracing.redaction import RawHeaders
from tracing.request_ids import upstream_request_id


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        (((b"X-Request-ID", b"a"), (b"x-oai-request-id", b"b")), ("a", "x-request-id")),
        (((b"x-amzn-RequestId", b"d"), (b"x-oai-request-id", b"b")), ("b", "x-oai-request-id")),
        (((b"apim-request-id", b"c"), (b"x-amzn-RequestId", b"d")), ("c", "apim-request-id")),
        (((b"x-amzn-RequestId", b"d"), (b"x-request-id", b"")), ("d", "x-amzn-requestid")),
        (((b"x-request-id", b"\xff"),), ("\ufffd", "x-request-id")),
        (((b"content-type", b"text/html"),), (None, None)),
        ((), (None, None)),
    ],
)
def test_best_id_there_is(headers: RawHeaders, found: tuple[str | None, str | None]) -> None:
    """OpenAI's own first, then Codex's backend's, Azure's, AWS's; the header is named."""
    assert upstream_request_id(headers) == found
